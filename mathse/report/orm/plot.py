"""The picture of a judge: what its scores are worth, and what a threshold trades."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mathse.report.orm.numbers import Bin, Trade
from mathse.report.plot import save

MOST = 12  # judges in one picture

Panel = Mapping[str, tuple[Sequence[Bin], Sequence[Trade]]]  # by part


def orm_plot(path: Path, judges: Mapping[str, Panel]) -> None:
    """A row for each judge, MOST at most. Left: the share of right solutions in each bin of scores, with 95% intervals; on the diagonal
    a score is a probability. Right: how pure the accepted solutions are, and which share of the right ones they hold, as the
    threshold moves."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawn = list(judges.items())[:MOST]
    figure = Figure(figsize=(9, 3.7 * len(drawn)), dpi=150 if len(drawn) < 4 else 100, layout="constrained")
    FigureCanvasAgg(figure)
    rows = figure.subfigures(len(drawn), 1, squeeze=False)[:, 0]
    for row, (name, parts) in zip(rows, drawn, strict=True):
        row.suptitle(name, fontsize=10)
        reliability, trades = row.subplots(1, 2)
        _draw(reliability, trades, parts)
    save(figure, path)


def _draw(reliability: Any, trades: Any, parts: Panel) -> None:
    reliability.plot([0, 1], [0, 1], color="#b0b0b0", lw=1, ls="--")
    for name, (bins, curve) in parts.items():
        at, share = [b.score for b in bins], [b.right.value for b in bins]
        low = [max(0.0, b.right.value - b.right.ci95[0]) for b in bins]
        high = [max(0.0, b.right.ci95[1] - b.right.value) for b in bins]
        reliability.errorbar(at, share, yerr=[low, high], fmt="o-", ms=4, lw=1, capsize=3, label=name)
        taken = [point for point in curve if point.accepted]
        trades.plot([p.found.value for p in taken], [p.purity.value for p in taken], marker=".", ms=4, lw=1, label=name)
    reliability.set(xlabel="score", ylabel="share of right solutions", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    trades.set(xlabel="yield: share of the right ones accepted", ylabel="purity: share of the accepted that is right")
    trades.set(xlim=(-0.03, 1.03))
    reliability.legend(fontsize=8)
    for axes in (reliability, trades):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#e6e6e6", lw=0.8)
        axes.set_axisbelow(True)
        axes.xaxis.label.set_fontsize(9)
        axes.yaxis.label.set_fontsize(9)
