"""Figures: problems made by programs, from the test split (no picture and no numbers of which are in any train split).

[bars A 12, B 30, C 21]   How much larger is B than A?   -> 18        scored by answer match
"""

from __future__ import annotations

from mathse.benchmarks.scoring import Scorable
from mathse.feedback.answer import matches
from mathse.figures.data import Figures
from mathse.settings import settings
from mathse.types import Problem, Solution


@settings
class FiguresBenchmark(Scorable):
    """`data` should be of split `test`."""

    name: str
    data: Figures

    def check(self) -> None:
        if self.data.split != "test":
            raise ValueError(f"benchmark.data.split should be 'test', got {self.data.split!r}")

    def score(self, problem: Problem, text: str) -> bool:
        """Whether the final answer in the text equals the reference."""
        return matches(Solution(problem, text, ""))
