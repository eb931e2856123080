"""The families' tiny members: their tokens, the pictures and cells that they see, and models of three million random weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PIL.Image import Image

from mathse.backbones import Loaded
from mathse.backbones.attention import register
from mathse.figures import Drawn
from pretraining.views import Views, square, tiles, whole

VOCABULARY = 1024


@dataclass(frozen=True)
class Family:
    """What the recipe needs to know of a family.

    `special` tokens and their `roles` in the tokenizer; how to `make` a model and its `Loaded` with random weights; the cells that its
    picture tokens stand for (`views`); the pictures it is shown for a problem; how many features stand at each end of a picture
    that are no cell's (`ends`).
    """

    special: tuple[str, ...]
    roles: dict[str, str]
    make: Callable[[Any], tuple[Any, Loaded]]
    views: Callable[[Drawn], Views]
    shown: Callable[[Any, Drawn], list[Image]] = lambda loaded, drawn: drawn.pictures
    ends: int = 0


def make_qwen2vl(tokenizer: Any) -> tuple[Any, Loaded]:
    """A Qwen2-VL of 3.1 million parameters: hidden 192, 4 layers; tower 128 wide, 4 layers."""
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

    ids = tokenizer.get_vocab()
    config = Qwen2VLConfig(
        text_config={
            "vocab_size": VOCABULARY,
            "hidden_size": 192,
            "intermediate_size": 512,
            "num_hidden_layers": 4,
            "num_attention_heads": 6,
            "num_key_value_heads": 2,
            "max_position_embeddings": 4096,
            "tie_word_embeddings": True,
            "bos_token_id": None,
            "eos_token_id": ids["<|im_end|>"],
            "pad_token_id": ids["<|endoftext|>"],
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 6, 6]},
        },
        vision_config={
            "depth": 4,
            "embed_dim": 128,
            "hidden_size": 192,
            "num_heads": 4,
            "mlp_ratio": 4,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
        },
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=True,
    )
    config._attn_implementation = register()
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    from mathse.backbones.qwen2vl import LoadedQwen2VL

    model = Qwen2VLForConditionalGeneration(config)
    return model, LoadedQwen2VL(
        model, tokenizer, Qwen2VLImageProcessorPil(size={"shortest_edge": 3136, "longest_edge": 112 * 112})
    )


def make_internvl25(tokenizer: Any) -> tuple[Any, Loaded]:
    """An InternVL2.5 of its 8B member's kind (InternViT and Llama), as wide and deep as the tiny Qwen2-VL; a tile is 112 pixels."""
    from transformers import InternVLConfig, InternVLForConditionalGeneration, LlamaConfig
    from transformers.models.internvl.configuration_internvl import InternVLVisionConfig

    from mathse.backbones.internvl25 import LoadedInternVL25

    ids = tokenizer.get_vocab()
    config = InternVLConfig(
        text_config=LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=192,
            intermediate_size=512,
            num_hidden_layers=4,
            num_attention_heads=6,
            num_key_value_heads=2,
            max_position_embeddings=4096,
            rms_norm_eps=1e-5,
            tie_word_embeddings=True,
            bos_token_id=ids["<s>"],
            eos_token_id=ids["<|im_end|>"],
            pad_token_id=ids["</s>"],
        ),
        vision_config=InternVLVisionConfig(
            hidden_size=128,
            num_hidden_layers=4,
            num_attention_heads=4,
            attention_bias=True,
            intermediate_size=512,
            image_size=112,
            patch_size=14,
        ),
        image_token_id=ids["<IMG_CONTEXT>"],
        image_seq_length=16,
        tie_word_embeddings=True,
    )
    config._attn_implementation = register()
    model = InternVLForConditionalGeneration(config)
    return model, LoadedInternVL25(model, tokenizer, 1, "You are a helpful assistant.")


def make_cogvlm2(tokenizer: Any) -> tuple[Any, Loaded]:
    """A CogVLM2 with a visual expert in every layer, as wide and deep as the tiny Qwen2-VL; its square has 112 pixels."""
    from mathse.backbones.cogvlm2 import LoadedCogVLM2
    from mathse.backbones.cogvlm2_model import CogVLM2Config, CogVLM2ForCausalLM

    ids = tokenizer.get_vocab()
    config = CogVLM2Config(
        vocab_size=VOCABULARY,
        hidden_size=192,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=6,
        num_multi_query_heads=2,
        rms_norm_eps=1e-5,
        tie_word_embeddings=False,
        bos_token_id=ids["<|begin_of_text|>"],
        eos_token_id=[ids["<|end_of_text|>"], ids["<|eot_id|>"]],
        pad_token_id=ids["<|reserved_special_token_0|>"],
        vision_config={
            "dropout_prob": 0.0,
            "hidden_act": "gelu",
            "in_channels": 3,
            "num_hidden_layers": 4,
            "hidden_size": 128,
            "patch_size": 14,
            "num_heads": 4,
            "intermediate_size": 512,
            "layer_norm_eps": 1e-6,
            "num_positions": 65,
            "image_size": 112,
        },
    )
    model = CogVLM2ForCausalLM(config)
    return model, LoadedCogVLM2(model, tokenizer, "tile")


FAMILIES = {
    "qwen2vl": Family(
        (
            "<|endoftext|>",
            "<|im_start|>",
            "<|im_end|>",
            "<|vision_start|>",
            "<|vision_end|>",
            "<|vision_pad|>",
            "<|image_pad|>",
            "<|video_pad|>",
        ),
        {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"},
        make_qwen2vl,
        whole,
    ),
    "internvl25": Family(
        ("<s>", "</s>", "<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>"),
        {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "</s>"},
        make_internvl25,
        tiles,
    ),
    "cogvlm2": Family(
        ("<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>", "<|eot_id|>"),
        {"bos_token": "<|begin_of_text|>", "eos_token": "<|end_of_text|>"},
        make_cogvlm2,
        square,
        lambda loaded, drawn: [loaded.one(drawn.pictures)],
        ends=1,  # boi and eoi
    ),
}
