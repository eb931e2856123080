"""What the scores of a judge are worth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mathse.report.charts import DIM, MARKS, SERIES, Draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mathse.report.orm.instruments import Part


def reliability(parts: Mapping[str, Part]) -> Draw:
    """The share of right solutions in each bin of scores, with 95 % intervals; a mark's area is the bin's part of the solutions. On the
    diagonal a score is a probability."""
    return lambda figure: on_reliability(figure.add_subplot(), parts)


def purity(parts: Mapping[str, Part]) -> Draw:
    """How pure the accepted solutions are, and which share of the right ones they hold, as the threshold moves; a ring is where the
    judge stands."""
    return lambda figure: on_purity(figure.add_subplot(), parts)


def both(parts: Mapping[str, Part]) -> Draw:
    """The two side by side."""

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        on_reliability(left, parts)
        on_purity(right, parts)

    return draw


def on_reliability(axes: Axes, parts: Mapping[str, Part]) -> None:
    """Draw `reliability` on these axes."""
    axes.plot([0, 1], [0, 1], color=DIM, lw=1, ls="--")
    for i, (name, part) in enumerate(parts.items()):
        at, share = [b.score for b in part.bins], [b.right.value for b in part.bins]
        low = [max(0.0, b.right.value - b.right.ci95[0]) for b in part.bins]
        high = [max(0.0, b.right.ci95[1] - b.right.value) for b in part.bins]
        of = sum(b.right.n for b in part.bins)
        about: dict[str, Any] = {"color": SERIES[i % len(SERIES)], "lw": 1}
        axes.errorbar(at, share, yerr=[low, high], fmt="none", capsize=2, **about)
        sizes = [8 + 90 * b.right.n / of for b in part.bins]
        axes.scatter(at, share, sizes, marker=MARKS[i % len(MARKS)], label=name, zorder=3, **about)
    axes.set(xlabel="score", ylabel="right, share", xlim=(-0.04, 1.04), ylim=(-0.04, 1.04))
    for handle in _legend(axes).legend_handles:
        handle.set_sizes([26])


def on_purity(axes: Axes, parts: Mapping[str, Part]) -> None:
    """Draw `purity` on these axes."""
    for i, (name, part) in enumerate(parts.items()):
        taken = [point for point in part.curve if point.accepted]
        at, pure = [p.found.value for p in taken], [p.purity.value for p in taken]
        colour, mark = SERIES[i % len(SERIES)], MARKS[i % len(MARKS)]
        axes.plot(at, pure, color=colour, lw=1.4)
        axes.plot(*([value] for value in part.stands), mark, mfc="none", ms=8, mew=1.6, color=colour, label=name)
    axes.set(xlabel="yield: of the right ones, accepted", ylabel="purity: of the accepted, right", xlim=(-0.03, 1.04))
    axes.set_ylim(top=1.03)
    _legend(axes)


def _legend(axes: Axes) -> Any:
    """Above the axes, clear of the points."""
    place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (-0.02, 1.0)}
    return axes.legend(**place, ncols=3, columnspacing=1, handlelength=1.4)
