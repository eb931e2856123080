"""Figures: problems made by programs, from the test split (no picture and no numbers of which are in any train split).

[bars A 12, B 30, C 21]   How much larger is B than A?   -> 18        scored by answer match
"""

from __future__ import annotations

from mathse.answers import extract
from mathse.benchmarks.scoring import Outcome, Response, Rule, Scorable, lenient, outcome, strict
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

    def rules(self) -> dict[str, Rule]:
        return {"answer match": answer_match, "strict": strict, "lenient": lenient}

    def score(self, problem: Problem, text: str) -> bool:
        """Whether the final answer in the text equals the reference."""
        return matches(Solution(problem, text, ""))


def answer_match(problem: Problem, response: Response) -> Outcome:
    """The stated answer equals the reference, as in training."""
    solution = Solution(problem, response.text, "")
    return outcome(matches(solution), extract(solution.text, problem, only_stated=True))
