"""What a step does, counted as it does it: tokens that models read, write and learn from, pictures that they look at.

Counts go into the step's record and are no part of any recipe. What a step of an earlier commit did is not known: its record has none.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass
class Work:
    """Tokens without padding. `tokens_trained` have a label, `tokens_passed` are all of the rows they stand in, pictures included,
    forward and back; `tokens_read` went forward only (prompts, held-out rows); of the pictures some were encoded, making
    `picture_tokens`, the others found among the kept features; `flops`: see mathse/backbones/flops.py."""

    tokens_trained: int = 0
    tokens_passed: int = 0
    tokens_read: int = 0
    tokens_generated: int = 0
    pictures_encoded: int = 0
    pictures_found: int = 0
    picture_tokens: int = 0
    flops: float = 0.0


COUNTS = tuple(field.name for field in dataclasses.fields(Work))
_WORK: ContextVar[Work | None] = ContextVar("_WORK", default=None)


@contextmanager
def counted() -> Iterator[Work]:
    """Within, what is counted adds up to the `Work` given."""
    work = Work()
    token = _WORK.set(work)
    try:
        yield work
    finally:
        _WORK.reset(token)


def count(**done: float) -> None:
    """Add to the counts of the step in progress, by the names of `Work`'s fields; outside of one, to none."""
    work = _WORK.get()
    if work is not None:
        for name, more in done.items():
            setattr(work, name, getattr(work, name) + more)
