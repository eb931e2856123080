"""No filter: every solution is accepted. The judge of an arm that asks what judging is worth."""

from __future__ import annotations

from collections.abc import Sequence

from mathse.feedback import Run
from mathse.settings import settings
from mathse.store import Artifact, Runtime
from mathse.types import Model, Solution, Verdict


@settings
class Unfiltered:
    """It says correct of everything, so it has no feedback to give."""

    @property
    def by(self) -> str:
        return "unfiltered"

    def prepare(self, run: Run, taught: Artifact, kept: Artifact, model: Model) -> Unfiltered:
        """Nothing to prepare."""
        return self

    def __call__(self, solutions: Sequence[Solution], runtime: Runtime, *, why: bool = True) -> list[Verdict]:
        """Correct, all of them."""
        return [Verdict("correct", by=self.by) for _ in solutions]
