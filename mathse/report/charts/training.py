"""How the loss went in each training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mathse.report.charts import SERIES, Draw

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WINDOWS = 24  # a curve is drawn as the means of so many stretches


def losses(curves: Mapping[str, Sequence[Mapping[str, Any]]]) -> Draw:
    """The loss of each training over its steps, smoothed, on a logarithmic scale; a ring is the loss on held-out rows at the end."""

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        for i, (name, points) in enumerate(curves.items()):
            colour = SERIES[i % len(SERIES)]
            trained = [(point["step"], point["loss"]) for point in points if "loss" in point]
            steps, loss = smoothed(trained)
            axes.plot(steps, loss, color=colour, lw=1.3, label=name, ls="-" if i < len(SERIES) else "--")
            held_out = [(point["step"], point["validation_loss"]) for point in points if "validation_loss" in point]
            axes.plot(*zip(*held_out), "o", mfc="none", ms=5, color=colour) if held_out else None
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda loss, _: f"{loss:g}")  # no powers of ten
        axes.yaxis.set_minor_formatter(lambda loss, _: "")
        axes.set(xlabel="training step", ylabel="loss, nats per token")
        axes.legend(loc="upper right", ncols=2 if len(curves) > 4 else 1)

    return draw


def smoothed(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """Steps and losses, each the mean of a window; what is not finite is left out."""
    known = [(step, loss) for step, loss in points if math.isfinite(loss) and loss > 0]
    size = max(1, len(known) // WINDOWS)
    windows = [known[at : at + size] for at in range(0, len(known), size)]
    return [w[-1][0] for w in windows], [sum(loss for _, loss in w) / len(w) for w in windows]
