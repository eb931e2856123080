"""The picture of a judge: what its scores are worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mathse.report.orm import Bin, Trade


def orm_plot(path: Path, panels: Mapping[str, tuple[Sequence[Bin], Sequence[Trade]]]) -> None:
    """Left: the share of right solutions in each bin of scores, with 95% intervals; on the diagonal a score is a probability.
    Right: how pure the accepted solutions are, and which share of the right ones they hold, as the threshold moves."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.2), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    reliability, trades = figure.subplots(1, 2)
    reliability.plot([0, 1], [0, 1], color="#b0b0b0", lw=1, ls="--")
    for name, (bins, curve) in panels.items():
        at, share = [b.score for b in bins], [b.right.value for b in bins]
        low = [max(0.0, b.right.value - b.right.ci95[0]) for b in bins]
        high = [max(0.0, b.right.ci95[1] - b.right.value) for b in bins]
        reliability.errorbar(at, share, yerr=[low, high], fmt="o-", ms=4, lw=1, capsize=3, label=name)
        taken = [point for point in curve if point.accepted]
        trades.plot([p.found.value for p in taken], [p.purity.value for p in taken], marker=".", ms=4, lw=1, label=name)
    reliability.set(
        xlabel="score", ylabel="share of right solutions", title="Reliability", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03)
    )
    trades.set(xlabel="yield: share of the right ones accepted", ylabel="purity: share of the accepted that is right")
    trades.set(title="Threshold", xlim=(-0.03, 1.03))
    for axes in (reliability, trades):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#e6e6e6", lw=0.8)
        axes.set_axisbelow(True)
        axes.title.set_fontsize(10)
    figure.legend(*reliability.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8)
    save(figure, path)


def save(figure: Any, path: Path) -> None:
    """Write the picture whole or not at all."""
    temporary = path.with_suffix(".tmp.png")
    figure.savefig(temporary)
    temporary.replace(path)
