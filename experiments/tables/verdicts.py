"""Judges as arms: whether their verdicts are right, those on right and on wrong solutions apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mathse.types import Judged, Solution
from tables.arms import Ran
from tables.compare import Case

ACCEPTED, REJECTED = "right ones accepted", "wrong ones rejected"


def add_verdicts(
    ran: Ran,
    arm: str,
    seed: int,
    said: Sequence[Judged],
    right: Callable[[Solution], bool],
    measures: Callable[[str], Sequence[str]],
) -> None:
    """Mark the verdicts of a judge: `right` tells the truth about a solution, `measures` the measures that it counts for, from whether
    it is one of those to be accepted or to be rejected. An unreadable verdict is a miss."""
    for row in said:
        truth = right(row.solution)
        case = Case(seed, row.solution.problem.id, row.solution.id)
        for measure in measures(ACCEPTED if truth else REJECTED):
            marks = ran.marks.setdefault(measure, {}).setdefault(arm, {})
            marks[case] = row.verdict.status == ("correct" if truth else "wrong")
