"""The reference answer as a hint: STaR's rationalisation (arXiv 2203.14465, section 3.1).

The reflection is told the answer instead of a step. A judge that looks at the answer alone will then accept whatever ends in it,
so a gain with this feedback says less than one with any other.
"""

from __future__ import annotations

from collections.abc import Sequence

from mathse.feedback import Run
from mathse.settings import settings
from mathse.store import Artifact, Runtime
from mathse.types import Model, Solution, Verdict

HINT = "The correct answer is {answer}."


@settings
class GoldHint:
    """Every rejected solution is wrong, and this is the answer. It cannot tell right from wrong, so it is no judge."""

    @property
    def by(self) -> str:
        return "gold_hint"

    def recipe(self) -> dict[str, str]:
        """The hint's words."""
        return {"hint": HINT}

    def prepare(self, run: Run, taught: Artifact, kept: Artifact, model: Model) -> GoldHint:
        """Nothing to prepare."""
        return self

    def __call__(self, solutions: Sequence[Solution], runtime: Runtime, *, why: bool = True) -> list[Verdict]:
        """Wrong, all of them, with the reference answer for an analysis."""
        hints = (HINT.format(answer=solution.problem.answer) for solution in solutions)
        return [Verdict("wrong", analysis=hint, by=self.by) for hint in hints]
