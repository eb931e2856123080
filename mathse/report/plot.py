"""The picture of a judge: what its scores are worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mathse.report.charts import save_png
from mathse.report.charts.judge import both

if TYPE_CHECKING:
    from mathse.report.orm import Bin, Trade


def orm_plot(path: Path, panels: Mapping[str, tuple[Sequence[Bin], Sequence[Trade]]]) -> None:
    """Left: the share of right solutions in each bin of scores, with 95% intervals; on the diagonal a score is a probability.
    Right: how pure the accepted solutions are, and which share of the right ones they hold, as the threshold moves."""
    save_png(both(panels), 9, 4.2, path)
