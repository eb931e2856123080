"""A toy family, as a newcomer would put it into mathse/backbones: a Llama whose tower is one linear layer on sixteen colours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL.Image import Image
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

from mathse.backbones import Loaded, Part
from mathse.backbones.loading import Layout, Member
from mathse.settings import settings
from mathse.types import Chat

LINEAR = r"model\.layers\.\d+\.(self_attn|mlp)\.\w+_proj"


class ToyModel(LlamaForCausalLM):
    def __init__(self, config: LlamaConfig) -> None:
        super().__init__(config)
        self.tower = nn.Linear(3, config.hidden_size)
        self.post_init()


@settings
class Toy(Member["LoadedToy"]):
    """The family's one member. It takes one picture at most."""

    family = "toy"
    layout = Layout(quantized=LINEAR, kept=(r"tower", r"lm_head"), targets=rf".*{LINEAR}")
    architectures = ("ToyModel",)
    marks = ("<pad>", "<end>", "<picture>")

    checkpoint: str
    max_length: int

    @property
    def most_pictures(self) -> int | None:
        return 1

    def architecture(self, folder: Path, tokenizer: Any | None) -> tuple[Any, Any]:
        return ToyModel, LlamaConfig.from_pretrained(folder)

    def largest_picture(self, config: Any) -> tuple[int, int, int, int]:
        return 16, 16, 3, 0

    def wrap(self, module: Any, tokenizer: Any) -> LoadedToy:
        return LoadedToy(module, tokenizer)


class LoadedToy(Loaded):
    """The toy in memory."""

    def __init__(self, module: Any, tokenizer: Any) -> None:
        super().__init__()
        self.module, self.tokenizer = module, tokenizer
        self.base = module.get_base_model() if hasattr(module, "get_base_model") else module
        self.layers = self.base.config.num_hidden_layers
        self.pad_id, self.picture_id, end = tokenizer.convert_tokens_to_ids(["<pad>", "<picture>", "<end>"])
        self.stop_ids = (end,)

    def parts(self, chat: Chat, *, reply: bool) -> list[Part]:
        parts = []
        for turn in chat:
            parts += [Part(picture=picture) for picture in turn.images]
            parts.append(Part(f"{turn.text}<end>", trained=turn.role == "assistant"))
        return parts

    def picture_shape(self, picture: Image) -> tuple[int, ...]:
        return (4, 4)

    def picture_ids(self, shape: tuple[int, ...]) -> list[int]:
        return [self.picture_id] * (shape[0] * shape[1])

    def positions(self, ids: Tensor, shapes: Sequence[tuple[int, ...]]) -> Tensor:
        return torch.arange(len(ids))[None]

    def see(self, pictures: Sequence[Image]) -> list[Tensor]:
        weight = self.base.tower.weight
        return [
            self.base.tower(torch.tensor(np.array(picture.resize((4, 4))) / 255).flatten(0, 1).to(weight))
            for picture in pictures
        ]

    def embed(self, ids: Tensor) -> Tensor:
        return self.base.model.embed_tokens(ids)

    def language(
        self, embeds: Tensor, positions: Tensor, mask: Tensor, picture_mask: Tensor | None = None, cache: Any = None
    ) -> Tensor:
        return self.base.model(
            inputs_embeds=embeds,
            position_ids=positions[0],
            attention_mask=mask,
            past_key_values=cache,
            use_cache=cache is not None,
        ).last_hidden_state

    def head(self, hidden: Tensor) -> Tensor:
        return self.base.lm_head(hidden).float()
