"""A backbone is a family of multimodal models. The protocol, and what all families share once they are in memory.

A family says how a chat becomes text and picture slots, how pictures become features, which positions tokens have, and how
its language model runs. Everything else (label masks, padding, caching of frozen picture features, the trained tokens'
logits) is written once, here. Shapes: B rows, T tokens, A position axes (Qwen2-VL has 3), H hidden size, V vocabulary.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mathse.backbones.features import Features
from mathse.backbones.flops import Size, size_in_memory
from mathse.backbones.pictures import open_picture
from mathse.backbones.rows import Batch, Part, Row, runs
from mathse.store.work import count
from mathse.types import Chat

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image
    from torch import Tensor

    from mathse.backbones.loading import Layout, Shape

__all__ = ["Backbone", "Batch", "Loaded", "Part", "Row"]

LENGTHS = 16  # tokens: rows to train on are padded to a multiple of it (experiments/LOG.md)


class Backbone(Protocol):
    """The settings of one family member, e.g. `Qwen2VL(checkpoint="tiny", …)`. It knows its size, and loads."""

    max_length: int

    @property
    def family(self) -> str: ...

    @property
    def most_pictures(self) -> int | None:
        """The most pictures that a problem may have; None for any number. Problems with more are left out before the loop."""
        ...

    def folder(self) -> Path:
        """Where its files are. Raises ValueError that says what to do where they are not, or are another family's."""
        ...

    def shape(self) -> Shape:
        """How large it is, from its config.json alone."""
        ...

    def load(
        self,
        adapter: Path | None = None,
        *,
        lora: Any = None,
        quantize: bool = True,
        unfolded: bool = False,
        device: str = "cpu",
    ) -> Loaded:
        """The model in memory: the base, with the adapter at `adapter`, or with a new one made from `lora` to be trained.

        `unfolded` gives plain float layers that compute what the 4-bit base and its adapter compute, for generation where
        memory is no concern.
        """
        ...


