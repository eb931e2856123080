"""Where, how and on whose account steps run: no part of any recipe."""

from __future__ import annotations

import os
import re
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Annotated

from mathse.settings import Count, Positive, settings


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
    devices: Positive
    threads: Count
    batch_size: Positive
    isolate: bool
    unfold: bool
    recompute: bool
    save_every: Annotated[float, ">= 0"]

    def check(self) -> None:
        if not re.fullmatch(r"(cpu|cuda)(:\d+)?", self.device):
            raise ValueError(f"runtime.device should be cpu or cuda, got {self.device!r}")


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
