"""Where the time went."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mathse.report.charts import RIGHT, RIGHT_SOFT, Draw

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def times(stages: Sequence[tuple[str, float, float]]) -> Draw:
    """A bar for each stage: seconds that this run computed, and seconds that the store saved it."""

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        names = [name for name, _, _ in stages]
        computed, saved = [c for _, c, _ in stages], [s for _, _, s in stages]
        axes.barh(names, computed, color=RIGHT, height=0.62, label="computed")
        axes.barh(names, saved, left=computed, color=RIGHT_SOFT, height=0.62, label="found, so saved")
        axes.invert_yaxis()
        axes.set(xlabel="seconds")
        axes.grid(axis="y", visible=False)
        figure.legend(loc="outside upper left", ncols=2)

    return draw
