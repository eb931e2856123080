"""Time and cost by stage, what the store saved, and what the teacher was paid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mathse.report.charts import cost as charts
from mathse.report.ledger import ledger as ledger_of
from mathse.report.ledger import ledger_notes, ledger_table
from mathse.report.parts import Chart, Section, Stat, Table, Text, section
from mathse.report.run import Run
from mathse.report.text import dollars, money_table


def book_of(run: Run) -> Mapping[str, Any]:
    """The run's ledger, of the artifacts that are there."""
    found = {step["name"] for step in run.summary["steps"] if step["cached"]}
    return ledger_of(run.artifacts.values(), run.roles, found)


def ledger(run: Run) -> list[Section]:
    """What each stage took, what the store saved, and the steps."""
    if not run.summary["steps"]:
        return []
    book = book_of(run)
    bars = [(row["stage"], row["new"]["seconds"] or 0.0, row["saved"]["seconds"] or 0.0) for row in book["stages"]]
    table = [["stage", "steps", "found", "computed", "saved"]]
    for row in (*book["stages"], book["total"]):
        seconds = [f"{row[kind]['seconds'] or 0.0:.1f} s" for kind in ("new", "saved")]
        table.append([row["stage"], str(row["steps"]), str(row["found"]), *seconds])
    said = "; ".join(f"{row[0]} {row[3]} computed, {row[4]} saved" for row in table[1:])
    chart = Chart("Seconds by stage", charts.times(bars), f"{said}.", size=(4.2, 0.9 + 0.28 * len(bars)))
    words = "Computed: by this run. Saved: what the steps that were found in the store took when they were computed."
    about = f"{book['formula']}. kept: pictures whose features were in memory; cached: calls that the teacher's cache answered."
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
        Table(ledger_table(book), about),
        [Text(note) for note in ledger_notes(book)],
        money,
        Table(each, "Steps", fold=True),
    )


def ledger_stats(run: Run) -> list[Stat]:
    """Time, what reuse saved, memory and dollars, as far as they are known."""
    summary, saved = run.summary, book_of(run)["total"]["saved"]["seconds"] or 0.0
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
