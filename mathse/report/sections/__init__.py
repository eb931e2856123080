"""The report of one run, subject by subject."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from mathse.report.orm import Instrument, instruments
from mathse.report.parts import BROKEN, Report, Section, Stat, attempted, not_shown
from mathse.report.run import Run
from mathse.report.sections.accuracy import accuracy
from mathse.report.sections.data import data
from mathse.report.sections.gallery import gallery
from mathse.report.sections.judge import errors, judge, reflection
from mathse.report.sections.ledger import ledger, ledger_stats
from mathse.report.sections.rounds import rounds
from mathse.report.sections.training import training
from mathse.statistics import p_value


def measured(run: Run) -> list[Instrument]:
    """Every judge of the run but answer match; none where their files are missing or broken."""
    try:
        return instruments((artifact, run.recipes[name]) for name, artifact in run.artifacts.items())
    except (OSError, ValueError, KeyError, TypeError) as error:
        run.missing.append(f"The judges are not measured: {error}")
        return []


def report_of(run: Run, judges: Sequence[Instrument]) -> Report:
    """Everything that a run says of itself. What is missing or broken is said in its place."""
    parts = (
        ("accuracy", "Accuracy", accuracy),
        ("rounds", "Rounds", rounds),
        ("judge", "The judge", functools.partial(judge, found=judges)),
        ("reflection", "Reflection", reflection),
        ("errors", "Types of error", errors),
        ("training", "Training", training),
        ("cost", "Time and cost", ledger),
        ("data", "Problems", data),
        ("gallery", "Gallery", gallery),
    )
    sections: list[Section] = []
    for name, title, make in parts:
        sections += attempted(name, title, lambda make=make: make(run))  # type: ignore[misc]
    numbers: list[Stat] = []
    try:
        numbers = stats(run)
    except BROKEN as error:
        run.missing.append(not_shown(error).words)
    return Report(
        title=run.name,
        kind="Run",
        about=run.about,
        command=str(run.summary.get("command", "")),
        stats=numbers,
        notices=[*run.missing, *([str(run.summary["note"])] if "note" in run.summary else [])],
        sections=sections,
    )


def stats(run: Run) -> list[Stat]:
    """The few numbers at the top."""
    models, found = run.summary.get("models", []), []
    if models:
        last, (low, high) = models[-1], models[-1]["ci95"]
        found.append(
            Stat(
                f"Accuracy of {last['name']}",
                f"{100 * last['accuracy']:.1f} %",
                f"{100 * low:.1f} to {100 * high:.1f}, n {last['n']}",
            )
        )
        for step in run.summary.get("comparisons", []):
            if (step["a"], step["b"]) == ("M_0", last["name"]):
                words = f"points, p {p_value(step['p'])}"
                found.append(Stat("Over M_0", f"{100 * step['difference']:+.1f}", words))
    kept = run.audit.get("D_SFT")
    if kept:
        wrong = kept["expected_wrong"]
        found.append(Stat("Rows of D_SFT", f"{kept['rows']:,}", "" if wrong is None else f"{wrong:.0f} expected wrong"))
    return [*found, *ledger_stats(run)]
