"""Answer match (RFT 2308.01825, ReST-EM 2312.06585): a solution is correct if its final answer equals the reference.

It names no step and gives no analysis. A solution without a final answer is wrong: the task was to give one.
"""

from __future__ import annotations

from collections.abc import Sequence

from mathse.answers import equal, extract
from mathse.feedback import Run
from mathse.settings import settings
from mathse.store import Artifact, Runtime
from mathse.types import Model, Solution, Verdict


def matches(solution: Solution) -> bool:
    """Whether the solution's final answer equals the problem's reference answer."""
    problem = solution.problem
    answer = extract(solution.text, problem, only_stated=True)
    return answer is not None and equal(problem.answer, answer, problem)


@settings
class AnswerMatch:
    """Compare final answers; needs no preparation."""

    @property
    def by(self) -> str:
        return "answer"

    def prepare(self, run: Run, taught: Artifact, kept: Artifact, model: Model) -> AnswerMatch:
        """Nothing to prepare."""
        return self

    def __call__(self, solutions: Sequence[Solution], runtime: Runtime, *, why: bool = True) -> list[Verdict]:
        """Correct where the answers match, wrong elsewhere."""
        return [Verdict("correct" if matches(solution) else "wrong", by=self.by) for solution in solutions]
