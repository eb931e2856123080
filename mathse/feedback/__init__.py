"""Feedback sources. One protocol, two slots: as `judge` a source is asked "right or wrong?", as `feedback` "where, and why?".

source = settings.prepare(run, taught, kept)      # trains what has to be trained, once per recipe
verdicts = source(solutions, runtime)             # one Verdict per solution, in order
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Protocol

from mathse.store import Artifact, Runtime
from mathse.types import Solution, Verdict

Run = Callable[..., Artifact]


class Source(Protocol):
    """A feedback source that is ready to be asked. `by` names it in verdicts, so that no source is asked twice for the same."""

    @property
    def by(self) -> str: ...

    def __call__(self, solutions: Sequence[Solution], runtime: Runtime) -> list[Verdict]: ...


class Feedback(Protocol):
    """The settings of a feedback source."""

    def prepare(self, run: Run, taught: Artifact, kept: Artifact) -> Source:
        """The source, ready. `taught`: the teacher's solutions of stage 1; `kept`: problems kept out of D to train it on."""
        ...


def parse_verdict(text: str, by: str = "") -> Verdict:
    """The verdict in a text that should hold our JSON: `{"status", "error_step", "error_analysis"}`.

    Status is CORRECT or WRONG in any case; the step is the first whole number in `error_step`. Anything else is unreadable.
    """
    unreadable = Verdict("unreadable", by=by, raw=text)
    start, end = text.find("{"), text.rfind("}")
    if start < 0 or end < start:
        return unreadable
    try:
        data = json.loads(text[start : end + 1])
        status = str(data["status"]).strip().lower()
    except (ValueError, KeyError, TypeError, RecursionError):
        return unreadable
    if status == "correct":
        return Verdict("correct", by=by, raw=text)
    if status != "wrong":
        return unreadable
    number = re.search(r"\d{1,4}", str(data.get("error_step") or ""))
    return Verdict("wrong", int(number[0]) if number else None, str(data.get("error_analysis") or ""), by=by, raw=text)
