"""Fine-tuning's settings, and the plan of which rows make up which step. Light to import: conf/ is composed without torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random
from typing import Annotated

from mathse.settings import Count, Positive, Share, settings


@settings
class Fit:
    """Fine-tuning's settings (PAPER Table 6): AdamW, linear warm-up, cosine to zero. `batch_size` rows a step, `micro_batch_size` at once.

    `validation` is the share of rows kept out to measure the loss on; `min_steps` trains small sets for more epochs.
    """

    epochs: Annotated[float, "> 0"]
    min_steps: Count
    batch_size: Positive
    micro_batch_size: Positive
    lr: Annotated[float, "> 0"]
    weight_decay: Annotated[float, ">= 0"]
    warmup: Share
    clip: Annotated[float, ">= 0"]
    validation: Annotated[float, ">= 0 < 1"]

    def check(self) -> None:
        if self.batch_size % self.micro_batch_size:
            raise ValueError(
                f"Fit.micro_batch_size={self.micro_batch_size} should divide Fit.batch_size={self.batch_size}"
            )

    def micro_batches(self, devices: int) -> int:
        """Of one step, how many each device takes. Raises ValueError where they cannot all take the same number."""
        count = self.batch_size // self.micro_batch_size
        if count % devices:
            smaller = [size for size in range(1, self.micro_batch_size) if self.batch_size % (size * devices) == 0]
            fits = f"micro_batch_size={smaller[-1]}" if smaller else f"a number of devices that divides {count}"
            raise ValueError(
                f"runtime.devices={devices} cannot share a step of batch_size={self.batch_size} rows in micro-batches of "
                f"micro_batch_size={self.micro_batch_size} evenly; {fits} fits"
            )
        return count // devices


def plan(lengths: Sequence[int], fit: Fit, seed: int) -> list[list[int]]:
    """The rows of each step, `fit.batch_size` of them: shuffled epochs laid end to end, rows of similar length together.

    A function of its arguments alone. Sorting happens within eight steps' worth of rows, sorted steps are shuffled again.
    """
    steps = max(fit.min_steps, math.ceil(len(lengths) * fit.epochs / fit.batch_size))
    order: list[int] = []
    epoch = 0
    while len(order) < steps * fit.batch_size:
        rows = list(range(len(lengths)))
        Random(f"{seed}/order/{epoch}").shuffle(rows)
        order += rows
        epoch += 1
    batches: list[list[int]] = []
    pool = 8 * fit.batch_size
    for start in range(0, steps * fit.batch_size, pool):
        block = sorted(order[start : min(start + pool, steps * fit.batch_size)], key=lambda row: lengths[row])
        cut = [block[i : i + fit.batch_size] for i in range(0, len(block), fit.batch_size)]
        Random(f"{seed}/blocks/{start}").shuffle(cut)
        batches += cut
    return batches
