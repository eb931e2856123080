"""The files of a report: report.html, report.md beside it; accuracy.png and orm.png for a README or W&B; orm.json for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from mathse.report.charts import save_png
from mathse.report.charts.stages import accuracy
from mathse.report.compare import comparison
from mathse.report.files import write_text
from mathse.report.orm import as_json
from mathse.report.orm.plot import orm_plot
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
        write_text(folder / "orm.json", json.dumps(as_json(judges), ensure_ascii=False, indent=1) + "\n")
        panels = {
            one.name: {name: (p.calibration.bins, p.curve) for name, p in one.parts.items() if p.calibration}
            for one in judges
        }
        if any(panels.values()):
            orm_plot(folder / "orm.png", {name: parts for name, parts in panels.items() if parts})
    write_text(folder / "report.md", to_markdown(report))
    write_report(folder / "report.html", report)
    return folder / "report.html"


def write_runs(folder: Path, runs: Sequence[Run]) -> Path:
    """The comparison of several runs; returns the page's path."""
    report = comparison(runs)
    write_text(folder / "report.md", to_markdown(report))
    write_report(folder / "report.html", report)
    return folder / "report.html"
