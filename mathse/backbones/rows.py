"""What a chat becomes on its way into a model: parts of a template, a row of tokens, a batch of padded rows.

Shapes: B rows, T tokens, A position axes (Qwen2-VL has 3), H hidden size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor


@dataclass(frozen=True)
class Part:
    """A piece of a templated chat: text, or one picture; `trained` marks what the model should learn to write.

    Neighbouring texts are tokenized as one, so that where a family cuts them changes no token; one that is `apart` is not joined
    to what stands before it.
    """

    text: str = ""
    picture: str | Image | None = None
    trained: bool = False
    apart: bool = False


@dataclass(frozen=True)
class Row:
    """One chat as tokens. `ids` (T,), `trained` (T,) bool, `positions` (A, T), and its pictures in order."""

    ids: Tensor
    trained: Tensor
    positions: Tensor
    pictures: tuple[str | Image, ...]

    def __len__(self) -> int:
        return len(self.ids)

    def cut(self, at: int) -> tuple[Row, Row]:
        """The first `at` tokens, with the pictures, and the rest, which should hold none."""
        before = Row(self.ids[:at], self.trained[:at], self.positions[:, :at], self.pictures)
        return before, Row(self.ids[at:], self.trained[at:], self.positions[:, at:], ())


@dataclass(frozen=True)
class Batch:
    """Padded rows ready for the language model: `embeds` (B, T, H), `positions` (A, B, T), `mask` (B, T) 1 = real,
    `labels` (B, T) with -100 wherever nothing is learned, `picture_mask` (B, T) true on picture tokens."""

    embeds: Tensor
    positions: Tensor
    mask: Tensor
    labels: Tensor
    picture_mask: Tensor


def runs(parts: Sequence[Part]) -> Iterator[list[Part]]:
    """The parts in order: each picture by itself, texts with those that they are tokenized with."""
    run: list[Part] = []
    for part in parts:
        if run and (part.apart or part.picture is not None or run[0].picture is not None):
            yield run
            run = []
        run.append(part)
    if run:
        yield run
