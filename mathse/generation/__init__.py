"""Generation: decoding settings, what comes back, and the engines that do it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol, runtime_checkable

from mathse.settings import Positive, settings
from mathse.types import Chat


@settings
class Sampling:
    """How to decode: temperature 0 is greedy; `samples` tries per chat; at most `max_new_tokens` each."""

    temperature: Annotated[float, ">= 0"]
    top_p: Annotated[float, "> 0 <= 1"]
    samples: Positive
    max_new_tokens: Positive

    def check(self) -> None:
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
