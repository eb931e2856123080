"""DynaMath (github.com/DynaMath/DynaMath, 598c3c3): 501 seed questions in ten variants each; its tables of stored outcomes.

Q1,fail,correct,fail,correct,correct,fail,fail,correct,fail,fail,4,analytic geometry,high school
Average accuracy is over all variants; worst-case counts a question that is right in all of its variants, always wrong one that is
right in none; reasoning robustness is worst-case over average. The problems themselves are not read here.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mathse.benchmarks.jsonl import JsonlProblems
from mathse.benchmarks.scoring import Scorable
from mathse.benchmarks.tables import Report, identity, share
from mathse.settings import settings
from mathse.statistics import bootstrap
from mathse.teacher import Teacher
from mathse.types import Problem

OUTCOMES = {"correct": True, "fail": False}
Question = tuple[list[bool], dict[str, str]]  # its variants, and its row


@settings
class DynaMath(Scorable):
    """Tables of variants, scored by `python -m mathse.score benchmark=dynamath responses=FILE.csv out=DIR`."""

    name: str
    data: JsonlProblems

    def score(self, problem: Problem, text: str) -> bool:
        """No single answer is scored here."""
        raise ValueError("benchmark=dynamath: only its tables of variants are scored, by `python -m mathse.score`")

    def report(
        self, problems: Path | None, responses: Path, *, rule: str, strict: bool, teacher: Teacher | None = None
    ) -> Report:
        """The result of a table; the rule is its authors', whose outcomes the table holds."""
        if rule != "authors" or problems or teacher:
            raise ValueError(
                "benchmark=dynamath has one rule and reads a table only; leave out rule=, problems=, teacher="
            )
        questions, twice = read_table(responses)
        faults = [f"{len(twice)} duplicate: {', '.join(twice[:10])}"] if twice else []
        if strict and faults:
            raise ValueError(f"{responses}: {faults[0]}; strict=true refuses that")
        right = [variant for variants, _ in questions for variant in variants]
        clusters = [number for number, (variants, _) in enumerate(questions) for _ in variants]
        worst = sum(all(variants) for variants, _ in questions) / len(questions)
        average = sum(right) / len(right)
        result = {
            "benchmark": self.name,
            "rule": "authors",
            "n": len(questions),
            "variants": len(right),
            "correct": sum(right),
            "accuracy": average,
            "ci95": list(bootstrap(right, clusters)),
            "average": average,
            "worst_case": worst,
            "always_wrong": sum(not any(variants) for variants, _ in questions) / len(questions),
            "reasoning_robustness": worst / average if average else 0.0,
            "by": {kind: _by(questions, kind) for kind in ("Topic", "Difficulty Level")},
            "identity": identity("authors", own=False, teacher=None, asked=None),
            "inputs": {"duplicate": {"count": len(twice), "first": twice[:10]}} if twice else {},
        }
        rows = [{"id": row["Question ID"], "variants": variants} for variants, row in questions]
        return Report(result, rows, faults)


def read_table(path: Path) -> tuple[list[Question], list[str]]:
    """The questions of a table, and the ids that stand in it again, where the first counts; its empty and summary rows are left out.

    Raises ValueError naming file and line.
    """
    questions: dict[str, Question] = {}
    twice = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            variants = [name for name in rows.fieldnames or () if name.startswith("Variant ")]
            if not variants or "Question ID" not in (rows.fieldnames or ()):
                raise ValueError(f"{path}: no DynaMath table; its first line should name Question ID, Variant 1 …")
            for row in rows:
                key, cells = row["Question ID"], [row[name] for name in variants]
                if not key or not any(cell in OUTCOMES for cell in cells):
                    continue
                if odd := [cell for cell in cells if cell not in OUTCOMES]:
                    raise ValueError(f"{path}, line {rows.line_num}: {odd[0]!r} is neither correct nor fail")
                if key in questions:
                    twice.append(key)
                else:
                    questions[key] = ([OUTCOMES[cell] for cell in cells], row)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: cannot be read ({error})") from error
    if not questions:
        raise ValueError(f"{path}: no questions in the table")
    return list(questions.values()), twice


def _by(questions: Sequence[Question], kind: str) -> dict[str, Any]:
    names = sorted({row.get(kind) or "" for _, row in questions})
    return {
        name: share([variant for variants, row in questions if (row.get(kind) or "") == name for variant in variants])
        for name in names
    }
