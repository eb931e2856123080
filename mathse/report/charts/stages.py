"""From stage to stage: accuracy, what became of each problem, and what a round brought."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mathse.report.charts import INK, ODD, RIGHT, RIGHT_SOFT, WRONG, WRONG_SOFT, Draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STAGES = {"base": "untuned", "M_0": "distilled", "M_final": "reflected"}


def accuracy(models: Sequence[Mapping[str, Any]]) -> Draw:
    """A point and its 95 % interval for each model, in the order of training; `models` as in summary.json."""
    percent = [100 * model["accuracy"] for model in models]
    below = [max(0.0, p - 100 * model["ci95"][0]) for p, model in zip(percent, models, strict=True)]
    above = [max(0.0, 100 * model["ci95"][1] - p) for p, model in zip(percent, models, strict=True)]
    places = range(len(models))

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.plot(places, percent, color=RIGHT_SOFT, zorder=1)
        axes.errorbar(places, percent, yerr=[below, above], fmt="o", ms=5, color=RIGHT, ecolor=RIGHT, capsize=3, lw=1.3)
        for place, value, reach in zip(
            places, percent, above, strict=True
        ):  # above the bar, left of a line that would cross it
            steep = place + 1 < len(percent) and (percent[place + 1] - value) / 4 > 1.5 * reach
            at: dict[str, Any] = {"xytext": (5, 4) if steep else (0, 4), "textcoords": "offset points"}
            at["ha"] = "right" if steep else "center"
            axes.annotate(f"{value:.1f}", (place, value + reach), color=INK, weight="bold", **at)
        names = [f"{model['name']}\n{STAGES.get(model['name'], 'evolved')}" for model in models]
        axes.set_xticks(list(places), names if len(models) < 9 else [model["name"] for model in models])
        top = min(1.12 * max(p + a for p, a in zip(percent, above, strict=True)) + 2, 106)
        axes.set(xlim=(-0.5, len(models) - 0.5), ylim=(0, top), ylabel="correct, %")
        axes.set_yticks([tick for tick in axes.get_yticks() if tick <= min(top, 100)])
        axes.grid(axis="x", visible=False)

    return draw


def transitions(names: Sequence[str], flows: Sequence[Mapping[tuple[bool, bool], int]]) -> Draw:
    """Figure 2 of the paper as a flow: a column of right and wrong problems for each model, and how they go over into the next.

    `flows` has one entry between each two models: how many problems were (right before, right after).
    """

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.set_axis_off()
        total = sum(flows[0].values())
        gap, half = round(0.09 * total), 0.07
        for place, name in enumerate(names):
            near = flows[min(place, len(flows) - 1)]
            side = 0 if place < len(flows) else 1
            right = sum(n for pair, n in near.items() if pair[side])
            for low, high, colour, ink in (
                (0, right, RIGHT, "right"),
                (right + gap, total + gap, WRONG, "wrong"),
            ):
                axes.fill_between([place - half, place + half], low, high, color=colour, lw=0)
                if high > low:
                    words = f"{high - low}" + f" {ink}" * (place == 0)
                    where: dict[str, Any] = {"ha": "center", "va": "bottom", "fontsize": 8.5, "color": INK}
                    axes.annotate(words, (place, high), xytext=(0, 2), textcoords="offset points", **where)
            axes.annotate(name, (place, 0), xytext=(0, -5), textcoords="offset points", ha="center", va="top")
        for place, flow in enumerate(flows):
            _bands(axes, place, flow, gap, half)
        axes.set(xlim=(-0.35, len(names) - 0.65), ylim=(-0.07 * total, total + gap + 0.09 * total))

    return draw


def flow_size(models: int) -> tuple[float, float]:
    """In inches, for so many models."""
    return 1.0 + 1.35 * models, 3.6


def _bands(axes: Axes, place: int, flow: Mapping[tuple[bool, bool], int], gap: int, half: float) -> None:
    """The four bands between two columns: what stays is soft, what changes is strong."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    before, after = (sum(n for pair, n in flow.items() if pair[side]) for side in (0, 1))
    starts = {True: 0, False: before + gap}
    ends = {True: 0, False: after + gap}
    for pair in ((True, True), (True, False), (False, True), (False, False)):
        n = flow.get(pair, 0)
        if not n:
            continue
        left, right, middle = place + half, place + 1 - half, place + 0.5
        a, b = starts[pair[0]], ends[pair[1]]
        points = [(left, a), (middle, a), (middle, b), (right, b), (right, b + n)]
        points += [(middle, b + n), (middle, a + n), (left, a + n), (left, a)]
        codes = [Path.MOVETO, *[Path.CURVE4] * 3, Path.LINETO, *[Path.CURVE4] * 3, Path.CLOSEPOLY]
        changes = pair[0] != pair[1]
        colour = (RIGHT if pair[1] else WRONG) if changes else (RIGHT_SOFT if pair[1] else WRONG_SOFT)
        axes.add_patch(PathPatch(Path(points, codes), fc=colour, lw=0, alpha=0.5 if changes else 0.25))
        if changes:
            words = f"{n} {'gained' if pair[1] else 'lost'}"
            put: dict[str, Any] = {"ha": "left", "va": "center", "fontsize": 8.5, "color": INK}
            axes.text(left + 0.03, a + n / 2, words, **put)  # at its beginning: the bands cross in the middle
        starts[pair[0]] += n
        ends[pair[1]] += n


