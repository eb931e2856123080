"""The picture of judges: what their scores are worth, and what a threshold trades."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mathse.report.charts import save_png
from mathse.report.charts.judge import both
from mathse.report.orm.numbers import Bin, Trade

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 12  # judges in one picture

Panel = Mapping[str, tuple[Sequence[Bin], Sequence[Trade]]]  # by part


def orm_plot(path: Path, judges: Mapping[str, Panel]) -> None:
    """A row for each judge, MOST at most. Left: the share of right solutions in each bin of scores, with 95% intervals; on the diagonal
    a score is a probability. Right: how pure the accepted solutions are, and which share of the right ones they hold, as the
    threshold moves."""
    drawn = list(judges.items())[:MOST]

    def draw(figure: Figure) -> None:
        rows = figure.subfigures(len(drawn), 1, squeeze=False)[:, 0]
        for row, (name, parts) in zip(rows, drawn, strict=True):
            row.suptitle(name, fontsize=10)
            both(parts)(row)

    save_png(draw, 9, 3.7 * len(drawn), path)
