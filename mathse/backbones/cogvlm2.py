"""CogVLM2 (arXiv 2408.16500): our own model code (cogvlm2_model.py), the published checkpoints' names and prompt.

`Question: … Answer:` after the picture, no separators; the picture is one square, resized without regard to its proportions.
One picture a problem: several are laid side by side in a square (`several=tile`), or their problem is left out (`several=skip`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mathse.backbones import Loaded, Part
from mathse.backbones.loading import Layout, Member
from mathse.backbones.pictures import open_picture
from mathse.settings import Positive, settings
from mathse.types import Chat

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
LANGUAGE = r"(self_attn\.language_expert_(query_key_value|dense)|mlp\.language_mlp\.\w+_proj)"
LAYOUT = Layout(
    quantized=r"model\.layers\.\d+\.(self_attn|mlp)\..+(query_key_value|dense|_proj)",
    kept=(r"model\.vision", r"lm_head"),
    targets=rf".*model\.layers\.\d+\.{LANGUAGE}",
    experts=2,  # words pass one, pictures the other
)


@settings
class CogVLM2(Member["LoadedCogVLM2"]):
    """A member of the family. `exact_rope`: see `CogVLM2Config`; nobody has said which of the two the released weights fit better."""

    family = "cogvlm2"
    layout = LAYOUT
    architectures = ("CogVLM2ForCausalLM", "CogVLMForCausalLM")
    marks = ()  # the template's two are named by config.json, by number

    checkpoint: str
    max_length: Positive
    several: Literal["tile", "skip"]
    exact_rope: bool

    @property
    def most_pictures(self) -> int | None:
        return 1 if self.several == "skip" else None

    def architecture(self, folder: Path, tokenizer: Any | None) -> tuple[Any, Any]:
        from mathse.backbones.cogvlm2_model import CogVLM2ForCausalLM, read_config

        return CogVLM2ForCausalLM, read_config(folder, exact_rope=self.exact_rope)

    def tokenizer(self, folder: Path) -> Any:
        """See `Member.tokenizer`; config.json says by number what begins and what ends a text."""
        tokenizer = super().tokenizer(folder)
        _, config = self.architecture(folder, tokenizer)
        for field in ("bos_token_id", "eos_token_id"):
            number = _first(getattr(config, field))
            mark = tokenizer.convert_ids_to_tokens(number) if number < len(tokenizer) else None
            if mark is None or tokenizer.encode(mark, add_special_tokens=False) != [number]:
                raise ValueError(
                    f"{folder}: the tokenizer is not the one of these weights: config.json's {field}={number} is no mark there"
                )
        return tokenizer

    def largest_picture(self, config: Any) -> tuple[int, int, int, int]:
        vision = config.vision_config
        return config.image_tokens, vision["num_positions"], vision["hidden_size"], vision["intermediate_size"]

    def wrap(self, module: Any, tokenizer: Any) -> LoadedCogVLM2:
        return LoadedCogVLM2(module, tokenizer, self.several)


class LoadedCogVLM2(Loaded):
    """CogVLM2 in memory."""

    layout = LAYOUT

    def __init__(self, module: Any, tokenizer: Any, several: str) -> None:
        super().__init__()
        self.module, self.tokenizer, self.several = module, tokenizer, several
        base = module.get_base_model() if hasattr(module, "get_base_model") else module
        config = base.config
        self.body, self.lm_head = base.model, base.lm_head
        self.layers = config.num_hidden_layers
        self.side = config.vision_config["image_size"]
        self.tokens = config.image_tokens
        self.picture_id = self.pad_id = config.pad_token_id
        ends = config.eos_token_id
        self.stop_ids = tuple(ends) if isinstance(ends, list) else (ends,)
        self.begin, self.end = (tokenizer.convert_ids_to_tokens(i) for i in (config.bos_token_id, _first(ends)))

    def parts(self, chat: Chat, *, reply: bool) -> list[Part]:
        parts = [Part(self.begin)]
        pictures = [picture for turn in chat for picture in turn.images]
        if pictures:
            parts.append(Part(picture=self.one(pictures)))
        for i, turn in enumerate(chat):
            if turn.role == "user":
                parts.append(Part(f"Question: {turn.text} Answer:"))
            elif i + 1 == len(chat):
                parts.append(Part(f"{turn.text}{self.end}", trained=True, apart=True))
            else:  # an earlier answer is followed by a line's end, not by the end mark
                parts += [Part(f" {turn.text}", trained=True), Part("\n")]
        return parts

    def one(self, pictures: Sequence[str | Image]) -> str | Image:
        """The only picture, or all of them in the cells of a square. Raises ValueError for several with `several=skip`."""
        if len(pictures) == 1:
            return pictures[0]
        if self.several == "skip":
            raise ValueError(f"CogVLM2 takes one picture, the chat has {len(pictures)}; take backbone.several=tile")
        from PIL import Image as images

        opened = [open_picture(picture) for picture in pictures]
        across = math.ceil(math.sqrt(len(opened)))
        width, height = max(p.width for p in opened), max(p.height for p in opened)
        square = images.new("RGB", (width * across, height * across), "white")
        for i, picture in enumerate(opened):
            square.paste(picture, (i % across * width, i // across * height))
        return square

    def picture_shape(self, picture: Image) -> tuple[int, ...]:
        return (self.tokens,)

    def picture_ids(self, shape: tuple[int, ...]) -> list[int]:
        return [self.picture_id] * shape[0]

    def positions(self, ids: Tensor, shapes: Sequence[tuple[int, ...]]) -> Tensor:
        from mathse.backbones.cogvlm2_model import position_ids

        types = (ids == self.picture_id).long()[None]
        return position_ids(types, types.new_ones(types.shape))

    def see(self, pictures: Sequence[Image]) -> list[Tensor]:
        import numpy as np
        import torch
        from PIL import Image as images

        if not pictures:
            return []
        resized = [np.asarray(p.resize((self.side, self.side), images.Resampling.BICUBIC)) for p in pictures]
        pixels = torch.from_numpy(np.stack(resized)).permute(0, 3, 1, 2).float() / 255
        pixels = (pixels - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
        return list(self.body.vision(pixels.to(self.device, self.body.vision.boi.dtype)))

    def embed(self, ids: Tensor) -> Tensor:
        return self.body.embed_tokens(ids)

    def language(
        self, embeds: Tensor, positions: Tensor, mask: Tensor, picture_mask: Tensor | None = None, cache: Any = None
    ) -> Tensor:
        hidden: Tensor = self.body(embeds, positions[0], mask, picture_mask, cache)
        return hidden

    def head(self, hidden: Tensor) -> Tensor:
        return self.lm_head(hidden).float()


def _first(numbers: int | list[int]) -> int:
    return numbers[0] if isinstance(numbers, list) else numbers
