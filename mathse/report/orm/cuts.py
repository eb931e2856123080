"""Parts of the rows that a judge is measured on: by round, author, family of problems, level, language."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Sequence

from mathse.report.orm.numbers import Checked
from mathse.types import language_of

STAGE_1, REFLECTION = "stage 1", "reflection"  # where the teacher writes, which is right far more often than a model


def place(row: Checked) -> str:
    """Where in the loop a solution was written, by its author.

    >>> [place(Checked(Solution(None, "", name), None, None)) for name in ("teacher", "M_0", "reflection on M_1")]
    ['stage 1', 'round 1', 'reflection']
    """
    author = row.solution.author
    model = re.fullmatch(r"M_(\d+)", author)
    if model:
        return f"round {int(model[1]) + 1}"
    return REFLECTION if author.startswith("reflection on ") else {"teacher": STAGE_1}.get(author, author)


CUTS: dict[str, Callable[[Checked], Hashable]] = {
    "round": place,
    "model": lambda row: row.solution.author,
    "family": lambda row: row.solution.problem.source,
    "level": lambda row: row.solution.problem.level,
    "language": lambda row: language_of(row.solution.problem.question),
}


def cut(rows: Sequence[Checked], by: str) -> dict[str, list[Checked]]:
    """The rows by one of CUTS, in the order of names; rounds as they follow each other."""
    groups: dict[str, list[Checked]] = {}
    for row in rows:
        groups.setdefault(str(CUTS[by](row)), []).append(row)
    ends = {STAGE_1: 0, REFLECTION: 2}

    def order(name: str) -> tuple[int, str]:
        return ends.get(name, 1), re.sub(r"\d+", lambda digits: digits[0].zfill(9), name)

    return {name: groups[name] for name in sorted(groups, key=order)}
