"""Before any training: problems that are in a benchmark too are found, shown and left out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from mathse.benchmarks import Benchmark
from mathse.data import Data
from mathse.settings import settings
from mathse.store import Artifact, means
from mathse.types import Problem, read_jsonl, row_from_json, row_to_json, write_jsonl

LEAKS = "leaks.jsonl"


@settings
class Contamination:
    """What counts as a leak (mathse/data/contamination.py has the rule) and what is done about it.

    `enabled`: compare at all; `question`, `similar`, `picture`: from what likeness on, 0 to 1, questions are the same, questions are
    similar, pictures are the same; `drop`: leave leaks out; `allow`: ids (the file's or the problem's) that stay in; `against`:
    benchmarks besides the run's, by name.
    """

    enabled: bool
    question: Annotated[float, "> 0 <= 1"]
    similar: Annotated[float, "> 0 <= 1"]
    picture: Annotated[float, "> 0 <= 1"]
    drop: bool
    allow: tuple[str, ...]
    against: dict[str, Benchmark]

    def check(self) -> None:
        if self.similar > self.question:
            raise ValueError(f"contamination.similar should be at most contamination.question ({self.question})")


@dataclass(frozen=True)
class Leak:
    """A training problem, the test problem that it is, and why; `kept` where the allow-list has it or nothing is dropped."""

    problem: Problem
    test: Problem
    reason: str
    question: float
    masked: float
    picture: float | None
    kept: bool


def apart(data: Data, test: Data) -> bool:
    """Whether a source itself keeps its problems apart from a benchmark's, as made by programs they can be."""
    known = getattr(data, "apart_from", None)
    return known is not None and bool(known(test))


@means(version=2)
def decontaminate(
    out: Path,
    *,
    problems: Artifact,
    tests: list[Artifact],
    question: float,
    similar: float,
    picture: float,
    drop: bool,
    allow: Sequence[str],
) -> dict[str, float]:
    """The problems without those that are test problems too -> problems.jsonl; the leaks, side by side -> leaks.jsonl."""
    from mathse.data.contamination import Thresholds, matches

    ours = read_jsonl(Problem, problems.path / "problems.jsonl")
    theirs = [problem for test in tests for problem in read_jsonl(Problem, test.path / "problems.jsonl")]
    allowed = set(allow)
    leaks = [
        Leak(
            ours[match.problem],
            theirs[match.test],
            match.reason,
            round(match.question, 3),
            round(match.masked, 3),
            None if match.picture is None else round(match.picture, 3),
            kept=not drop or bool(allowed & {ours[match.problem].id, ours[match.problem].facts.get("id")}),
        )
        for match in matches(ours, theirs, Thresholds(question, similar, picture))
    ]
    write_leaks(out / LEAKS, leaks)
    dropped = {leak.problem.id for leak in leaks if not leak.kept}
    left = [problem for problem in ours if problem.id not in dropped]
    if not left:
        raise ValueError(
            f"all {len(ours)} problems are in the benchmark too; take other data, or contamination.drop=false"
        )
    write_jsonl(out / "problems.jsonl", left)
    reasons = Counter(leak.reason for leak in leaks)
    return {
        "problems": len(left),
        "read": len(ours),
        "leaks": len(leaks),
        "dropped": len(dropped),
        "against": len(theirs),
        **{f"leaks: {reason}": count for reason, count in sorted(reasons.items())},
    }


def write_leaks(path: Path, leaks: Sequence[Leak]) -> None:
    """One leak a line, pictures relative to the file's folder."""
    with path.open("w", encoding="utf-8") as file:
        for leak in leaks:
            row: dict[str, Any] = {
                **vars(leak),
                "problem": row_to_json(leak.problem, path.parent),
                "test": row_to_json(leak.test, path.parent),
            }
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def read_leaks(path: Path) -> list[Leak]:
    """What `write_leaks` wrote."""
    with path.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    sides = ("problem", "test")
    return [Leak(**{**row, **{side: row_from_json(Problem, row[side], path.parent) for side in sides}}) for row in rows]
