"""What the tables share: arms run over seeds in one store, paired comparisons of them, Markdown and CSV.

An arm is a row of a table: the overrides that make it, and the paper's number. Arms are compared on the same problems of the same
seed: exact McNemar p over all such pairs, adjusted for all comparisons of the table (Holm), and the 95 % interval of the
difference, drawn by problem, since a problem returns with each seed. How far training itself scatters is seen in the differences by seed.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from mathse.report.files import write_text
from mathse.statistics import holm, mcnemar, paired_bootstrap, wilson

ROOT = Path(__file__).parent.parent


class Case(NamedTuple):
    """What two arms are both asked: a seed's problem, or one of several solutions of it."""

    seed: int
    problem: str
    of: str = ""


Marks = Mapping[Case, bool]  # whether an arm was right


@dataclass(frozen=True)
class Arm:
    """A row of a table: overrides of `train.py`, and the paper's percentages by measure, as far as it has them."""

    overrides: tuple[str, ...]
    paper: Mapping[str, float] = dataclasses.field(default_factory=dict)


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


def options(about: str | None) -> tuple[argparse.Namespace, list[str]]:
    """--seeds, --store and --out; everything else is an override of `train.py`, for all arms."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--store", type=Path, default=ROOT / "runs", help="all arms share it, so that beginnings are computed once"
    )
    parser.add_argument("--out", type=Path, help="where the tables go (default: tables/ in the store)")
    args, overrides = parser.parse_known_args()
    unknown = [word for word in overrides if "=" not in word or word.startswith("-")]
    if unknown:
        parser.error(f"{unknown[0]} is neither an option nor an override like seed_size=100")
    args.store = args.store.resolve()
    args.out = (args.out or args.store / "tables").resolve()
    return args, overrides


def train(overrides: Sequence[str]) -> dict[str, Any]:
    """The summary of one run of `train.py`; its output is shown as it comes."""
    command = [sys.executable, "train.py", *overrides]
    last = ""
    with subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", file=sys.stderr, flush=True)
            last = line.strip() or last
    if process.returncode:
        sys.exit(process.returncode)
    summary: dict[str, Any] = json.loads((ROOT / last).read_text())
    return summary


def compare(
    measures: Mapping[str, Mapping[str, Marks]], arms: Mapping[str, Arm], pairs: Sequence[tuple[str, str]]
) -> list[Row]:
    """By each measure, each arm alone, then each pair: the second against the first. One family of tests for Holm."""
    rows: list[Row] = []
    for measure, marks in measures.items():
        paper = {name: arms[name].paper.get(measure) if name in arms else None for name in marks}
        rows += [
            Row(measure, name, _percent(list(right.values())), paper[name], len(right)) for name, right in marks.items()
        ]
        rows += [_against(measure, marks, paper, a, b) for a, b in pairs if a in marks and b in marks]
    tested = [i for i, row in enumerate(rows) if row.p is not None]
    for i, p in zip(tested, holm([rows[i].p or 0.0 for i in tested]), strict=True):
        rows[i] = dataclasses.replace(rows[i], p_holm=p)
    return rows


def _against(measure: str, marks: Mapping[str, Marks], paper: Mapping[str, float | None], a: str, b: str) -> Row:
    cases = [case for case in marks[a] if case in marks[b]]
    before, after = ([marks[name][case] for case in cases] for name in (a, b))
    low, high = paired_bootstrap(before, after, [case.problem for case in cases])
    seeds = dict.fromkeys(case.seed for case in cases)
    by_seed = []
    for seed in seeds:
        of_seed = [i for i, case in enumerate(cases) if case.seed == seed]
        change = _percent([after[i] for i in of_seed]) - _percent([before[i] for i in of_seed])
        by_seed.append(f"{change:+.1f}")
    theirs = (paper[a], paper[b])
    return Row(
        measure,
        b,
        _percent(after),
        theirs[1],
        len(cases),
        against=a,
        difference=_percent(after) - _percent(before),
        low=100 * low if low < high else None,
        high=100 * high if low < high else None,
        by_seed=", ".join(by_seed),
        p=mcnemar(before, after),
        paper_difference=None if None in theirs else theirs[1] - theirs[0],  # type: ignore[operator]
    )


def _percent(right: Sequence[bool]) -> float:
    return 100 * sum(right) / len(right) if right else 0.0


def table(rows: Sequence[Row]) -> list[list[str]]:
    """The rows for people, header first; without the measure where there is one only."""
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
            "" if row.p is None else f"{row.p:.2g}",
            "" if row.p_holm is None else f"{row.p_holm:.2g}",
            str(row.n),
        ]
        for row in rows
    ]
    return [[*(["measure"] if several else []), *head], *body]


def by_seed(marks: Mapping[str, Marks]) -> list[list[str]]:
    """Each arm's percentage by seed with its Wilson interval, header first."""
    seeds = list(dict.fromkeys(case.seed for right in marks.values() for case in right))
    rows = [["arm", *(f"seed {seed}" for seed in seeds)]]
    for name, right in marks.items():
        cells = []
        for seed in seeds:
            of_seed = [mark for case, mark in right.items() if case.seed == seed]
            low, high = wilson(sum(of_seed), len(of_seed))
            cells.append(f"{_percent(of_seed):.1f} [{100 * low:.1f}, {100 * high:.1f}]")
        rows.append([name, *cells])
    return rows


def found(rows: Sequence[Row]) -> str:
    """In words, which comparisons are significant at 5 % after Holm, and which are not."""
    tested = [row for row in rows if row.p_holm is not None]
    several = len({row.measure for row in rows}) > 1

    def named(row: Row) -> str:
        about = f" ({row.measure})" if several else ""
        return f"{row.arm} against {row.against}{about} {_signed(row.difference)}"

    yes = [named(row) for row in tested if (row.p_holm or 0.0) < 0.05]
    no = [named(row) for row in tested if (row.p_holm or 0.0) >= 0.05]
    return "\n\n".join(
        [
            f"Significant at 5 % after Holm: {'; '.join(yes) or 'nothing'}.",
            f"Not significant, so neither a difference nor its absence is shown: {'; '.join(no) or 'nothing'}.",
        ]
    )


def _signed(points: float | None) -> str:
    return "" if points is None else f"{points:+.1f}"


HOW = (
    "Percent; differences in points, on the same cases of the same seed. Intervals are drawn by problem (none where all cases are alike), "
    "p is McNemar's exact test over all pairs, Holm is over all p of the table. Where n is small, an interval may leave out zero and "
    "p be large: p decides. What seeds change is in the column by seed."
)


def world(scale: str, backbone: str, paper: str) -> str:
    """What the two columns of numbers have to do with each other."""
    return (
        f"Ours: scale {scale}, backbone {backbone}. The paper's: {paper}, one seed, no intervals. These are different worlds: the "
        "columns may be compared by sign and order, not by size."
    )


def save(out: Path, name: str, parts: Sequence[str], rows: Sequence[Row]) -> None:
    """Print the parts and write them to `<name>.md`, the rows to `<name>.csv`."""
    out.mkdir(parents=True, exist_ok=True)
    text = "\n\n".join(parts)
    print(text)
    write_text(out / f"{name}.md", text + "\n")
    with (out / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in dataclasses.fields(Row)])
        writer.writeheader()
        writer.writerows(dataclasses.asdict(row) for row in rows)
    print(f"\n{out / name}.md, {name}.csv", file=sys.stderr)