class Loaded:
    """A backbone in memory. Subclasses are the families: they implement the eight methods that raise NotImplementedError."""

    module: Any  # the transformers or peft model: a torch module with methods of its own
    tokenizer: Any
    stop_ids: tuple[int, ...]
    pad_id: int
    picture_id: int
    layers: int
    layout: Layout
    max_length: int | None = None  # of a chat, in tokens; None: any
    processor: Any = None  # of pictures, where the family has transformers' own

    def __init__(self) -> None:
        self.seen = Features()
        self._known: dict[str, list[int]] = {}

    # ---- what a family knows ----

    def parts(self, chat: Chat, *, reply: bool) -> list[Part]:
        """The chat in the family's template; with `reply`, ending where the assistant should begin to write."""
        raise NotImplementedError

    def picture_shape(self, picture: Image) -> tuple[int, ...]:
        """What decides how many tokens the picture takes and their positions, e.g. (rows, columns) of its grid."""
        raise NotImplementedError

    def picture_ids(self, shape: tuple[int, ...]) -> list[int]:
        """The placeholder tokens for a picture of that shape."""
        raise NotImplementedError

    def positions(self, ids: Tensor, shapes: Sequence[tuple[int, ...]]) -> Tensor:
        """The positions (A, T) of one row's tokens."""
        raise NotImplementedError

    def see(self, pictures: Sequence[Image]) -> list[Tensor]:
        """The features (tokens, H) of each picture (RGB), as they enter the language model."""
        raise NotImplementedError

    def embed(self, ids: Tensor) -> Tensor:
        """Token embeddings (…, H)."""
        raise NotImplementedError

    def language(
        self, embeds: Tensor, positions: Tensor, mask: Tensor, picture_mask: Tensor | None = None, cache: Any = None
    ) -> Tensor:
        """The last hidden states (B, T, H); `cache` (a transformers Cache) is extended where given."""
        raise NotImplementedError

    def head(self, hidden: Tensor) -> Tensor:
        """Logits (…, V) in float32."""
        raise NotImplementedError

    # ---- what all families share ----

    def encode(self, chat: Chat, *, reply: bool = False) -> Row:
        """Tokens, trained mask and positions of one chat. The assistant's words and their end mark are trained, nothing else.

        With `reply`, a chat that ends in the assistant's turn is gone on with: the row ends in those words, without an end mark.
        Marks of the template among anybody's words are torn apart: words open no turn and show no picture.
        """
        import torch

        chat = tuple(dataclasses.replace(turn, text=self._words(turn.text)) for turn in chat)
        begun = chat[-1].text if reply and chat[-1].role == "assistant" else ""
        parts = [*self.parts(chat[:-1], reply=True), Part(begun)] if begun else self.parts(chat, reply=reply)
        ids: list[int] = []
        trained: list[bool] = []
        shapes: list[tuple[int, ...]] = []
        pictures: list[str | Image] = []
        for run in runs(parts):
            picture = run[0].picture
            if picture is None:
                new, learn = self._text(run)
            else:
                shapes.append(self.picture_shape(open_picture(picture)))
                pictures.append(picture)
                new = self.picture_ids(shapes[-1])
                learn = [False] * len(new)
            ids += new
            trained += learn
        ids_T = torch.tensor(ids)
        return Row(ids_T, torch.tensor(trained), self.positions(ids_T, shapes), tuple(pictures))

    def _words(self, text: str) -> str:
        return self._marks.sub(lambda mark: f"{mark[0][0]} {mark[0][1:]}", text)

    @functools.cached_property
    def _marks(self) -> re.Pattern[str]:
        added = self.tokenizer.added_tokens_decoder.values()
        marks = [re.escape(token.content) for token in added if token.special]
        return re.compile("|".join(sorted(marks, key=len, reverse=True)) or r"(?!)")

    def _text(self, run: Sequence[Part]) -> tuple[list[int], list[bool]]:
        """The tokens of neighbouring texts, and which of them are trained. As in the families' own training code, what stands
        before a trained part takes as many tokens as it has alone."""
        text = "".join(part.text for part in run)
        ids = self._tokens(text)
        trained = [False] * len(ids)
        before = ""
        for part in run:
            after = before + part.text
            if part.trained:
                start = len(self._tokens(before))
                end = len(ids) if after == text else min(len(self._tokens(after)), len(ids))
                trained[start:end] = [True] * (end - start)
            before = after
        return ids, trained

    def _tokens(self, text: str) -> list[int]:
        # The template's few fixed pieces come back in every row.
        if text not in self._known and len(self._known) < 4096:
            self._known[text] = self.tokenizer.encode(text, add_special_tokens=False)
        return self._known.get(text) or self.tokenizer.encode(text, add_special_tokens=False)

    def features(self, pictures: Sequence[str | Image]) -> list[Tensor]:
        """Features of the pictures without gradient; of those named by path they are kept."""
        import torch

        with torch.no_grad():
            named = [picture for picture in pictures if isinstance(picture, str)]
            known = iter(self.seen.of(named, lambda some: self._saw(self.see([open_picture(name) for name in some]))))
            others = self.see([open_picture(picture) for picture in pictures if not isinstance(picture, str)])
            self._saw(others)
            unnamed = iter(others)
        return [next(known if isinstance(picture, str) else unnamed) for picture in pictures]

    def _saw(self, features: list[Tensor]) -> list[Tensor]:
        tokens = sum(map(len, features))
        count(pictures_encoded=len(features), picture_tokens=tokens, flops=self.size.seeing(tokens))
        return features

    @functools.cached_property
    def size(self) -> Size:
        """Numbers of weights, for counting operations."""
        return size_in_memory(self.module, self.layout)

    def batch(self, rows: Sequence[Row], *, side: str, features: Sequence[Tensor] | None = None) -> Batch:
        """Pad rows on `side` (training right, generation left) and put the pictures' features in their places.

        On the right to one of a few lengths, so that memory freed for one batch fits the next (measured in experiments/LOG.md).
        """
        import torch

        length = max(len(row) for row in rows)
        if side == "right":
            length = math.ceil(length / LENGTHS) * LENGTHS
        axes = rows[0].positions.shape[0]
        device = self.device
        ids = torch.full((len(rows), length), self.pad_id)
        labels = torch.full((len(rows), length), -100)
        mask = torch.zeros(len(rows), length, dtype=torch.long)
        positions = torch.zeros(axes, len(rows), length, dtype=torch.long)
        for i, row in enumerate(rows):
            where = slice(0, len(row)) if side == "right" else slice(length - len(row), length)
            ids[i, where] = row.ids
            labels[i, where] = torch.where(row.trained, row.ids, -100)
            mask[i, where] = 1
            positions[:, i, where] = row.positions
        picture_mask = (ids == self.picture_id) & (mask == 1)
        embeds = self.embed(ids.to(device))
        pictures = [picture for row in rows for picture in row.pictures]
        if pictures:
            seen = torch.cat(list(features if features is not None else self.features(pictures)))
            assert len(seen) == int(picture_mask.sum()), (
                f"{len(seen)} features for {int(picture_mask.sum())} picture tokens"
            )
            embeds = embeds.masked_scatter(picture_mask.to(device)[..., None], seen.to(device, embeds.dtype))
        return Batch(embeds, positions.to(device), mask.to(device), labels.to(device), picture_mask.to(device))

    def loss(self, batch: Batch) -> Tensor:
        """Summed negative log-likelihood of the trained tokens (Eq. 1 of the paper); only their logits are ever computed."""
        import torch

        hidden = self.language(batch.embeds, batch.positions, batch.mask, batch.picture_mask)
        targets = batch.labels[:, 1:]
        learn = targets != -100
        return torch.nn.functional.cross_entropy(self.head(hidden[:, :-1][learn]), targets[learn], reduction="sum")

    @property
    def device(self) -> torch.device:
        return next(self.module.parameters()).device
