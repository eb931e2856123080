"""Self-critique: the model is its own judge, untrained for it (Self-Refine, arXiv 2303.17651; Reflexion, arXiv 2303.11366).

The current model criticises: M_K in stage 3, also what earlier rounds wrote. A judge is needed before any model is trained, so as
judge it is the base. Neither sees the reference answer.
"""

from __future__ import annotations

from collections.abc import Sequence

from mathse.feedback import Run
from mathse.feedback.asking import ASKING, verdicts_by
from mathse.feedback.verdicts import READING
from mathse.settings import settings
from mathse.store import Artifact, Runtime
from mathse.types import Chat, Model, Solution, Turn, Verdict

CRITICISE = """You wrote this solution. Check it against the picture, step by step, and be your own strictest critic. \
Reply in JSON only: {{"status": "CORRECT" or "WRONG", "error_step": the first wrong step or null, \
"error_analysis": why it is wrong, or null}}
{question}
Solution:
{solution}"""


def ask_for_critique(solution: Solution) -> Chat:
    """The chat that asks a model to criticise its own solution."""
    problem = solution.problem
    return (Turn("user", CRITICISE.format(question=problem.question, solution=solution.text), problem.images),)


@settings
class SelfCritique:
    """`max_new_tokens`: how long a critique may be; one that does not end by then is unreadable."""

    max_new_tokens: int

    def prepare(self, run: Run, taught: Artifact, kept: Artifact, model: Model) -> SelfCritic:
        """The current model, to be asked; nothing is trained."""
        return SelfCritic(model=model, max_new_tokens=self.max_new_tokens)


@settings
class SelfCritic:
    """A model that can be asked about its own solutions."""

    model: Model
    max_new_tokens: int

    def recipe(self) -> dict[str, str | int]:
        """The prompt decides what it answers, and how that is read."""
        return {"prompt": CRITICISE, "reading": READING, "asking": ASKING}

    @property
    def by(self) -> str:
        return f"self/{self.model.adapter.name if self.model.adapter else 'base'}"

    def __call__(self, solutions: Sequence[Solution], runtime: Runtime, *, why: bool = True) -> list[Verdict]:
        """The model's own words, read."""
        chats = [ask_for_critique(solution) for solution in solutions]
        return verdicts_by(self.model, chats, solutions, self.max_new_tokens, self.by, runtime, why=why)
