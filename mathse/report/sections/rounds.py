"""The rounds of self-evolving, and what the audit says of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mathse.report.charts import stages as charts
from mathse.report.parts import Chart, Notice, Part, Section, Table, Text, section
from mathse.report.roles import round_of
from mathse.report.run import Run
from mathse.report.text import round_table
from mathse.statistics import wilson


def rounds(run: Run) -> list[Section]:
    """What each round accepted, how good that was, and how it drifts."""
    found = run.summary.get("rounds", [])
    if not found:
        return []
    counts = "; ".join(
        f"round {r['round']}: {r['accepted']} accepted, {r['rejected']} rejected, {r['unreadable']} unreadable"
        for r in found
    )
    shares = "; ".join(
        f"round {r['round']}: {_share(r['accept_precision'])} and {_share(r['accept_recall'])}" for r in found
    )
    parts: list[Part] = [Chart("Solutions of each round", charts.solutions(found), f"{counts}.", size=(4.2, 2.7))]
    sources = [run.recipes[one.name]["inputs"].get("source") or {} for one in run.rounds]
    if sources and all(str(source.get("_target_")).endswith(".AnswerMatch") for source in sources):
        words = "The judge is answer match, so precision and recall are 1 by construction: they are measured by it."
    else:
        words = "Precision and recall of acceptance are measured against the reference answers; their intervals (Wilson) hold 95 %."
        said = f"Precision and recall of acceptance. {shares}."
        parts.append(Chart("Acceptance", charts.acceptance(found, intervals(run)), said, size=(4.2, 2.7)))
    return section("rounds", "Rounds", Text(words), Table(round_table(run.summary)), parts, audited(run.audit))


def intervals(run: Run) -> dict[str, list[tuple[float, float]]]:
    """The 95 % Wilson intervals of each round's precision and recall; NaN where there was nothing to count, or the round is missing."""
    metrics = {round_of(run.roles[one.name]): one.metrics for one in run.rounds}
    found: dict[str, list[tuple[float, float]]] = {"accept_precision": [], "accept_recall": []}
    for r in run.summary["rounds"]:
        m = metrics.get(r["round"], {"accept_precision": 0, "accepted": 0, "right": 0})
        hits = round(m["accept_precision"] * m["accepted"])
        for name, of in (("accept_precision", m["accepted"]), ("accept_recall", m["right"])):
            found[name].append(wilson(hits, int(of)) if of else (math.nan, math.nan))
    return found


def audited(audit: Mapping[str, Any]) -> list[Part]:
    """What audit.json says; nothing for a run without rounds."""
    if not audit.get("rounds"):
        return []
    kept = audit["D_SFT"]
    wrong = kept["expected_wrong"]
    expected = "nobody knows how many wrong" if wrong is None else f"{wrong:.0f} expected wrong"
    without = kept.get("unanswered", "an unknown number")  # which audits of an earlier commit did not count
    words = (
        f"The audit: D_SFT has {kept['rows']} rows, {expected}, {without} without a final answer. Accepted: share of the solutions; "
        "without answer: solutions that state none, cut off most often; characters: of a solution, on average; distinct: not written "
        "before for the same problem; newly solved: problems, and their share of those that were asked."
    )
    head = ["round", "accepted", "without answer", "characters", "distinct", "newly solved", "share"]
    rows = [
        [
            str(r["round"]),
            _share(r["acceptance"]),
            _share(r.get("unanswered")),
            f"{r['characters']:.0f}",
            _share(r["distinct"]),
            f"{r['solved'] * r['problems']:.0f}",
            _share(r["solved"]),
        ]
        for r in audit["rounds"]
    ]
    names = sorted({name for r in audit["rounds"] for name in r["families"]})
    families = [[name, *(_family(r["families"].get(name)) for r in audit["rounds"])] for name in names]
    return [
        Table([head, *rows], words),
        *(Notice(f"Alarm: {alarm}") for alarm in audit["alarms"]),
        Table(
            [["family", *(f"round {r['round']}" for r in audit["rounds"])], *families],
            "Accepted / precision / solved by family",
            fold=True,
        ),
    ]


def _share(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"


def _family(part: Mapping[str, Any] | None) -> str:
    if part is None:
        return ""
    precision = "?" if part["precision"] is None else f"{part['precision']:.2f}"
    return f"{part['acceptance']:.2f} / {precision} / {part['solved']:.2f} (n {part['solutions']})"
