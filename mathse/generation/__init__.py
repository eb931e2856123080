"""Generation: decoding settings, what comes back, and the engines that do it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from mathse.settings import settings
from mathse.types import Chat


@settings
class Sampling:
    """How to decode: temperature 0 is greedy; `samples` tries per chat; at most `max_new_tokens` each."""

    temperature: float
    top_p: float
    samples: int
    max_new_tokens: int

    def check(self) -> None:
        if self.temperature < 0 or not 0 < self.top_p <= 1 or self.samples < 1 or self.max_new_tokens < 1:
            raise ValueError(
                f"Sampling: temperature >= 0, 0 < top_p <= 1, samples >= 1 and max_new_tokens >= 1 are needed, got {self}"
            )
        if self.temperature == 0 and self.samples > 1:
            raise ValueError("Sampling.samples > 1 at temperature 0 gives the same text each time; set a temperature")


@dataclass(frozen=True)
class Completion:
    """What a model wrote: its text, whether it came to an end of its own (not cut at the limit), and its length in tokens.

    `stopped`: enough was said, by the rule that the caller gave. `refused`: why nothing was written, else empty.
    `chance`: where it was asked between two openings and wrote as they begin, the probability of the first against the second.
    """

    text: str
    finished: bool
    tokens: int
    stopped: bool = False
    refused: str = ""
    chance: float | None = None


@runtime_checkable
class Engine(Protocol):
    """What answers chats by itself, where no weights are loaded here: see `mathse.generation.server`."""

    def complete(self, chats: Sequence[Chat], sampling: Sampling) -> list[list[Completion]]:
        """`sampling.samples` completions of each chat, in order."""
        ...
