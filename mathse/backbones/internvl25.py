"""InternVL2.5 (arXiv 2412.05271): transformers' native class, from the published `internvl_chat` checkpoints or its own format.

ChatML template, pictures as <img><IMG_CONTEXT>…</img> on lines before the text; a picture becomes up to `max_tiles` square
tiles of the tower's size in the grid of the nearest aspect ratio, and a thumbnail where there is more than one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mathse.backbones import Loaded, Part
from mathse.backbones.loading import Layout, Member
from mathse.backbones.weights import read_config
from mathse.settings import Positive, settings
from mathse.types import Chat

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

CONTEXT = "<IMG_CONTEXT>"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
LAYOUT = Layout(
    quantized=r"model\.language_model\.layers\.\d+\.(self_attn|mlp)\.\w+_proj",
    kept=(r"model\.vision_tower", r"model\.multi_modal_projector", r"lm_head"),
    targets=r".*language_model\.layers\.\d+\.(self_attn|mlp)\.\w+_proj",
)


@settings
class InternVL25(Member["LoadedInternVL25"]):
    """A member of the family. `system` is the template's system message, `max_tiles` the most tiles of a picture."""

    family = "internvl25"
    layout = LAYOUT
    architectures = ("InternVLForConditionalGeneration", "InternVLChatModel")
    marks = ("<|im_start|>", "<|im_end|>", "<img>", "</img>", CONTEXT)

    checkpoint: str
    max_tiles: Positive
    max_length: Positive
    system: str

    def architecture(self, folder: Path, tokenizer: Any | None) -> tuple[Any, Any]:
        from transformers import InternVLConfig, InternVLForConditionalGeneration

        original = read_config(folder)
        if original.get("model_type") != "internvl_chat":
            return InternVLForConditionalGeneration, InternVLConfig.from_pretrained(folder)
        from mathse.backbones.internvl25_model import InternVL25ForConditionalGeneration, register, translate

        register()
        placeholder = tokenizer.convert_tokens_to_ids(CONTEXT) if tokenizer else 0
        return InternVL25ForConditionalGeneration, translate(original, placeholder)

    def largest_picture(self, config: Any) -> tuple[int, int, int, int]:
        tiles = self.max_tiles + (self.max_tiles > 1)  # and the thumbnail
        vision = config.vision_config
        patches = (vision.image_size[0] // vision.patch_size[0]) ** 2 + 1
        return config.image_seq_length * tiles, patches * tiles, vision.hidden_size, vision.intermediate_size

    def wrap(self, module: Any, tokenizer: Any) -> LoadedInternVL25:
        return LoadedInternVL25(module, tokenizer, self.max_tiles, self.system)


class LoadedInternVL25(Loaded):
    """InternVL2.5 in memory."""

    layout = LAYOUT

    def __init__(self, module: Any, tokenizer: Any, max_tiles: int, system: str) -> None:
        from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil

        super().__init__()
        self.module, self.tokenizer, self.system = module, tokenizer, system
        base = module.get_base_model() if hasattr(module, "get_base_model") else module
        self.model, self.lm_head = base.model, base.lm_head
        self.layers = base.config.text_config.num_hidden_layers
        side = base.config.vision_config.image_size[0]
        self.processor = GotOcr2ImageProcessorPil(
            size={"height": side, "width": side},
            crop_to_patches=True,
            min_patches=1,
            max_patches=max_tiles,
            image_mean=MEAN,
            image_std=STD,
        )
        self.tokens = base.config.image_seq_length
        self.picture_id = base.config.image_token_id
        self.stop_ids = (tokenizer.convert_tokens_to_ids("<|im_end|>"),)
        self.pad_id = tokenizer.pad_token_id
        self.begin = tokenizer.bos_token or ""

    def parts(self, chat: Chat, *, reply: bool) -> list[Part]:
        parts = [Part(f"{self.begin}<|im_start|>system\n{self.system}<|im_end|>\n")]
        for turn in chat:
            parts.append(Part(f"<|im_start|>{turn.role}\n"))
            for i, picture in enumerate(turn.images, start=1):
                name = f"Image-{i}: " if len(turn.images) > 1 else ""
                parts += [Part(f"{name}<img>"), Part(picture=picture), Part("</img>\n")]
            parts.append(Part(f"{turn.text}<|im_end|>", trained=turn.role == "assistant"))
            parts.append(Part("\n"))
        if reply:
            parts.append(Part("<|im_start|>assistant\n"))
        return parts

    def picture_shape(self, picture: Image) -> tuple[int, ...]:
        return (self.processor.get_number_of_image_patches(picture.height, picture.width),)

    def picture_ids(self, shape: tuple[int, ...]) -> list[int]:
        return [self.picture_id] * (shape[0] * self.tokens)

    def positions(self, ids: Tensor, shapes: Sequence[tuple[int, ...]]) -> Tensor:
        import torch

        return torch.arange(len(ids))[None]

    def see(self, pictures: Sequence[Image]) -> list[Tensor]:
        if not pictures:
            return []
        seen = self.processor(images=list(pictures), return_tensors="pt")
        pixels = seen["pixel_values"].to(self.device, self.model.vision_tower.dtype)
        features = self.model.get_image_features(pixel_values=pixels).pooler_output  # (tiles, tokens, H)
        return [tiles.flatten(0, 1) for tiles in features.split(seen["num_patches"].tolist())]

    def embed(self, ids: Tensor) -> Tensor:
        return self.model.language_model.embed_tokens(ids)

    def language(
        self, embeds: Tensor, positions: Tensor, mask: Tensor, picture_mask: Tensor | None = None, cache: Any = None
    ) -> Tensor:
        return self.model.language_model(
            inputs_embeds=embeds,
            position_ids=positions[0],
            attention_mask=mask,
            past_key_values=cache,
            use_cache=cache is not None,
        ).last_hidden_state

    def head(self, hidden: Tensor) -> Tensor:
        return self.lm_head(hidden).float()
