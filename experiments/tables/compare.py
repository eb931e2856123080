"""Arms compared on the same cases of the same seed.

An exact p, adjusted for all comparisons of the table (Holm), and the 95 % interval of the difference, both by problem, since a
problem returns with each seed. How far training itself scatters is seen in the differences by seed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mathse.statistics import holm, p_value, paired_bootstrap, paired_p, wilson


class Case(NamedTuple):
    """What two arms are both asked: a seed's problem, or one of several solutions of it."""

    seed: int
    problem: str
    of: str = ""


Marks = Mapping[Case, bool]  # whether an arm was right
Paper = Mapping[str, Mapping[str, float]]  # the paper's percentages by measure and arm, as far as it has them


@dataclass(frozen=True)
class Row:
    """An arm by one measure, and against another arm on the same cases; percent and points. `against` is empty for an arm alone."""

    measure: str
    arm: str
    ours: float
    paper: float | None
    n: int
    against: str = ""
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    by_seed: str = ""
    p: float | None = None
    p_holm: float | None = None
    paper_difference: float | None = None


def compare(measures: Mapping[str, Mapping[str, Marks]], paper: Paper, pairs: Sequence[tuple[str, str]]) -> list[Row]:
    """By each measure, each arm alone, then each pair that shares a case: the second against the first. One family of tests for Holm."""
    rows: list[Row] = []
    for measure, marks in measures.items():
        theirs = {name: paper.get(measure, {}).get(name) for name in marks}
        rows += [
            Row(measure, name, percent(list(right.values())), theirs[name], len(right)) for name, right in marks.items()
        ]
        rows += [
            _against(measure, marks, theirs, a, b) for a, b in pairs if set(marks.get(a, ())) & set(marks.get(b, ()))
        ]
    tested = [i for i, row in enumerate(rows) if row.p is not None]
    for i, p in zip(tested, holm([rows[i].p or 0.0 for i in tested]), strict=True):
        rows[i] = dataclasses.replace(rows[i], p_holm=p)
    return rows


def _against(measure: str, marks: Mapping[str, Marks], paper: Mapping[str, float | None], a: str, b: str) -> Row:
    cases = [case for case in marks[a] if case in marks[b]]
    before, after = ([marks[name][case] for case in cases] for name in (a, b))
    problems = [case.problem for case in cases]
    low, high = paired_bootstrap(before, after, problems)
    seeds = dict.fromkeys(case.seed for case in cases)
    by_seed = []
    for seed in seeds:
        of_seed = [i for i, case in enumerate(cases) if case.seed == seed]
        change = percent([after[i] for i in of_seed]) - percent([before[i] for i in of_seed])
        by_seed.append(f"{change:+.1f}")
    before_theirs, theirs = paper[a], paper[b]
    return Row(
        measure,
        b,
        percent(after),
        theirs,
        len(cases),
        against=a,
        difference=percent(after) - percent(before),
        low=100 * low if low < high else None,
        high=100 * high if low < high else None,
        by_seed=", ".join(by_seed),
        p=paired_p(before, after, problems),
        paper_difference=None if before_theirs is None or theirs is None else theirs - before_theirs,
    )


def percent(right: Sequence[bool]) -> float:
    """The share of right ones in percent, 0 of none."""
    return 100 * sum(right) / len(right) if right else 0.0


def table(rows: Sequence[Row], measure: str = "measure") -> list[list[str]]:
    """The rows for people, header first; without the measure, whose column is headed `measure`, where there is one only."""
    several = len({row.measure for row in rows}) > 1
    head = ["arm", "ours", "paper", "against", "difference", "paper's", "95% interval", "by seed", "p", "p (Holm)", "n"]
    body = [
        [
            *([row.measure] if several else []),
            row.arm,
            f"{row.ours:.1f}",
            "" if row.paper is None else f"{row.paper:.2f}",
            row.against,
            _signed(row.difference),
            "" if row.paper_difference is None else f"{row.paper_difference:+.2f}",
            "" if row.low is None else f"{row.low:+.1f} to {row.high:+.1f}",
            row.by_seed,
            "" if row.p is None else p_value(row.p),
            "" if row.p_holm is None else p_value(row.p_holm),
            str(row.n),
        ]
        for row in rows
    ]
    return [[*([measure] if several else []), *head], *body]


def by_seed(marks: Mapping[str, Marks]) -> list[list[str]]:
    """Each arm's percentage by seed with its Wilson interval, header first."""
    seeds = list(dict.fromkeys(case.seed for right in marks.values() for case in right))
    rows = [["arm", *(f"seed {seed}" for seed in seeds)]]
    for name, right in marks.items():
        cells = []
        for seed in seeds:
            of_seed = [mark for case, mark in right.items() if case.seed == seed]
            low, high = wilson(sum(of_seed), len(of_seed))
            cells.append(f"{percent(of_seed):.1f} [{100 * low:.1f}, {100 * high:.1f}]")
        rows.append([name, *cells])
    return rows


def found(rows: Sequence[Row]) -> str:
    """In words, which comparisons are significant at 5 % after Holm, which of these go the other way with some seed, and which
    are not significant."""
    tested = [row for row in rows if row.p_holm is not None]
    several = len({row.measure for row in rows}) > 1

    def named(row: Row) -> str:
        about = f" ({row.measure})" if several else ""
        return f"{row.arm} against {row.against}{about} {_signed(row.difference)}"

    yes = [row for row in tested if (row.p_holm or 0.0) < 0.05]
    no = [named(row) for row in tested if row not in yes]
    mixed = [
        f"{named(row)} ({row.by_seed})" for row in yes if len({change[0] for change in row.by_seed.split(", ")}) > 1
    ]
    paragraphs = [
        f"Significant at 5 % after Holm: {'; '.join(map(named, yes)) or 'nothing'}.",
        f"Of these not in the same direction with every seed: {'; '.join(mixed)}." if mixed else "",
        f"Not significant, so neither a difference nor its absence is shown: {'; '.join(no) or 'nothing'}.",
    ]
    return "\n\n".join(filter(None, paragraphs))


def _signed(points: float | None) -> str:
    return "" if points is None else f"{points:+.1f}"


HOW = (
    "Percent; differences in points, on the same cases of the same seed. A problem's pairs with all seeds stay together in the interval "
    "(none where all cases are alike) and in p: an exact paired randomisation test, which with one seed is McNemar's. Holm is over all "
    "p of the table. Where n is small, an interval may leave out zero and p be large: p decides. Both are of the problems; how far "
    "training itself scatters is in the column by seed."
)
