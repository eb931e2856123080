"""The charts of the tables, drawn without a display."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

RIGHT, WRONG = "#2a7f62", "#b5534b"
FLOWS = {"stay right": RIGHT, "lost": "#e0a33e", "won": "#5aa9c9", "stay wrong": "#c9c4c0"}
ENDS = {"stay right": (0, 0), "lost": (0, 1), "won": (1, 0), "stay wrong": (1, 1)}  # right is 0, above; wrong is 1


def flow(path: Path, names: Sequence[str], steps: Sequence[Mapping[str, int]], title: str) -> None:
    """Models from left to right, each a bar of right over wrong test problems; between them the problems that stay, are lost, are won.

    `steps` has the counts of the four kinds of transition for each pair of neighbours in `names`.
    """
    from matplotlib.patches import PathPatch, Rectangle
    from matplotlib.path import Path as Line

    figure, axes = _figure(2.0 + 1.9 * (len(names) - 1), 4.6)
    total = sum(steps[0].values())
    right = [steps[0]["stay right"] + steps[0]["lost"], *(step["stay right"] + step["won"] for step in steps)]
    width = 0.09
    for x, (name, count) in enumerate(zip(names, right, strict=True)):
        for low, high, colour in ((total - count, total, RIGHT), (0, total - count, WRONG)):
            axes.add_patch(Rectangle((x - width, low), 2 * width, high - low, color=colour, lw=0, zorder=3))
        axes.annotate(f"{name}\n{100 * count / total:.1f} %", (x, total * 1.02), ha="center", fontsize=9, weight="bold")
    for x, step in enumerate(steps):
        leave = {0: float(total), 1: float(total - right[x])}
        arrive = {0: float(total), 1: float(total - right[x + 1])}
        for kind, (start, end) in ENDS.items():
            count = step[kind]
            a, b = leave[start], arrive[end]
            leave[start], arrive[end] = a - count, b - count
            if not count:
                continue
            left, far = x + width, x + 1 - width
            middle = (left + far) / 2
            points = [(left, a), (middle, a), (middle, b), (far, b), (far, b - count), (middle, b - count)]
            points += [(middle, a - count), (left, a - count), (left, a)]
            codes = [Line.MOVETO, *[Line.CURVE4] * 3, Line.LINETO, *[Line.CURVE4] * 3, Line.CLOSEPOLY]
            axes.add_patch(PathPatch(Line(points, codes), color=FLOWS[kind], alpha=0.75, lw=0, zorder=2))
            if count > 0.02 * total:  # beside the bar that it leaves or comes to, where no other flow crosses it
                places = {"lost": (left + 0.09, a - count / 2), "won": (far - 0.09, b - count / 2)}
                place = places.get(kind, (middle, (a + b - count) / 2))
                axes.annotate(f"{count}", place, ha="center", va="center", fontsize=8, color="#222222", zorder=4)
    axes.set_xlim(-0.35, len(names) - 0.65)
    axes.set_ylim(0, total * 1.14)
    axes.axis("off")
    handles = [Rectangle((0, 0), 1, 1, color=colour, alpha=0.75) for colour in FLOWS.values()]
    figure.legend(handles, list(FLOWS), loc="outside lower center", ncols=4, fontsize=9, frameon=False)
    axes.set_title(f"{title}: {total} test problems from stage to stage", fontsize=10)
    _save(figure, path)


def stacked(path: Path, counts: Mapping[str, Mapping[str, int]], kinds: Sequence[str]) -> None:
    """A bar for each name, its errors by kind, in numbers of errors: shorter bars are better models."""
    figure, axes = _figure(8.0, 1.2 + 0.32 * len(counts))
    colours = ["#1b4965", "#5aa9c9", "#e0a33e", "#8c6bb1", "#b5534b", "#c9c4c0"]
    left = [0] * len(counts)
    for kind, colour in zip(kinds, colours, strict=True):
        here = [of_name.get(kind, 0) for of_name in counts.values()]
        axes.barh(range(len(counts)), here, left=left, color=colour, label=kind, height=0.72)
        left = [a + b for a, b in zip(left, here, strict=True)]
    axes.set_yticks(range(len(counts)), list(counts), fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("wrong solutions")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=len(kinds), fontsize=8, frameon=False)
    _save(figure, path)


def _figure(width: float, height: float) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _save(figure: Any, path: Path) -> None:
    temporary = path.with_suffix(".tmp.png")
    figure.savefig(temporary)
    temporary.replace(path)
