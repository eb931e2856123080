"""Process feedback: the first step whose score is under a threshold is the wrong one (Let's Verify Step by Step, arXiv 2305.20050).

Who scores the steps is a setting: `completions` (Math-Shepherd's labels) or any process reward model, as a class of one's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol

from mathse.feedback import Run
from mathse.feedback.verdicts import NO_STEPS
from mathse.settings import settings
from mathse.store import Artifact, Runtime
from mathse.types import Model, Solution, Verdict


@dataclass(frozen=True)
class Scores:
    """Of each step of a solution, as `steps_of` counts, how likely it is right, from 0 to 1. `refused` says why there are none;
    `ends_wrong`: the answer behind the last step is wrong, whatever the steps are, where the scorer can tell."""

    steps: Sequence[float] = ()
    refused: str = ""
    ends_wrong: bool = False


class Scorer(Protocol):
    """Scores steps. `by` names it in verdicts."""

    @property
    def by(self) -> str: ...

    def __call__(self, solutions: Sequence[Solution], runtime: Runtime) -> list[Scores]: ...


class StepScorer(Protocol):
    """The settings of a scorer; see `Feedback.prepare`."""

    def prepare(self, run: Run, taught: Artifact, kept: Artifact, model: Model) -> Scorer: ...


def verdict_of(scores: Scores, threshold: float, by: str) -> Verdict:
    """Wrong from the first step under the threshold on. The score is the smallest one, as Math-Shepherd has it. A solution without
    steps cannot be judged."""
    if scores.refused or not scores.steps:
        return Verdict("unreadable", analysis=scores.refused or NO_STEPS, by=by)
    step = next((number for number, score in enumerate(scores.steps, start=1) if score < threshold), None)
    right = step is None and not scores.ends_wrong
    return Verdict("correct" if right else "wrong", step, score=min(scores.steps), by=by)


@settings
class ProcessReward:
    """`threshold`: the least score that a right step has."""

    scorer: StepScorer
    threshold: Annotated[float, "> 0 <= 1"]

    def prepare(self, run: Run, taught: Artifact, kept: Artifact, model: Model) -> StepJudge:
        """The scorer, ready."""
        return StepJudge(scorer=self.scorer.prepare(run, taught, kept, model), threshold=self.threshold)


@settings
class StepJudge:
    """A scorer of steps that can be asked for verdicts."""

    scorer: Scorer
    threshold: float

    @property
    def by(self) -> str:
        return f"prm/{self.scorer.by}"

    def __call__(self, solutions: Sequence[Solution], runtime: Runtime, *, why: bool = True) -> list[Verdict]:
        """One verdict for each solution; it costs the same whether or not it is asked why."""
        return [verdict_of(scores, self.threshold, self.by) for scores in self.scorer(solutions, runtime)]
