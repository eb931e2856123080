"""The files of a report: report.html, report.md beside it; accuracy.png and orm.png for a README or W&B; orm.json for programs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mathse.report import orm
from mathse.report.charts import save_png
from mathse.report.charts.stages import accuracy
from mathse.report.compare import comparison
from mathse.report.files import write_text
from mathse.report.page import write_report
from mathse.report.parts import to_markdown
from mathse.report.run import Run
from mathse.report.sections import measured, report_of


def write_run(folder: Path, run: Run) -> Path:
    """The report of one run; returns the page's path."""
    judges = measured(run)
    report = report_of(run, judges)
    models = run.summary.get("models", [])
    if models:
        save_png(accuracy(models), 1.6 + 0.9 * len(models), 3.4, folder / "accuracy.png")
    if judges:
        orm.write(folder, judges)
    write_text(folder / "report.md", to_markdown(report))
    write_report(folder / "report.html", report)
    return folder / "report.html"


def write_runs(folder: Path, runs: Sequence[Run]) -> Path:
    """The comparison of several runs; returns the page's path."""
    report = comparison(runs)
    write_text(folder / "report.md", to_markdown(report))
    write_report(folder / "report.html", report)
    return folder / "report.html"
