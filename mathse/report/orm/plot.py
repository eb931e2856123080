"""The picture of judges: what their scores are worth, and what a threshold trades."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mathse.report.charts import save_png
from mathse.report.charts.judge import both
from mathse.report.orm.instruments import Part

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 12  # judges in one picture


def orm_plot(path: Path, judges: Mapping[str, Mapping[str, Part]]) -> None:
    """A row for each judge, MOST at most: see `reliability` and `purity`."""
    drawn = list(judges.items())[:MOST]

    def draw(figure: Figure) -> None:
        rows = figure.subfigures(len(drawn), 1, squeeze=False)[:, 0]
        for row, (name, parts) in zip(rows, drawn, strict=True):
            row.suptitle(name, fontsize=10)
            both(parts)(row)

    save_png(draw, 9, 3.7 * len(drawn), path)
