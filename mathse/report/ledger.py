"""ledger of summary.json: what each step took, in all its stages, and what finding steps in the store and calls in the cache saved.

What the record of a step does not say (it is of an earlier commit) is unknown: null here, never 0, and a sum that lacks it says of
how many steps.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

from mathse.backbones.flops import FORMULA
from mathse.report.roles import STAGES, stage_of
from mathse.store import RECORD, Artifact
from mathse.store.work import COUNTS

Row = dict[str, Any]
SUMS = ("seconds", *COUNTS, "calls", "calls_cached", "dollars")
UNKNOWN = "unknown"


def ledger(artifacts: Iterable[Artifact], roles: Mapping[str, str], found: Set[str]) -> dict[str, Any]:
    """`steps`, a row each in the order of the run; `stages` and `total`, sums of them: `new` is what this run itself took, `saved`
    what the steps that it found had taken. `seconds` are those of the computation, on the machine that did it; `calls_cached` are
    those of the teacher's calls that the cache answered.

    A sum over steps of which some are unknown is that of the others; `unknown` counts them by name. `resumed` steps were killed
    before: of these only the last start is known.
    """
    rows = [_row(artifact, roles[artifact.name], artifact.name in found) for artifact in artifacts]
    stages = [
        {"stage": stage, **_sums([row for row in rows if row["stage"] == stage])}
        for stage in STAGES
        if any(row["stage"] == stage for row in rows)
    ]
    return {"formula": FORMULA, "steps": rows, "stages": stages, "total": {"stage": "all", **_sums(rows)}}


def _row(artifact: Artifact, role: str, found: bool) -> Row:
    record = _record(artifact)
    work: Mapping[str, Any] = record.get("work", {})
    if "inputs" in record and "mathse.backbones." not in json.dumps(record["inputs"]):
        work = {**dict.fromkeys(COUNTS, 0), **work}  # it asks no model, whatever an earlier commit's record leaves out
    metrics = artifact.metrics
    paid = metrics.get("calls_paid")
    return {
        "step": artifact.name,
        "role": role,
        "stage": stage_of(artifact.step, role),
        "found": found,
        "resumed": record.get("resumed", False),
        "seconds": record.get("seconds"),
        **{name: work.get(name) for name in COUNTS},
        "calls": metrics.get("teacher_calls", 0),
        "calls_cached": 0 if paid is None else max(0, metrics["teacher_calls"] - paid),
        "dollars": metrics.get("dollars") if paid else 0.0,  # unknown where the model that was paid has no price
    }


def _record(artifact: Artifact) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads((artifact.path / RECORD).read_text(encoding="utf-8"))
        return record
    except (OSError, ValueError):
        return {}


def _sums(rows: Sequence[Row]) -> Row:
    new, found = [row for row in rows if not row["found"]], [row for row in rows if row["found"]]
    return {**_sum(rows), "found": len(found), "new": _sum(new), "saved": _sum(found)}


def _sum(rows: Sequence[Row]) -> Row:
    """Of what is known; None where that is nothing."""
    missing = {name: count for name in SUMS if (count := sum(row[name] is None for row in rows))}
    sums = {name: round(sum(row[name] or 0 for row in rows), 3) for name in SUMS}
    known = {name: None if name in missing and not value else value for name, value in sums.items()}
    return {"steps": len(rows), **known, "unknown": missing, "resumed": sum(row["resumed"] for row in rows)}


# ---- for people ----

COLUMNS = {
    "steps": "steps",
    "seconds": "seconds",
    "tokens_trained": "tokens trained",
    "tokens_generated": "generated",
    "tokens_read": "read",
    "pictures_encoded": "pictures",
    "pictures_found": "kept",
    "flops": "FLOPs",
    "calls": "calls",
    "calls_cached": "cached",
    "dollars": "$",
}


def ledger_table(book: Mapping[str, Any]) -> list[list[str]]:
    """A row for each stage and for all, header first; behind it what this run took and what the store saved it."""
    total = book["total"]
    named = [(sums["stage"], sums) for sums in (*book["stages"], total)]
    named += [("of it, now", total["new"]), ("saved by the store", total["saved"])]
    return [["stage", *COLUMNS.values()], *([title, *(_cell(sums, name) for name in COLUMNS)] for title, sums in named)]


def _cell(sums: Mapping[str, Any], name: str) -> str:
    value = sums[name]
    if value is None:
        return UNKNOWN
    shown = {"seconds": f"{value:.0f}", "dollars": f"{value:.2f}"}.get(name, short(value))
    return f"{shown} +?" if name in sums["unknown"] else shown


def short(number: float) -> str:
    """A count in few characters.

    >>> short(950), short(1234567), short(2.5e15)
    ('950', '1.23M', '2.50P')
    """
    for size, letter in ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            return f"{number / size:.2f}{letter}"
    return f"{number:.0f}"


def ledger_notes(book: Mapping[str, Any]) -> list[str]:
    """What is to be known of the table, a line each; nothing where all was counted."""
    total = book["total"]
    notes = ["unknown, +?: steps of earlier commits did not count this."] if total["unknown"] else []
    if total["resumed"]:
        notes.append(f"{total['resumed']} steps were killed and resumed: of these only the last start is counted.")
    return notes
