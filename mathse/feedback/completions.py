"""Steps scored by what becomes of them: how often completions from there on reach the answer (Math-Shepherd, arXiv 2312.08935, 3.3).

Math-Shepherd trains a reward model on such labels. Here the labels themselves are the scores and nothing is trained, so each
verdict costs completions, and the scorer sees the reference answer. A step may score low because the model that completes is weak:
it is M_K as feedback, and the base, which no training has taught yet, as judge.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from mathse.feedback import Run
from mathse.feedback.answer import matches
from mathse.feedback.prm import Scores
from mathse.generation import Sampling
from mathse.settings import settings
from mathse.store import Artifact, Runtime
from mathse.types import Chat, Model, Solution, Turn, parts_of


def begun_after_each_step(solution: Solution) -> list[str]:
    """The solution up to the end of its first step, of its second …"""
    parts = parts_of(solution.text)
    texts = itertools.accumulate(part.head + part.body for part in parts)
    return [text for part, text in zip(parts, texts, strict=True) if part.step]


@settings
class Completions:
    """`sampling`: how each step is gone on from."""

    sampling: Sampling
    seed: int

    def prepare(self, run: Run, taught: Artifact, kept: Artifact, model: Model) -> Completer:
        """The current model, to complete; nothing is trained."""
        return Completer(model=model, completions=self)


@settings
class Completer:
    """A model that goes on from each step of a solution."""

    model: Model
    completions: Completions

    @property
    def by(self) -> str:
        return self.model.adapter.name if self.model.adapter else "base"

    def recipe(self) -> dict[str, str]:
        """The prompt that the completions follow."""
        from mathse.steps.generate import SOLVE

        return {"prompt": SOLVE}

    def __call__(self, solutions: Sequence[Solution], runtime: Runtime) -> list[Scores]:
        """Each step's share of right completions; none for a solution that the model cannot hold."""
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
            Scores(tuple(itertools.islice(shares, len(texts))), why or "", ends_wrong=not matches(solution))
            for solution, texts, why in zip(solutions, begun, refused, strict=True)
        ]

    def _shares(self, begun: Sequence[tuple[Solution, str]], runtime: Runtime) -> list[float]:
        """Of each begun solution, the share of its completions that end in the reference answer."""
        from mathse.generation.torch import complete
        from mathse.steps.generate import loaded

        model, sampling = loaded(self.model, runtime), self.completions.sampling
        chunk = max(1, runtime.batch_size // sampling.samples)
        shares = []
        for start in range(0, len(begun), chunk):
            some = begun[start : start + chunk]
            chats = [_begun(solution, text) for solution, text in some]
            seeds = [f"{self.completions.seed}/{solution.id}/{len(text)}" for solution, text in some]
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
