"""How well first wrong steps are found: the score of ProcessBench (arXiv 2412.06559), and macro-F1 for any labels.

A step's label is a whole number: the first wrong step, counted from 1, or 0 where no step is wrong; None where nothing was said.
ProcessBench counts from 0 and writes -1 where no step is wrong, so its labels plus one are ours.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from mathse.types import Verdict


def step_label(verdict: Verdict) -> int | None:
    """The label that a verdict gives. None for an unreadable one and for a wrong one that names no step: never a hit."""
    return 0 if verdict.status == "correct" else verdict.error_step


@dataclass(frozen=True)
class ProcessBench:
    """Shares of solutions whose label is exactly right, among the `n_error` with a wrong step and the `n_correct` without one."""

    error: float
    correct: float
    n_error: int
    n_correct: int

    @property
    def f1(self) -> float:
        """The published score, the harmonic mean of the two: 0 for who calls everything correct, or everything wrong."""
        return 2 * self.error * self.correct / (self.error + self.correct) if self.error and self.correct else 0.0


def processbench(predicted: Sequence[int | None], labelled: Sequence[int]) -> ProcessBench:
    """The score of predicted labels. Raises ValueError where one of the two kinds of solutions is missing."""
    hits = {True: 0, False: 0}
    counts = {True: 0, False: 0}
    for said, label in zip(predicted, labelled, strict=True):
        counts[label > 0] += 1
        hits[label > 0] += said == label
    if not all(counts.values()):
        raise ValueError(
            f"ProcessBench's score needs solutions with a wrong step and without, got {counts[True]} and {counts[False]}"
        )
    return ProcessBench(hits[True] / counts[True], hits[False] / counts[False], counts[True], counts[False])


def macro_f1(predicted: Sequence[Hashable], labelled: Sequence[Hashable]) -> float:
    """The mean F1 of the classes that occur in `labelled`. A prediction outside them, as unreadable, is a miss of the class it hides.

    >>> round(macro_f1(["wrong", "unreadable", "wrong"], ["wrong", "correct", "correct"]), 3)
    0.333
    """
    if not labelled:
        raise ValueError("macro-F1 needs at least one labelled solution, got none")
    pairs = list(zip(predicted, labelled, strict=True))
    scores = []
    for kind in dict.fromkeys(labelled):
        hits = sum(said == label == kind for said, label in pairs)
        claims, members = (sum(pair[side] == kind for pair in pairs) for side in (0, 1))
        scores.append(2 * hits / (claims + members))
    return sum(scores) / len(scores)
