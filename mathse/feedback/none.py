"""No feedback (Table 3's first row): the teacher is told that the solution is wrong, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from mathse.feedback import Run
from mathse.settings import settings
from mathse.store import Artifact, Runtime
from mathse.types import Model, Solution, Verdict


@settings
class NoFeedback:
    """Every rejected solution is wrong, for no stated reason. It cannot tell right from wrong, so it is no judge."""

    @property
    def by(self) -> str:
        return "none"

    def prepare(self, run: Run, taught: Artifact, kept: Artifact, model: Model) -> NoFeedback:
        """Nothing to prepare."""
        return self

    def __call__(self, solutions: Sequence[Solution], runtime: Runtime, *, why: bool = True) -> list[Verdict]:
        """Wrong, all of them: only rejected solutions are asked about."""
        return [Verdict("wrong", by=self.by) for _ in solutions]
