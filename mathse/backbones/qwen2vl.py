"""Qwen2-VL (arXiv 2409.12191): transformers' own `Qwen2VLForConditionalGeneration`, image processing, and M-RoPE.

ChatML template, pictures as <|vision_start|><|image_pad|>…<|vision_end|>; position axes (time, height, width).
The tower attends to pictures of one size in one batch (transformers loops over them), with equal results.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mathse.backbones import Loaded, Part
from mathse.backbones.loading import Layout, Member
from mathse.settings import Positive, settings
from mathse.types import Chat

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

LAYOUT = Layout(
    quantized=r"model\.language_model\.layers\.\d+\.(self_attn|mlp)\.\w+_proj",
    kept=(r"model\.visual", r"lm_head"),
    targets=r".*language_model\.layers\.\d+\.(self_attn|mlp)\.\w+_proj",
)


@settings
class Qwen2VL(Member["LoadedQwen2VL"]):
    """A member of the family.

    A picture is resized so that it has between `min_pixels` and `max_pixels`: the same in training, generation and evaluation.
    """

    family = "qwen2vl"
    layout = LAYOUT
    architectures = ("Qwen2VLForConditionalGeneration",)
    marks = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>")

    checkpoint: str
    min_pixels: Positive
    max_pixels: Positive
    max_length: Positive

    def architecture(self, folder: Path, tokenizer: Any | None) -> tuple[Any, Any]:
        from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

        return Qwen2VLForConditionalGeneration, Qwen2VLConfig.from_pretrained(folder)

    def largest_picture(self, config: Any) -> tuple[int, int, int, int]:
        vision = config.vision_config
        patches = self.max_pixels // vision.patch_size**2
        width = vision.embed_dim
        return patches // vision.spatial_merge_size**2, patches, width, int(width * vision.mlp_ratio)

    def wrap(self, module: Any, tokenizer: Any) -> LoadedQwen2VL:
        from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

        size = {"shortest_edge": self.min_pixels, "longest_edge": self.max_pixels}
        return LoadedQwen2VL(module, tokenizer, Qwen2VLImageProcessorPil(size=size))


class LoadedQwen2VL(Loaded):
    """Qwen2-VL in memory."""

    layout = LAYOUT

    def __init__(self, module: Any, tokenizer: Any, processor: Any) -> None:
        super().__init__()
        self.module = module
        self.tokenizer = tokenizer
        self.processor = processor
        base = module.get_base_model() if hasattr(module, "get_base_model") else module
        self.model = base.model
        self.lm_head = base.lm_head
        self.layers = base.config.text_config.num_hidden_layers
        vision = base.config.vision_config
        self.patch, self.merge = vision.patch_size, vision.spatial_merge_size
        self.picture_id = base.config.image_token_id
        self.stop_ids = (tokenizer.convert_tokens_to_ids("<|im_end|>"),)
        self.pad_id = tokenizer.convert_tokens_to_ids("<|endoftext|>")

    def parts(self, chat: Chat, *, reply: bool) -> list[Part]:
        parts = [Part("<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n")]
        for turn in chat:
            parts.append(Part(f"<|im_start|>{turn.role}\n"))
            for picture in turn.images:
                parts += [Part("<|vision_start|>"), Part(picture=picture), Part("<|vision_end|>")]
            parts.append(Part(f"{turn.text}<|im_end|>", trained=turn.role == "assistant"))
            parts.append(Part("\n"))
        if reply:
            parts.append(Part("<|im_start|>assistant\n"))
        return parts

    def picture_shape(self, picture: Image) -> tuple[int, ...]:
        from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

        size, cell = self.processor.size, self.patch * self.merge
        height, width = smart_resize(picture.height, picture.width, cell, size["shortest_edge"], size["longest_edge"])
        return height // cell, width // cell

    def picture_ids(self, shape: tuple[int, ...]) -> list[int]:
        return [self.picture_id] * (shape[0] * shape[1])

    def positions(self, ids: Tensor, shapes: Sequence[tuple[int, ...]]) -> Tensor:
        import torch

        grids = torch.tensor([[1, rows * self.merge, columns * self.merge] for rows, columns in shapes])
        types = (ids == self.picture_id).int()[None]
        positions, _ = self.model.get_rope_index(ids[None], types, image_grid_thw=grids if len(grids) else None)
        return positions[:, 0]

    def see(self, pictures: Sequence[Image]) -> list[Tensor]:
        import torch

        if not pictures:
            return []
        pixels = self.processor(images=list(pictures), return_tensors="pt")
        grids = pixels["image_grid_thw"]
        counts = grids.prod(-1).tolist()
        chunks = torch.split(pixels["pixel_values"].to(self.device), counts)
        features: list[Tensor | None] = [None] * len(pictures)
        for grid in {tuple(grid) for grid in grids.tolist()}:
            members = [i for i, other in enumerate(grids.tolist()) if tuple(other) == grid]
            seen = self.see_patches(torch.stack([chunks[i] for i in members]), grid)
            for i, feature in zip(members, seen, strict=True):
                features[i] = feature
        return [feature for feature in features if feature is not None]

    def see_patches(self, patches: Tensor, grid: tuple[int, int, int]) -> Tensor:
        """Features (B, tokens, H) of B pictures of one `grid`, from their patches (B, patches, values)."""
        from transformers.models.qwen2_vl.modeling_qwen2_vl import apply_rotary_pos_emb_vision

        visual = self.model.visual
        # The patch embedding's kernel covers exactly one patch: the same numbers as a matrix product, without Conv3d.
        hidden = patches.to(visual.patch_embed.proj.weight.dtype) @ visual.patch_embed.proj.weight.flatten(1).T
        cos, sin = visual.rotary_pos_emb(hidden, _vision_positions(grid, self.merge).to(hidden.device))
        for block in visual.blocks:
            attention = block.attn
            qkv = attention.qkv(block.norm1(hidden)).unflatten(-1, (3, attention.num_heads, -1))
            query, key, value = qkv.unbind(2)  # (B, patches, heads, size)
            query, key = apply_rotary_pos_emb_vision(query, key, cos, sin)
            hidden = hidden + attention.proj(_mix(query, key, value, attention.scaling).flatten(2))
            hidden = hidden + block.mlp(block.norm2(hidden))
        return visual.merger(hidden.flatten(0, 1)).unflatten(0, (len(patches), -1))

    def embed(self, ids: Tensor) -> Tensor:
        return self.model.language_model.embed_tokens(ids)

    def language(
        self, embeds: Tensor, positions: Tensor, mask: Tensor, picture_mask: Tensor | None = None, cache: Any = None
    ) -> Tensor:
        return self.model.language_model(
            inputs_embeds=embeds,
            position_ids=positions,
            attention_mask=mask,
            past_key_values=cache,
            use_cache=cache is not None,
        ).last_hidden_state

    def head(self, hidden: Tensor) -> Tensor:
        return self.lm_head(hidden).float()


def _mix(query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor:
    """Full attention over patches; all are (B, patches, heads, size)."""
    import torch

    if query.is_cuda:  # a large picture's scores, 16 x 5120 x 5120 of them, are never held
        query, key, value = query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)
        return torch.nn.functional.scaled_dot_product_attention(query, key, value, scale=scaling).transpose(1, 2)
    scores = torch.einsum("bqhd,bkhd->bhqk", query, key) * scaling
    return torch.einsum("bhqk,bkhd->bqhd", scores.softmax(-1, dtype=torch.float32).to(value.dtype), value)


@functools.lru_cache(maxsize=64)
def _vision_positions(grid: tuple[int, int, int], merge: int) -> Tensor:
    """Row and column (2, patches) of each patch, in the tower's order: merged cells one after the other."""
    import torch
    from transformers.models.qwen2_vl.modeling_qwen2_vl import get_vision_position_ids

    return get_vision_position_ids(torch.tensor([grid]), merge, kwargs={})
