"""Process feedback: the first step from which the right answer is too rarely reached (Math-Shepherd, arXiv 2312.08935, section 3.3).

Math-Shepherd labels a step by how often completions that go on from it end in the reference answer, and trains a reward model on
the labels. Here the labels themselves are the scores and no reward model is trained, so each verdict costs completions, and the
source sees the reference answer. A step may score low because the model that completes is weak: `model` is M_K as feedback, and
the base, which no training has taught yet, as judge.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from mathse.feedback import Run
from mathse.feedback.answer import matches
from mathse.feedback.verdicts import NO_STEPS
from mathse.generation import Sampling
from mathse.settings import settings
from mathse.store import Artifact, Runtime
from mathse.types import Chat, Model, Solution, Turn, Verdict, parts_of


def begun_after_each_step(solution: Solution) -> list[str]:
    """The solution up to the end of its first step, of its second …"""
    parts = parts_of(solution.text)
    texts = itertools.accumulate(part.head + part.body for part in parts)
    return [text for part, text in zip(parts, texts, strict=True) if part.step]


def verdict_of(solution: Solution, shares: Sequence[float], threshold: float, by: str) -> Verdict:
    """The verdict from each step's share of right completions: wrong from the first one under the threshold on.

    The score is the smallest share, as Math-Shepherd has it. A solution without steps cannot be judged.
    """
    if not shares:
        return Verdict("unreadable", analysis=NO_STEPS, by=by)
    step = next((number for number, share in enumerate(shares, start=1) if share < threshold), None)
    right = step is None and matches(solution)
    return Verdict("correct" if right else "wrong", step, score=min(shares), by=by)


@settings
class StepValues:
    """`completions`: how each step is gone on from; `threshold`: the least share of right ones that a right step has."""

    completions: Sampling
    threshold: float
    seed: int

    def check(self) -> None:
        if not 0 < self.threshold <= 1:
            raise ValueError(f"StepValues.threshold should lie above 0 and up to 1, got {self.threshold}")

    def prepare(self, run: Run, taught: Artifact, kept: Artifact, model: Model) -> StepJudge:
        """The current model, to complete; nothing is trained."""
        return StepJudge(model=model, values=self)


@settings
class StepJudge:
    """A model that goes on from each step of a solution."""

    model: Model
    values: StepValues

    @property
    def by(self) -> str:
        return f"prm/{self.model.adapter.name if self.model.adapter else 'base'}"

    def recipe(self) -> dict[str, str]:
        """The prompt that the completions follow."""
        from mathse.steps.generate import SOLVE

        return {"prompt": SOLVE}

    def __call__(self, solutions: Sequence[Solution], runtime: Runtime, *, why: bool = True) -> list[Verdict]:
        """One verdict for each solution, from the completions of all its steps; unreadable for one that the model cannot hold."""
        from mathse.generation.torch import too_long
        from mathse.steps.generate import loaded

        model = loaded(self.model, runtime)
        refused = [too_long(model, model.encode(_begun(solution, solution.text), reply=True)) for solution in solutions]
        begun = [
            [] if why else begun_after_each_step(solution) for solution, why in zip(solutions, refused, strict=True)
        ]
        flat = [(solution, text) for solution, texts in zip(solutions, begun, strict=True) for text in texts]
        shares = iter(self._shares(flat, runtime))
        return [
            Verdict("unreadable", analysis=why, by=self.by)
            if why
            else verdict_of(solution, [next(shares) for _ in texts], self.values.threshold, self.by)
            for solution, texts, why in zip(solutions, begun, refused, strict=True)
        ]

    def _shares(self, begun: Sequence[tuple[Solution, str]], runtime: Runtime) -> list[float]:
        """Of each begun solution, the share of its completions that end in the reference answer."""
        from mathse.generation.torch import complete
        from mathse.steps.generate import loaded

        model, sampling = loaded(self.model, runtime), self.values.completions
        chunk = max(1, runtime.batch_size // sampling.samples)
        shares = []
        for start in range(0, len(begun), chunk):
            some = begun[start : start + chunk]
            chats = [_begun(solution, text) for solution, text in some]
            seeds = [f"{self.values.seed}/{solution.id}/{len(text)}" for solution, text in some]
            about = [solution.problem.id for solution, _ in some]
            completed = complete(model, chats, sampling, seeds, about=about)
            for (solution, text), tries in zip(some, completed, strict=True):
                right = [matches(Solution(solution.problem, text + end.text, self.by)) for end in tries]
                shares.append(sum(right) / len(right))
        return shares


def _begun(solution: Solution, text: str) -> Chat:
    """The chat in which the solution is written as far as `text`."""
    from mathse.steps.generate import ask

    return (*ask(solution.problem), Turn("assistant", text))
