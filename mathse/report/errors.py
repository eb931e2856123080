"""The paper's five types of error (its Figure 4), read off the analyses that an ORM or a teacher wrote.

The paper does not say who classified; here it is the words of the analysis, the first type whose words are there. An analysis with
the words of none, or none at all, is `unclassified`, and shown as such.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from mathse.types import Judged

TYPES = {
    "vision": r"pictur|figure shows|diagram|image|misread|the reading|does not read|look at|label|图中|图形|看错|读错",
    "question": r"question|what is asked|asked for|misunderst|misinterpret|problem statement|题意|题目|问题",
    "reasoning": r"not the calculation|conclu|does not follow|logic|reason|assum|infer|missing|not needed|推理|逻辑|推出|假设",
    "knowledge": r"formula|theorem|definition|propert|concept|\brule\b|identit|公式|定理|定义|性质|概念",
    "calculation": r"calculat|comput|arithmetic|\bsum\b|product|multipl|divi[ds]|subtract|\badd|equals|round|计算|运算|算错",
}
PATTERNS = {kind: re.compile(words, re.IGNORECASE) for kind, words in TYPES.items()}
UNCLASSIFIED = "unclassified"


def error_type(analysis: str) -> str:
    """One of the five types, or `unclassified`."""
    return next((kind for kind, pattern in PATTERNS.items() if pattern.search(analysis)), UNCLASSIFIED)


def with_reasons(judged: Sequence[Judged], diagnosed: Sequence[Judged]) -> list[Judged]:
    """The verdicts whose reasons were asked for: by the judge itself, or later, when the solution was `diagnosed`."""
    asked = {row.solution.id: row for row in diagnosed}
    return [row for row in (asked.get(row.solution.id, row) for row in judged) if not row.verdict.brief]


def error_counts(wrong: Sequence[Judged]) -> dict[str, int]:
    """How many of wrong solutions, with what a source says of each, are of each type; where it sees no error, unclassified."""
    found = Counter(
        error_type(row.verdict.analysis) if row.verdict.status == "wrong" else UNCLASSIFIED for row in wrong
    )
    return {kind: found[kind] for kind in (*TYPES, UNCLASSIFIED)}


def error_shares(judged: Mapping[str, Sequence[Judged]]) -> dict[str, dict[str, float]]:
    """For each name the percentage of each type among its solutions that were judged wrong; names without any are left out."""
    counted = {
        name: error_counts([row for row in rows if row.verdict.status == "wrong"]) for name, rows in judged.items()
    }
    return {
        name: {kind: 100 * count / n for kind, count in counts.items()}
        for name, counts in counted.items()
        if (n := sum(counts.values()))
    }


def error_table(judged: Mapping[str, Sequence[Judged]]) -> list[list[str]]:
    """A row for each name: how many of its solutions were judged wrong, and the percentage of each type. Header first."""
    names, shares = [*TYPES, UNCLASSIFIED], error_shares(judged)
    table = [["judged wrong", "n", *names]]
    for name, rows in judged.items():
        n = sum(row.verdict.status == "wrong" for row in rows)
        table.append([name, str(n), *(f"{shares[name][kind]:.1f}" if n else "" for kind in names)])
    return table
