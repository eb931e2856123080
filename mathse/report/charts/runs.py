"""Several runs in one picture."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from mathse.report.charts import DIM, SERIES, Draw

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Point(NamedTuple):
    """An accuracy in percent with its 95 % interval."""

    value: float
    low: float
    high: float


def side_by_side(rows: Sequence[tuple[str, Sequence[tuple[str, Point]]]]) -> Draw:
    """A line for each arm, on it a point with its interval for each of its runs, named by what follows it."""

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        for place, (_, points) in enumerate(rows):
            for i, (_, point) in enumerate(points):
                at = place + (i - (len(points) - 1) / 2) * min(0.22, 0.6 / len(points))
                colour = SERIES[place % len(SERIES)]
                reach = [[max(0.0, point.value - point.low)], [max(0.0, point.high - point.value)]]
                axes.errorbar([point.value], [at], xerr=reach, fmt="o", ms=4.5, capsize=2, lw=1.2, color=colour)
        axes.set_yticks(range(len(rows)), [folded(label) for label, _ in rows])
        axes.set(xlabel="correct, %", ylim=(len(rows) - 0.5, -0.5))
        axes.grid(axis="y", visible=False)

    return draw


def folded(label: str, most: int = 34) -> str:
    """The label in lines, broken behind commas.

    >>> folded("K=2, seed_size=100", 8)
    'K=2,\\nseed_size=100'
    """
    lines = [""]
    for word in re.split(r"(?<=,) ", label):
        longer = f"{lines[-1]} {word}".strip()
        lines = [*lines[:-1], longer] if len(longer) <= most or not lines[-1] else [*lines, word]
    return "\n".join(lines)


def stages(curves: Mapping[str, Sequence[tuple[str, float]]]) -> Draw:
    """The accuracy of each arm from model to model; `curves` has (model, percent) in the order of training."""
    names = list(dict.fromkeys(name for points in curves.values() for name, _ in points))
    names.sort(key=lambda name: (name == "M_final", name != "base", len(name), name))

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        for i, (label, points) in enumerate(curves.items()):
            dash = "-" if i < len(SERIES) else "--"
            places = [names.index(name) for name, _ in points]
            values = [value for _, value in points]
            axes.plot(places, values, "o", ls=dash, ms=3.5, lw=1.3, color=SERIES[i % len(SERIES)], label=label)
        axes.set_xticks(range(len(names)), names)
        axes.set(ylabel="correct, %")
        axes.set_ylim(bottom=0)
        if len(curves) <= 12:
            figure.legend(loc="outside lower left", ncols=1)

    return draw


def against(setting: str, lines: Mapping[str, Sequence[tuple[float, Point]]]) -> Draw:
    """Accuracy of the last model against a setting; a line through the means of runs that are alike in all else but the seed."""

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        for i, (label, points) in enumerate(lines.items()):
            colour = SERIES[i % len(SERIES)]
            values: dict[float, list[float]] = {}
            for x, point in sorted(points):
                values.setdefault(x, []).append(point.value)
                axes.plot([x, x], [point.low, point.high], color=colour, lw=1, alpha=0.5)
                axes.plot([x], [point.value], "o", color=colour, ms=3.5)
            axes.plot(list(values), [sum(v) / len(v) for v in values.values()], color=colour, label=label)
        ticks = sorted({x for points in lines.values() for x, _ in points})
        if len(ticks) > 2 and ticks[0] > 0 and ticks[-1] / ticks[0] >= 8:
            axes.set_xscale("log")
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks], minor=False)
        axes.minorticks_off()
        axes.set(xlabel=setting, ylabel="correct, %")
        if len(lines) > 1:
            figure.legend(loc="outside lower left", ncols=1, labelcolor=DIM)

    return draw
