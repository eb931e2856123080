"""CogVLM2 (arXiv 2408.16500) in torch, under the key names of the published checkpoints: no remote code, no xformers, no triton.

An EVA2-CLIP tower, a stride-2 convolution, a GLU projector between boi and eoi; a Llama-3 language model with a second set of
weights in every layer, the vision expert, for the tokens of the picture. Written from a description of the original and checked
against tensors that the original code computed (`python -m mathse.backbones.verify`).
Shapes: B rows, T tokens, S keys, H hidden size, A query heads, K key heads, d head size; tower: P patches, E width.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention, silu
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer

from mathse.backbones.attention import grouped_attention

ROPE_BASE = 500_000.0
VISION, LANGUAGE = 1, 0


class CogVLM2Config(PreTrainedConfig):
    """The original `config.json`. `exact_rope`: angles in float32 from the formula; otherwise as the original computes them, in
    the type of the stored frequencies (in bfloat16 they are off by up to 0.8 in the cosine within 256 positions)."""

    model_type = "cogvlm2"

    hidden_size: int = 4096
    intermediate_size: int = 14336
    num_hidden_layers: int = 32
    num_attention_heads: int = 32
    num_multi_query_heads: int = 8
    vocab_size: int = 128256
    rms_norm_eps: float = 1e-5
    vision_config: dict[str, Any] | None = None
    tie_word_embeddings: bool = False
    exact_rope: bool = True
    pad_token_id: int | None = 128002
    bos_token_id: int | None = 128000
    eos_token_id: int | list[int] | None = 128001

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.num_attention_heads

    @property
    def image_tokens(self) -> int:
        """Tokens of one picture, boi and eoi among them."""
        assert self.vision_config is not None
        return int((self.vision_config["image_size"] // self.vision_config["patch_size"] // 2) ** 2 + 2)


# ---- tower ----


class PatchEmbedding(nn.Module):
    def __init__(self, vision: dict[str, Any]) -> None:
        super().__init__()
        width, patch = vision["hidden_size"], vision["patch_size"]
        self.proj = nn.Conv2d(vision["in_channels"], width, patch, stride=patch)
        self.cls_embedding = nn.Parameter(torch.zeros(1, width))
        self.position_embedding = nn.Embedding(vision["num_positions"], width)

    def forward(self, pixels: Tensor) -> Tensor:
        patches = self.proj(pixels).flatten(2).transpose(1, 2)
        cls = self.cls_embedding.expand(len(pixels), 1, -1)
        return torch.cat([cls, patches], 1) + self.position_embedding.weight


class TowerAttention(nn.Module):
    def __init__(self, vision: dict[str, Any]) -> None:
        super().__init__()
        width = vision["hidden_size"]
        self.heads = vision["num_heads"]
        self.query_key_value = nn.Linear(width, 3 * width)
        self.dense = nn.Linear(width, width)

    def forward(self, hidden: Tensor) -> Tensor:
        query, key, value = self.query_key_value(hidden).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = scaled_dot_product_attention(query, key, value)
        return self.dense(mixed.transpose(1, 2).flatten(2))


class TowerMlp(nn.Module):
    def __init__(self, vision: dict[str, Any]) -> None:
        super().__init__()
        self.fc1 = nn.Linear(vision["hidden_size"], vision["intermediate_size"])
        self.fc2 = nn.Linear(vision["intermediate_size"], vision["hidden_size"])

    def forward(self, hidden: Tensor) -> Tensor:
        return self.fc2(gelu(self.fc1(hidden)))


class TowerLayer(nn.Module):
    """The norms stand on what a branch puts out, before it is added; nothing is normalised on the way in."""

    def __init__(self, vision: dict[str, Any]) -> None:
        super().__init__()
        width, eps = vision["hidden_size"], vision["layer_norm_eps"]
        self.input_layernorm = nn.LayerNorm(width, eps=eps)
        self.attention = TowerAttention(vision)
        self.post_attention_layernorm = nn.LayerNorm(width, eps=eps)
        self.mlp = TowerMlp(vision)

    def forward(self, hidden: Tensor) -> Tensor:
        hidden = hidden + self.input_layernorm(self.attention(hidden))
        return hidden + self.post_attention_layernorm(self.mlp(hidden))


class Tower(nn.Module):
    def __init__(self, vision: dict[str, Any]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TowerLayer(vision) for _ in range(vision["num_hidden_layers"]))

    def forward(self, hidden: Tensor) -> Tensor:
        for layer in self.layers:
            hidden = layer(hidden)
        return hidden


class Projector(nn.Module):
    def __init__(self, config: CogVLM2Config, width: int) -> None:
        super().__init__()
        hidden, inner = config.hidden_size, config.intermediate_size
        self.linear_proj = nn.Linear(width, hidden, bias=False)
        self.norm1 = nn.LayerNorm(hidden)
        self.gate_proj = nn.Linear(hidden, inner, bias=False)
        self.dense_h_to_4h = nn.Linear(hidden, inner, bias=False)
        self.dense_4h_to_h = nn.Linear(inner, hidden, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        hidden = gelu(self.norm1(self.linear_proj(features)))
        return self.dense_4h_to_h(silu(self.gate_proj(hidden)) * self.dense_h_to_4h(hidden))


class Vision(nn.Module):
    """Pixels (N, 3, side, side) -> features (N, tokens, H), boi first and eoi last."""

    def __init__(self, config: CogVLM2Config) -> None:
        super().__init__()
        vision = config.vision_config
        assert vision is not None
        if vision.get("hidden_act", "gelu") != "gelu":
            raise ValueError(f"config.json: vision_config.hidden_act={vision['hidden_act']} is not CogVLM2's gelu")
        width = vision["hidden_size"]
        self.patch_embedding = PatchEmbedding(vision)
        self.transformer = Tower(vision)
        self.conv = nn.Conv2d(width, width, 2, stride=2)
        self.linear_proj = Projector(config, width)
        self.boi = nn.Parameter(torch.zeros(1, 1, config.hidden_size))
        self.eoi = nn.Parameter(torch.zeros(1, 1, config.hidden_size))

    def encode(self, pixels: Tensor) -> Tensor:
        """The tower's output (N, 1 + P, E), cls first."""
        return self.transformer(self.patch_embedding(pixels))

    def shrink(self, encoded: Tensor) -> Tensor:
        """Four neighbouring patches become one: (N, E, side / 2, side / 2)."""
        patches = encoded[:, 1:]
        side = round(patches.shape[1] ** 0.5)
        return self.conv(patches.transpose(1, 2).unflatten(2, (side, side)))

    def forward(self, pixels: Tensor) -> Tensor:
        features = self.linear_proj(self.shrink(self.encode(pixels)).flatten(2).transpose(1, 2))
        ends = len(features), -1, -1
        return torch.cat([self.boi.expand(*ends), features, self.eoi.expand(*ends)], 1)


