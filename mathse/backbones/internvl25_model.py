"""InternVL2.5's published checkpoints (`internvl_chat`) in transformers' native class: configuration and names translated.

Both language models of the family: InternLM2 (queries, keys and values packed in one matrix) becomes Llama, Qwen2 keeps its names.
"""

from __future__ import annotations

import functools
from typing import Any

from torch import Tensor
from transformers import InternVLConfig, InternVLForConditionalGeneration, LlamaConfig, Qwen2Config
from transformers.conversion_mapping import register_checkpoint_conversion_mapping
from transformers.core_model_loading import Chunk, ConversionOps, WeightConverter, WeightRenaming
from transformers.models.internvl.configuration_internvl import InternVLVisionConfig


class InternVL25ForConditionalGeneration(InternVLForConditionalGeneration):
    """Its name selects the translation of keys below; the computation is transformers' own."""


class UnpackQKV(ConversionOps):
    """InternLM2's `wqkv` (H + 2 K d, H): in each of the K key groups first the query heads, then the key, then the value head."""

    def convert(
        self, input_dict: dict[str, Any], source_patterns: list[str], target_patterns: list[str], **kwargs: Any
    ) -> dict[str, Tensor]:
        (packed,) = input_dict.values()
        packed = packed[0] if isinstance(packed, list) else packed
        text = kwargs["model"].config.text_config
        groups, size = text.num_key_value_heads, text.hidden_size // text.num_attention_heads
        heads = packed.unflatten(0, (groups, -1, size))
        parts = heads[:, :-2], heads[:, -2:-1], heads[:, -1:]
        return {name: part.flatten(0, 2).contiguous() for name, part in zip(target_patterns, parts, strict=True)}

    @property
    def reverse_op(self) -> ConversionOps:
        raise NotImplementedError("checkpoints are saved in transformers' own format")


@functools.cache
def register() -> None:
    """Make the translation of keys known to transformers."""
    renamed = {
        r"^language_model\.(?:output|lm_head)\.": "lm_head.",
        r"^language_model\.model\.": "model.language_model.",
        r"^vision_model\.": "model.vision_tower.",
        r"^mlp1\.0\.": "model.multi_modal_projector.layer_norm.",
        r"^mlp1\.1\.": "model.multi_modal_projector.linear_1.",
        r"^mlp1\.3\.": "model.multi_modal_projector.linear_2.",
        r"\.tok_embeddings\.": ".embed_tokens.",
        r"\.attention_norm\.": ".input_layernorm.",
        r"\.ffn_norm\.": ".post_attention_layernorm.",
        r"\.attention\.wo\.": ".self_attn.o_proj.",
        r"\.feed_forward\.w1\.": ".mlp.gate_proj.",
        r"\.feed_forward\.w3\.": ".mlp.up_proj.",
        r"\.feed_forward\.w2\.": ".mlp.down_proj.",
        r"vision_tower\.embeddings\.class_embedding": "vision_tower.embeddings.cls_token",
        r"vision_tower\.embeddings\.position_embedding$": "vision_tower.embeddings.position_embeddings",
        r"vision_tower\.embeddings\.patch_embedding\.": "vision_tower.embeddings.patch_embeddings.projection.",
        r"vision_tower\.encoder\.layers\.": "vision_tower.encoder.layer.",
        r"\.attn\.proj\.": ".attention.projection_layer.",
        r"\.attn\.q_norm\.": ".attention.q_norm.",
        r"\.attn\.k_norm\.": ".attention.k_norm.",
        r"\.ls1$": ".lambda_1",
        r"\.ls2$": ".lambda_2",
        r"(vision_tower\.encoder\.layer\.\d+)\.norm1\.": r"\1.layernorm_before.",
        r"(vision_tower\.encoder\.layer\.\d+)\.norm2\.": r"\1.layernorm_after.",
    }
    mapping = [WeightRenaming(source, target) for source, target in renamed.items()]
    three = ["q_proj", "k_proj", "v_proj"]
    mapping += [
        WeightConverter("attention.wqkv", [f"self_attn.{name}" for name in three], [UnpackQKV()]),
        WeightConverter("attn.qkv", [f"attention.{name}" for name in three], [Chunk(0)]),
    ]
    register_checkpoint_conversion_mapping(InternVL25ForConditionalGeneration.__name__, mapping, overwrite=True)


def translate(original: dict[str, Any], image_token_id: int) -> InternVLConfig:
    """transformers' configuration for an original `config.json`. Raises ValueError naming a field that has no counterpart."""
    text, vision = original["llm_config"], original["vision_config"]
    for field, wanted in (("ps_version", "v2"), ("select_layer", -1), ("downsample_ratio", 0.5)):
        if original.get(field, wanted) != wanted:
            raise ValueError(f"config.json: {field}={original[field]} is not InternVL2.5's {wanted}")
    common = {
        name: text[name]
        for name in (
            "vocab_size",
            "hidden_size",
            "intermediate_size",
            "num_hidden_layers",
            "num_attention_heads",
            "num_key_value_heads",
            "max_position_embeddings",
            "rms_norm_eps",
            "hidden_act",
            "bos_token_id",
            "eos_token_id",
        )
    }
    scaling = text.get("rope_scaling") or {}
    rope: dict[str, Any] = {
        "rope_type": scaling.get("rope_type", scaling.get("type", "default")),
        "rope_theta": float(text.get("rope_theta", 10000)),
    }
    if "factor" in scaling:
        rope["factor"] = scaling["factor"]
    tied = bool(text.get("tie_word_embeddings", False))
    architecture = (text.get("architectures") or ["?"])[0]
    if architecture == "InternLM2ForCausalLM":
        bias = bool(text.get("bias", True))
        language: Any = LlamaConfig(
            **common,
            rope_parameters=rope,
            attention_bias=bias,
            mlp_bias=bias,
            pad_token_id=text.get("pad_token_id"),
            tie_word_embeddings=tied,
        )
    elif architecture == "Qwen2ForCausalLM":
        language = Qwen2Config(
            **common, rope_parameters=rope, pad_token_id=text.get("pad_token_id"), tie_word_embeddings=tied
        )
    else:
        raise ValueError(f"config.json: llm_config.architectures={architecture} is not one of InternVL2.5's")
    side = vision["image_size"]
    tower = InternVLVisionConfig(
        hidden_size=vision["hidden_size"],
        num_hidden_layers=vision["num_hidden_layers"],
        num_attention_heads=vision["num_attention_heads"],
        intermediate_size=vision["intermediate_size"],
        attention_bias=bool(vision["qkv_bias"]),
        use_qk_norm=bool(vision.get("qk_normalization", True)),
        norm_type=vision.get("norm_type", "rms_norm"),
        layer_norm_eps=vision["layer_norm_eps"],
        hidden_act=vision["hidden_act"],
        image_size=side,
        patch_size=vision["patch_size"],
        num_channels=vision.get("num_channels", 3),
    )
    tokens = int((side // vision["patch_size"] * original.get("downsample_ratio", 0.5)) ** 2)
    return InternVLConfig(
        text_config=language,
        vision_config=tower,
        image_token_id=image_token_id,
        image_seq_length=tokens,
        tie_word_embeddings=tied,
    )
