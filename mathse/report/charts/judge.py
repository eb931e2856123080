"""What the scores of a judge are worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mathse.report.charts import DIM, SERIES, Draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mathse.report.orm.numbers import Bin, Trade


def reliability(panels: Mapping[str, Sequence[Bin]]) -> Draw:
    """The share of right solutions in each bin of scores, with 95 % intervals; on the diagonal a score is a probability."""
    return lambda figure: on_reliability(figure.add_subplot(), panels)


def purity(panels: Mapping[str, Sequence[Trade]]) -> Draw:
    """How pure the accepted solutions are, and which share of the right ones they hold, as the threshold moves."""
    return lambda figure: on_purity(figure.add_subplot(), panels)


def both(panels: Mapping[str, tuple[Sequence[Bin], Sequence[Trade]]]) -> Draw:
    """The two side by side."""

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        on_reliability(left, {name: bins for name, (bins, _) in panels.items()})
        on_purity(right, {name: curve for name, (_, curve) in panels.items()})

    return draw


def on_reliability(axes: Axes, panels: Mapping[str, Sequence[Bin]]) -> None:
    """Draw `reliability` on these axes."""
    axes.plot([0, 1], [0, 1], color=DIM, lw=1, ls="--")
    for i, (name, bins) in enumerate(panels.items()):
        at, share = [b.score for b in bins], [b.right.value for b in bins]
        low = [max(0.0, b.right.value - b.right.ci95[0]) for b in bins]
        high = [max(0.0, b.right.ci95[1] - b.right.value) for b in bins]
        colour = SERIES[i % len(SERIES)]
        axes.errorbar(at, share, yerr=[low, high], fmt="o-", ms=4, lw=1.2, capsize=2, label=name, color=colour)
    axes.set(xlabel="score", ylabel="right, share", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    axes.legend(
        loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=3, columnspacing=1, handlelength=1.4
    )  # clear of the points


def on_purity(axes: Axes, panels: Mapping[str, Sequence[Trade]]) -> None:
    """Draw `purity` on these axes."""
    for i, (name, curve) in enumerate(panels.items()):
        taken = [point for point in curve if point.accepted]
        at, pure = [p.found.value for p in taken], [p.purity.value for p in taken]
        axes.plot(at, pure, color=SERIES[i % len(SERIES)], label=name, marker=".", ms=3, lw=1.2)
    axes.set(xlabel="yield: of the right ones, accepted", ylabel="purity: of the accepted, right", xlim=(-0.03, 1.03))
    axes.set_ylim(top=1.02)
    axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=3, columnspacing=1, handlelength=1.4)
