"""The ORM and answer match (RFT 2308.01825) together: a solution is correct only if both say so.

Answer match lets wrong reasoning pass that ends well, the ORM wrong answers that read well; what neither lets pass is purer and less.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from mathse.feedback import Feedback, Run, Source
from mathse.feedback.answer import matches
from mathse.settings import settings
from mathse.store import Artifact, Runtime
from mathse.types import Model, Solution, Verdict


@settings
class Both:
    """`orm`: the source whose words are taken, any that can say right or wrong."""

    orm: Feedback

    def prepare(self, run: Run, taught: Artifact, kept: Artifact, model: Model) -> PreparedBoth:
        """Prepare the ORM; answer match needs nothing."""
        return PreparedBoth(orm=self.orm.prepare(run, taught, kept, model))


@settings
class PreparedBoth:
    """An ORM that answer match can overrule."""

    orm: Source

    @property
    def by(self) -> str:
        return f"both/{self.orm.by}"

    def __call__(self, solutions: Sequence[Solution], runtime: Runtime, *, why: bool = True) -> list[Verdict]:
        """The ORM's verdicts, except that no solution with a wrong answer is correct: it is wrong, in a step that nobody names."""
        said = self.orm(solutions, runtime, why=why)
        return [self._of(verdict, matches(solution)) for verdict, solution in zip(said, solutions, strict=True)]

    def _of(self, verdict: Verdict, right: bool) -> Verdict:
        wrong = verdict.status == "wrong" or not right
        return dataclasses.replace(verdict, status="wrong" if wrong else verdict.status, by=self.by)