# ---- language model ----


class RMSNorm(nn.Module):
    """Cast back only after the weight, which Llama does before."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, hidden: Tensor) -> Tensor:
        exact = hidden.float()
        exact = exact * torch.rsqrt(exact.pow(2).mean(-1, keepdim=True) + self.eps)
        return (self.weight * exact).to(hidden.dtype)


def by_expert(vision_mask: Tensor | None, hidden: Tensor, language: nn.Module, vision: nn.Module) -> Tensor:
    """Each token of `hidden` (B, T, …) through its expert; `vision_mask` (B, T) is None where all are language."""
    if vision_mask is None:
        out: Tensor = language(hidden)
        return out
    seen, said = vision(hidden[vision_mask]), language(hidden[~vision_mask])
    mixed = seen.new_empty(*hidden.shape[:-1], seen.shape[-1])
    mixed[vision_mask] = seen
    mixed[~vision_mask] = said.to(seen.dtype)
    return mixed


class Rotary(nn.Module):
    """Its frequencies are part of the checkpoint, once a layer."""

    inv_freq: Tensor

    def __init__(self, config: CogVLM2Config) -> None:
        super().__init__()
        self.exact, self.size = config.exact_rope, config.head_dim
        self.register_buffer("inv_freq", self.frequencies())

    def frequencies(self) -> Tensor:
        return 1.0 / ROPE_BASE ** (torch.arange(0, self.size, 2).float() / self.size)

    def forward(self, positions: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """Cosine and sine (B, 1, T, d) of `positions` (B, T)."""
        frequencies = self.frequencies().to(positions.device) if self.exact else self.inv_freq
        angles = positions[..., None].to(frequencies.dtype) * frequencies
        doubled = torch.cat([angles, angles], -1)[:, None]
        return doubled.cos().to(like.dtype), doubled.sin().to(like.dtype)


def rotate(states: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding by halves."""
    first, second = states.chunk(2, -1)
    return states * cos + torch.cat([-second, first], -1) * sin


