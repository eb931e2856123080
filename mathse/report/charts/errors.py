"""Which mistakes are left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mathse.report.charts import SERIES, Draw
from mathse.report.errors import TYPES, UNCLASSIFIED

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = {**dict(zip(TYPES, SERIES, strict=False)), UNCLASSIFIED: SERIES[-1]}


def types_of_error(bars: Mapping[str, Mapping[str, float]], what: str) -> Draw:
    """Figure 4 of the paper: a bar for each name, in it its errors by type; `what` they are counted in stands at the axis."""

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        left = [0.0] * len(bars)
        for kind, colour in COLOURS.items():
            here = [counts.get(kind, 0.0) for counts in bars.values()]
            axes.barh(range(len(bars)), here, left=left, color=colour, label=kind, height=0.66)
            left = [a + b for a, b in zip(left, here, strict=True)]
        axes.set_yticks(range(len(bars)), list(bars))
        axes.invert_yaxis()
        axes.set(xlabel=what, xlim=(0, 1.01 * max(1.0, *left)))
        axes.grid(axis="y", visible=False)
        figure.legend(loc="outside upper left", ncols=3, columnspacing=1, handlelength=1.2)

    return draw


def size(bars: Mapping[str, object]) -> tuple[float, float]:
    """In inches, for so many bars."""
    return 4.2, 1.25 + 0.3 * len(bars)
