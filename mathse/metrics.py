"""How well first wrong steps are found: the score of ProcessBench (arXiv 2412.06559), and macro-F1 for any labels. What scores are worth.

A step's label is a whole number: the first wrong step, counted from 1, or 0 where no step is wrong; None where nothing was said.
ProcessBench counts from 0 and writes -1 where no step is wrong, so its labels plus one are ours.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

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


BINS = 10


def auroc(scores: Sequence[float], right: Sequence[bool]) -> float:
    """The chance that a right solution has a higher score than a wrong one, ties counted half; NaN where a kind is missing."""
    import numpy as np
    from scipy.stats import rankdata

    ranks, kind = rankdata(scores), np.asarray(right, dtype=bool)
    pairs = kind.sum() * (~kind).sum()
    return float((ranks[kind].sum() - kind.sum() * (kind.sum() + 1) / 2) / pairs) if pairs else float("nan")


def bin_of(scores: Sequence[float]) -> Any:
    """Which of the equally wide bins each score lies in, as an array of whole numbers; 1 lies in the last."""
    import numpy as np

    return np.minimum((np.asarray(scores, dtype=float) * BINS).astype(int), BINS - 1)


def calibration_error(scores: Sequence[float], right: Sequence[bool]) -> float:
    """The expected calibration error (Guo et al., arXiv 1706.04599, eq. 3) of probabilities, in ten equally wide bins: how far the
    mean score of a bin lies from its share of right ones, weighted by the bin's size. NaN for no scores."""
    import numpy as np

    if not len(scores):
        return float("nan")
    gaps = np.bincount(bin_of(scores), np.asarray(scores, dtype=float) - np.asarray(right, dtype=float))
    return float(np.abs(gaps).sum() / len(scores))
