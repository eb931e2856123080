"""The problems: what was read, dropped and why, and what is in the benchmark too."""

from __future__ import annotations

from mathse.data.dropped import DROPPED
from mathse.report.parts import Leaks, Notice, Part, Section, Table, Text, section
from mathse.report.problems import leaks_words
from mathse.report.run import Run
from mathse.steps.contamination import LEAKS, read_leaks

MOST_LEAKS = 60  # that are shown, with two pictures each; leaks.jsonl has all


def data(run: Run) -> list[Section]:
    """How many problems there were at each step, the rows dropped, and the leaks side by side."""
    counts = [["step", "for", "problems"]]
    for artifact in run.artifacts.values():
        if "problems" in artifact.metrics and artifact.step in (
            "load",
            "draw",
            "remaining",
            "decontaminate",
            "fitting",
        ):
            counts.append([artifact.step, run.roles[artifact.name], f"{artifact.metrics['problems']:.0f}"])
    parts: list[Part] = [Table(counts, fold=True, caption="Problems at each step")] if len(counts) > 1 else []
    for one in run.summary.get("data", []):
        rows = [["read", str(one["read"])], ["kept", str(one["kept"])]]
        rows += [[f"dropped: {reason}", str(n)] for reason, n in one["dropped"].items()]
        parts.append(Table([["", "rows"], *rows], f"{one['artifact']}/{DROPPED} names every row that was dropped."))
        if one["first"]:
            first = [[str(cell) for cell in row.values()] for row in one["first"]]
            parts.append(Table([["row", "reason", "detail"], *first], "The first rows that were dropped"))
    if "contamination" in run.summary:
        parts += [Text(leaks_words(run.summary["contamination"])), *leaks(run)]
    return section("data", "Problems", parts)


def leaks(run: Run) -> list[Part]:
    """The leaks beside their test problems; the first MOST_LEAKS."""
    parts: list[Part] = []
    for artifact in run.of("decontaminate"):
        try:
            found = read_leaks(artifact.path / LEAKS)
        except (OSError, ValueError) as error:
            parts.append(Notice(f"The leaks are not shown: {error}"))
            continue
        if found:
            more = f" The first {MOST_LEAKS} are shown." if len(found) > MOST_LEAKS else ""
            parts += [Text(f"contamination.allow=[id, …] keeps what is no leak.{more}"), Leaks(found[:MOST_LEAKS])]
    return parts
