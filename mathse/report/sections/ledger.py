"""Time and cost by stage, what the store saved, and what the teacher was paid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mathse.report.charts import cost as charts
from mathse.report.parts import Chart, Section, Stat, Table, Text, section
from mathse.report.roles import STAGES, stage_of
from mathse.report.run import Run
from mathse.report.text import dollars, money_table


def spent(run: Run) -> dict[str, tuple[int, int, float, float]]:
    """For each stage, in order: steps, of them found, seconds computed by this run, seconds that the found ones once took."""
    stages: dict[str, tuple[int, int, float, float]] = {}
    for step in run.summary["steps"]:
        name = step["name"]
        stage = stage_of(name.rpartition("-")[0], run.roles.get(name, ""))
        steps, found, computed, saved = stages.get(stage, (0, 0, 0.0, 0.0))
        once = run.seconds(name) or 0.0
        stages[stage] = (
            steps + 1,
            found + step["cached"],
            computed + (0.0 if step["cached"] else step["seconds"]),
            saved + (once if step["cached"] else 0.0),
        )
    return {name: stages[name] for name in STAGES if name in stages}


def ledger(run: Run) -> list[Section]:
    """The ledger by stage and by step."""
    stages = spent(run)
    if not stages:
        return []
    table = [["stage", "steps", "found", "computed", "saved"]]
    sums = [sum(row[i] for row in stages.values()) for i in range(4)]
    for name, (steps, found, computed, saved) in [*stages.items(), ("all", sums)]:
        table.append([name, f"{steps:.0f}", f"{found:.0f}", f"{computed:.1f} s", f"{saved:.1f} s"])
    said = "; ".join(f"{row[0]} {row[3]} computed, {row[4]} saved" for row in table[1:])
    bars = [(name, computed, saved) for name, (_, _, computed, saved) in stages.items()]
    chart = Chart("Seconds by stage", charts.times(bars), f"{said}.", size=(5.0, 0.9 + 0.28 * len(bars)))
    words = "Computed: by this run. Saved: what the steps that were found in the store took when they were computed."
    each = [["artifact", "role", "this run", "when computed"]]
    for step in run.summary["steps"]:
        name, once = step["name"], run.seconds(step["name"])
        took = "found" if step["cached"] else f"{step['seconds']:.1f} s"
        each.append([name, run.roles.get(name, ""), took, "" if once is None else f"{once:.1f} s"])
    money = (
        [Table(money_table(run.summary["teacher"]), "What the teacher was paid")] if "teacher" in run.summary else []
    )
    return section(
        "cost",
        "Time and cost",
        Text(words),
        chart,
        Table(table),
        money,
        more(run.summary),
        Table(each, "Steps", fold=True),
    )


def more(summary: Mapping[str, Any]) -> list[Table]:
    """The ledger of summary.json as it stands, a table with a column for each number."""
    rows = summary.get("ledger")
    rows = rows.get("steps") if isinstance(rows, Mapping) else rows
    if not isinstance(rows, Sequence) or not rows or not all(isinstance(row, Mapping) for row in rows):
        return []
    names = list(dict.fromkeys(key for row in rows for key in row if isinstance(row[key], (str, int, float))))
    return [Table([names, *([_plain(row.get(name)) for name in names] for row in rows)], "Ledger", fold=True)]


def _plain(value: Any) -> str:
    return "" if value is None else f"{value:,.6g}" if isinstance(value, float) else str(value)


def ledger_stats(run: Run) -> list[Stat]:
    """Time, what reuse saved, memory and dollars, as far as they are known."""
    summary, stages = run.summary, spent(run)
    saved = sum(row[3] for row in stages.values())
    found: list[Stat] = []
    if "seconds" in summary:
        found.append(
            Stat("Time", clock(summary["seconds"]), f"{clock(saved)} saved by reuse" if saved >= 1 else "nothing found")
        )
    if "peak_rss_mb" in summary:
        found.append(Stat("Memory", f"{summary['peak_rss_mb']:,} MB", "at its highest"))
    if "teacher" in summary:
        found.append(Stat("Teacher", f"{dollars(summary['teacher']['new'])} $", "paid by this run"))
    return found


def clock(seconds: float) -> str:
    """A time for people.

    >>> clock(3.2), clock(239), clock(7384)
    ('3.2 s', '3 min 59 s', '2 h 3 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