def solutions(found: Sequence[Mapping[str, Any]]) -> Draw:
    """Accepted, rejected and unreadable solutions of each round."""

    def draw(figure: Figure) -> None:
        axes = _rounds(figure, found)
        base = [0] * len(found)
        for key, colour in (("accepted", RIGHT), ("rejected", WRONG_SOFT), ("unreadable", ODD)):
            high = [r[key] for r in found]
            if any(high):
                axes.bar(range(len(found)), high, bottom=base, color=colour, width=0.6, label=key)
            base = [low + more for low, more in zip(base, high, strict=True)]
        axes.set(ylabel="solutions", ylim=(0, 1.02 * max([1, *base])))
        figure.legend(loc="outside upper left", ncols=3, columnspacing=1, handlelength=1.2)

    return draw


def acceptance(found: Sequence[Mapping[str, Any]], intervals: Mapping[str, Sequence[tuple[float, float]]]) -> Draw:
    """Precision and recall of acceptance, round by round, each with its 95 % interval; NaN where one is not known."""

    def draw(figure: Figure) -> None:
        axes = _rounds(figure, found)
        for key, colour, mark, aside in (("accept_precision", RIGHT, "o", -0.05), ("accept_recall", WRONG, "s", 0.05)):
            values = [math.nan if r[key] is None else r[key] for r in found]
            reach = [
                [max(0.0, v - low), max(0.0, high - v)] for v, (low, high) in zip(values, intervals[key], strict=True)
            ]
            about: dict[str, Any] = {"color": colour, "label": key.removeprefix("accept_"), "capsize": 3, "lw": 1.3}
            at = [place + aside for place in range(len(found))]
            axes.errorbar(at, values, yerr=list(zip(*reach, strict=True)), fmt=mark + "-", ms=4, **about)
        axes.set(ylabel="share")
        axes.set_ylim(top=1.01)
        axes.set_yticks([tick for tick in axes.get_yticks() if axes.get_ylim()[0] <= tick <= 1])
        figure.legend(loc="outside upper left", ncols=2, columnspacing=1, handlelength=1.2)

    return draw


def _rounds(figure: Figure, found: Sequence[Mapping[str, Any]]) -> Axes:
    axes = figure.add_subplot()
    axes.set_xticks(range(len(found)), [f"round {r['round']}" if len(found) < 6 else str(r["round"]) for r in found])
    axes.set_xlim(-0.6, len(found) - 0.4)
    axes.grid(axis="x", visible=False)
    return axes
