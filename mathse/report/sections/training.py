"""The curves of every training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mathse.report.charts import training as charts
from mathse.report.parts import Chart, Notice, Part, Section, Table, section
from mathse.report.run import Run

POINTS = 2000  # of a curve that are drawn; longer ones are thinned evenly


def training(run: Run) -> list[Section]:
    """Each model's and the ORM's loss over its steps, with the numbers at the end."""
    curves: dict[str, list[dict[str, Any]]] = {}
    table = [["training", "rows", "steps", "loss", "held-out loss", "rows dropped"]]
    notices: list[Part] = []
    for artifact in [*run.of("train_orm"), *run.of("sft")]:
        name, m = run.roles[artifact.name] or artifact.name, artifact.metrics
        held_out = f"{m['validation_loss']:.3f}" if "validation_loss" in m else ""
        counts = [f"{m[key]:.0f}" if key in m else "" for key in ("rows", "steps", "dropped")]
        table.append([name, *counts[:2], f"{m['loss']:.3f}" if "loss" in m else "", held_out, counts[2]])
        try:
            curves[name] = curve(artifact.path / "curve.jsonl")
        except (OSError, ValueError) as error:
            notices.append(Notice(f"The curve of {name} is not shown: {error}"))
    if len(table) == 1:
        return []
    said = "; ".join(f"{row[0]} ends at {row[3]} after {row[2]} steps" for row in table[1:])
    chart = (
        [Chart("Loss", charts.losses(curves), f"Loss over steps, logarithmic. {said}.", size=(4.4, 3.0))]
        if curves
        else []
    )
    caption = (
        "Loss: the mean of the last tenth of the steps, in nats per token learned. Held-out loss, a ring in the chart: at the end, of the "
        "rows of some problems that are kept out; they are not among the rows counted here."
    )
    return section("training", "Training", chart, notices, Table(table, caption))


def curve(path: Path) -> list[dict[str, Any]]:
    """The points of a curve, thinned, with those on held-out rows."""
    points = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    every = max(1, len(points) // POINTS)
    return [point for i, point in enumerate(points) if i % every == 0 or "validation_loss" in point]