class Attention(nn.Module):
    def __init__(self, config: CogVLM2Config, layer: int) -> None:
        super().__init__()
        hidden, self.layer = config.hidden_size, layer
        self.heads, self.key_heads, self.size = (
            config.num_attention_heads,
            config.num_multi_query_heads,
            config.head_dim,
        )
        packed = hidden + 2 * self.key_heads * self.size
        self.rotary_emb = Rotary(config)
        self.vision_expert_query_key_value = nn.Linear(hidden, packed, bias=True)
        self.vision_expert_dense = nn.Linear(hidden, hidden, bias=False)
        self.language_expert_query_key_value = nn.Linear(hidden, packed, bias=False)
        self.language_expert_dense = nn.Linear(hidden, hidden, bias=False)

    def forward(
        self, hidden: Tensor, vision_mask: Tensor | None, positions: Tensor, mask: Tensor | None, cache: Any
    ) -> Tensor:
        packed = by_expert(
            vision_mask, hidden, self.language_expert_query_key_value, self.vision_expert_query_key_value
        )
        states = packed.unflatten(-1, (-1, self.size)).transpose(1, 2)  # (B, A + 2K, T, d)
        query, key, value = states.split([self.heads, self.key_heads, self.key_heads], 1)
        cos, sin = self.rotary_emb(positions, states)
        query, key = rotate(query, cos, sin), rotate(key, cos, sin)
        if cache is not None:
            key, value = cache.update(key, value, self.layer)
        if (mask is None and query.shape[2] == 1) or (mask is not None and mask.dtype != torch.bool):
            mixed, _ = grouped_attention(self, query, key, value, mask, self.size**-0.5)
        else:
            if (
                mask is not None and key.device.type != "cpu"
            ):  # kernels that hold no scores take no groups beside a mask
                key, value = (states.repeat_interleave(self.heads // self.key_heads, 1) for states in (key, value))
            mixed = scaled_dot_product_attention(
                query, key, value, mask, is_causal=mask is None and query.shape[2] > 1, enable_gqa=True
            ).transpose(1, 2)
        return by_expert(vision_mask, mixed.flatten(2), self.language_expert_dense, self.vision_expert_dense)


class Mlp(nn.Module):
    def __init__(self, config: CogVLM2Config) -> None:
        super().__init__()
        hidden, inner = config.hidden_size, config.intermediate_size
        self.gate_proj = nn.Linear(hidden, inner, bias=False)
        self.up_proj = nn.Linear(hidden, inner, bias=False)
        self.down_proj = nn.Linear(inner, hidden, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.down_proj(silu(self.gate_proj(hidden)) * self.up_proj(hidden))


class ExpertMlp(nn.Module):
    def __init__(self, config: CogVLM2Config) -> None:
        super().__init__()
        self.language_mlp = Mlp(config)
        self.vision_mlp = Mlp(config)

    def forward(self, hidden: Tensor, vision_mask: Tensor | None) -> Tensor:
        return by_expert(vision_mask, hidden, self.language_mlp, self.vision_mlp)


class Layer(GradientCheckpointingLayer):
    def __init__(self, config: CogVLM2Config, layer: int) -> None:
        super().__init__()
        self.self_attn = Attention(config, layer)
        self.mlp = ExpertMlp(config)
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(
        self, hidden: Tensor, vision_mask: Tensor | None, positions: Tensor, mask: Tensor | None, cache: Any
    ) -> Tensor:
        hidden = hidden + self.self_attn(self.input_layernorm(hidden), vision_mask, positions, mask, cache)
        return hidden + self.mlp(self.post_attention_layernorm(hidden), vision_mask)


class Body(nn.Module):
    """Everything but the head; its parts carry the checkpoint's names."""

    def __init__(self, config: CogVLM2Config) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Layer(config, i) for i in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.vision = Vision(config)

    def forward(
        self, embeds: Tensor, positions: Tensor, mask: Tensor, picture_mask: Tensor | None = None, cache: Any = None
    ) -> Tensor:
        """Hidden states (B, T, H) of `embeds`; `mask` (B, S) 1 = real, over what is cached too."""
        vision_mask = experts(picture_mask) if picture_mask is not None else None
        if vision_mask is not None and not bool(vision_mask.any()):
            vision_mask = None
        # On a CPU torch's fused attention trains several times slower than a product with an added mask.
        attend = attention_mask(mask, embeds.shape[1], added=torch.is_grad_enabled() and embeds.device.type == "cpu")
        for layer in self.layers:
            embeds = layer(embeds, vision_mask, positions, attend, cache)
        return self.norm(embeds)


class CogVLM2ForCausalLM(PreTrainedModel):
    """The whole model. `forward` is for callers with token types; `Loaded` calls the parts."""

    config_class = CogVLM2Config
    base_model_prefix = "model"
    _no_split_modules = ("Layer", "TowerLayer")
    _supports_sdpa = True

    def __init__(self, config: CogVLM2Config) -> None:
        super().__init__(config)
        self.model = Body(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """As torch left them, but for what a checkpoint load builds without values."""
        if isinstance(module, Rotary):
            module.inv_freq = module.frequencies().to(module.inv_freq.device)
        elif isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=0.02)

    def get_input_embeddings(self) -> nn.Module:
        return self.model.embed_tokens

    def set_input_embeddings(self, value: Any) -> None:
        self.model.embed_tokens = value

    def get_output_embeddings(self) -> nn.Module:
        return self.lm_head

    def prepare_inputs_for_generation(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """peft looks for it; decoding is done by `mathse.generation`."""
        raise NotImplementedError("CogVLM2 decodes with mathse.generation.torch.complete")

    def embed(self, ids: Tensor, types: Tensor, features: Tensor | None) -> Tensor:
        """Token embeddings (B, T, H) with the pictures' features where `types` is VISION."""
        embeds = self.model.embed_tokens(ids)
        if features is None:
            return embeds
        return embeds.masked_scatter((types == VISION)[..., None], features.to(embeds.dtype))

    def forward(self, ids: Tensor, types: Tensor, mask: Tensor, pixels: Tensor | None = None) -> Tensor:
        """Logits (B, T, V) in float32."""
        features = self.model.vision(pixels) if pixels is not None and len(pixels) else None
        embeds = self.embed(ids, types, features)
        return self.lm_head(self.model(embeds, position_ids(types, mask), mask, types == VISION)).float()


def experts(picture_mask: Tensor) -> Tensor:
    """Which tokens (B, T) go to the vision expert: those of a picture that are followed by another, so eoi does not."""
    following = torch.zeros_like(picture_mask)
    following[:, :-1] = picture_mask[:, 1:]
    return picture_mask & following


def position_ids(types: Tensor, mask: Tensor) -> Tensor:
    """Positions (B, T): one more at each text token, at boi, at the first patch, at eoi; all patches share one."""
    vision = (types == VISION) & (mask == 1)
    before, after = torch.zeros_like(vision), torch.zeros_like(vision)
    before[:, 1:], after[:, :-1] = vision[:, :-1], vision[:, 1:]
    patch = vision & before & after
    first_patch = patch & ~torch.cat([torch.zeros_like(patch[:, :1]), patch[:, :-1]], 1)
    moves = ((mask == 1) & ~patch) | first_patch
    moves[:, 0] = False
    return moves.long().cumsum(1)


def attention_mask(mask: Tensor, length: int, *, added: bool = False) -> Tensor | None:
    """What may be attended to by the last `length` tokens; None where it is plain causal, so that no matrix is built.

    Boolean (B, 1, T, S) for several tokens; scores to add for one, and for several with `added`, which always builds the
    matrix. A padded query sees itself, which gives no NaN.
    """
    keys = mask.shape[1]
    causal = length == 1 or (length == keys and not added)
    if causal and bool((mask == 1).all()):
        return None
    if length == 1:
        hidden = torch.zeros(mask.shape, device=mask.device)
        return hidden.masked_fill(mask == 0, torch.finfo(torch.float32).min)[:, None, None]
    rows = torch.arange(keys - length, keys, device=mask.device)[:, None]
    columns = torch.arange(keys, device=mask.device)[None]
    seen = ((columns <= rows) & (mask == 1)[:, None] | (columns == rows))[:, None]
    return (
        torch.zeros(seen.shape, device=mask.device).masked_fill(~seen, torch.finfo(torch.bfloat16).min)
        if added
        else seen
    )


ARCHITECTURES = ("CogVLMForCausalLM", "CogVLM2ForCausalLM")  # the original's name, and ours


def read_config(folder: Path, *, exact_rope: bool = True) -> CogVLM2Config:
    """The configuration in `folder`. Raises ValueError where it is another model's."""
    original = json.loads((folder / "config.json").read_text())
    architecture = (original.get("architectures") or ["none"])[0]
    if architecture not in ARCHITECTURES:
        raise ValueError(f"{folder / 'config.json'}: architecture {architecture} is not CogVLM2's {ARCHITECTURES[0]}")
    fields = [
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_multi_query_heads",
        "vocab_size",
        "rms_norm_eps",
        "vision_config",
        "pad_token_id",
        "bos_token_id",
        "eos_token_id",
    ]
    return CogVLM2Config(**{name: original[name] for name in fields if name in original}, exact_rope=exact_rope)
