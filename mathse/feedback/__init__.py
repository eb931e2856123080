"""Feedback sources. One protocol, two slots: as `judge` a source is asked "right or wrong?", as `feedback` "where, and why?".

It is the same verdict either way; a source that writes it word by word may stop early where it is not asked why.

source = settings.prepare(run, taught, kept, model)     # trains what has to be trained, once per recipe
verdicts = source(solutions, runtime)                   # one Verdict per solution, in order, with step and analysis
verdicts = source(solutions, runtime, why=False)        # the same statuses; step and analysis may be missing
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from mathse.feedback.verdicts import parse_verdict
from mathse.store import Artifact, Runtime
from mathse.types import Model, Solution, Verdict

__all__ = ["Feedback", "Run", "Source", "parse_verdict"]

Run = Callable[..., Artifact]


class Source(Protocol):
    """A feedback source that is ready to be asked. `by` names it in verdicts, so that no source is asked twice for the same."""

    @property
    def by(self) -> str: ...

    def __call__(self, solutions: Sequence[Solution], runtime: Runtime, *, why: bool = True) -> list[Verdict]: ...


class Feedback(Protocol):
    """The settings of a feedback source."""

    def prepare(self, run: Run, taught: Artifact, kept: Artifact, model: Model) -> Source:
        """The source, ready. `taught`: the teacher's solutions of stage 1; `kept`: problems kept out of D to train it on;
        `model`: the current one, which is the base for a judge and M_K for the feedback of stage 3."""
        ...
