"""Where, how and on whose account steps run: no part of any recipe."""

from __future__ import annotations

import os
from contextvars import ContextVar
from dataclasses import dataclass

from mathse.settings import settings


@settings
class Runtime:
    """Where and how steps run, never what they compute: no part of any recipe.

    `device`: cpu or cuda; `devices`: how many of them share a step that needs weights, a process each; `threads`: of torch in
    a process, 0 = all cores; `batch_size`: chats decoded together on a device; `isolate`: every step in a process of its own
    (frees GPU memory); `unfold`: generate with plain float
    layers that hold what the 4-bit ones compute (fast, but needs their memory); `recompute`: fine-tuning keeps only each
    layer's input and computes the rest again on the way back (gradient checkpointing: a third more work, much less memory);
    `save_every`: seconds between checkpoints.
    """

    device: str
    devices: int
    threads: int
    batch_size: int
    isolate: bool
    unfold: bool
    recompute: bool
    save_every: float

    def check(self) -> None:
        if self.devices < 1:
            raise ValueError(f"runtime.devices should be at least 1, got {self.devices}")


RANK = "MATHSE_RANK"  # set in each of the processes that share a step: its number and how many there are


@dataclass(frozen=True)
class Rank:
    """Which of the processes that share a step this one is. The first one, 0, gathers what all have done, and writes it."""

    number: int = 0
    of: int = 1

    @classmethod
    def mine(cls) -> Rank:
        return cls(*map(int, os.environ.get(RANK, "0/1").split("/")))


class ShareDone(BaseException):
    """Raised within a step whose other ranks go on: this one has done its share."""


@dataclass(frozen=True)
class Doing:
    """Which step of which run is being computed: who pays for what is bought meanwhile."""

    run: str = ""
    step: str = ""


NOTHING = Doing()
DOING: ContextVar[Doing] = ContextVar("DOING", default=NOTHING)
