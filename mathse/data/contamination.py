"""Which training problems are also test problems: the rule, for all pairs of a training set and the benchmarks.

A pair is a leak
- by question: the questions are the same (`question`) and say enough to be about one thing, two numbers or SPECIFIC n-grams; where
  they say less ("What is the value of x in the figure?"), unless their pictures differ;
- by numbers: the same but for numbers, LONG n-grams or more, and the same picture, or none on either side;
- by picture: the same picture (`picture`) and a similar question (`similar`), numbers told apart or not.
Of several pictures the two that are most alike count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mathse.data.similar import CHUNK, Grams, Pairs, alike, fingerprint, grams, numbers, same_picture
from mathse.progress import progress
from mathse.types import Problem

SPECIFIC = 20  # n-grams of a question that nobody asks twice by chance
LONG = 8
SLICE = 20_000  # pairs whose pictures are compared at a time

Reason = Literal["question", "numbers", "picture"]


@dataclass(frozen=True)
class Match:
    """A training problem that is a leak, and the test problem that it is nearest to, by their places; how alike their questions
    are, numbers told apart or not, and their pictures (None where either has none)."""

    problem: int
    test: int
    reason: Reason
    question: float
    masked: float
    picture: float | None


@dataclass(frozen=True)
class Thresholds:
    """From what likeness on questions are the same, questions are similar, pictures are the same."""

    question: float
    similar: float
    picture: float


class Pictures:
    """Fingerprints of problems' pictures; each is opened once, when it is first asked for."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.paths = [problem.images for problem in problems]
        self.there = np.array([bool(paths) for paths in self.paths], bool)
        self.known: dict[str, np.ndarray] = {}

    def fingerprints(self, paths: Sequence[str]) -> np.ndarray:
        """They, in order."""
        for path in paths:
            if path not in self.known:
                self.known[path] = fingerprint(path)
        return np.stack([self.known[path] for path in paths])


def matches(problems: Sequence[Problem], tests: Sequence[Problem], limits: Thresholds) -> list[Match]:
    """The training problems that are leaks, in order, each with the test problem that it is nearest to."""
    ours, theirs = Pictures(problems), Pictures(tests)
    plain, masked = ([_grams(some, masked=mask) for some in (problems, tests)] for mask in (False, True))
    size = np.array([len(one) for one in plain[0]])
    specific = (np.array([numbers(problem.question) for problem in problems]) >= 2) | (size >= SPECIFIC)
    found: list[Match] = []
    with progress("comparing with benchmarks", len(problems), "problems") as shown:
        for told_apart, not_told in zip(
            alike(plain[0], plain[1], limits.similar), alike(masked[0], masked[1], limits.similar), strict=True
        ):
            a, b, asked, unmasked = _both(told_apart, not_told, len(tests))
            pictures = _pictures(ours, theirs, a, b)
            same = pictures >= limits.picture
            differ = ours.there[a] & theirs.there[b] & ~same
            neither = ~ours.there[a] & ~theirs.there[b]
            by = {
                "question": (asked >= limits.question) & (size[a] >= LONG) & (specific[a] | ~differ),
                "numbers": (unmasked >= limits.question) & (size[a] >= LONG) & (same | neither),
                "picture": same,
            }
            leaks = np.flatnonzero(np.any(list(by.values()), axis=0))
            closest = leaks[np.lexsort((-(asked + unmasked + np.nan_to_num(pictures))[leaks], a[leaks]))]
            for i in closest[np.unique(a[closest], return_index=True)[1]]:
                reason = next(name for name, holds in by.items() if holds[i])
                seen = None if np.isnan(pictures[i]) else float(pictures[i])
                found.append(Match(int(a[i]), int(b[i]), reason, float(asked[i]), float(unmasked[i]), seen))  # type: ignore[arg-type]
            shown.advance(min(CHUNK, len(problems) - shown.done))
    return found


def _grams(problems: Sequence[Problem], *, masked: bool) -> list[Grams]:
    return [grams(problem.question, problem.choices, masked=masked) for problem in problems]


def _both(plain: Pairs, masked: Pairs, tests: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The pairs that are in either, with both likenesses; 0 for one that is not in the other."""
    keys = [pairs[0] * tests + pairs[1] for pairs in (plain, masked)]
    every = np.union1d(*keys)
    likeness = np.zeros((2, len(every)))
    for i, pairs in enumerate((plain, masked)):
        likeness[i, np.searchsorted(every, keys[i])] = pairs[2]
    return every // tests, every % tests, likeness[0], likeness[1]


def _pictures(ours: Pictures, theirs: Pictures, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """How alike the pictures of pairs are, of several the two that are most alike; NaN where either has none."""
    likeness = np.full(len(a), np.nan)
    both = np.flatnonzero(ours.there[a] & theirs.there[b])
    for start in range(0, len(both), SLICE):
        some = both[start : start + SLICE]
        shown = [(i, one, other) for i in some for one in ours.paths[a[i]] for other in theirs.paths[b[i]]]
        places, first, second = zip(*shown, strict=True)
        same = same_picture(ours.fingerprints(first), theirs.fingerprints(second))
        np.fmax.at(likeness, list(places), same)
    return likeness
