"""The picture of a run: accuracy from stage to stage."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def accuracy_plot(path: Path, summary: Mapping[str, Any]) -> None:
    """A point and its 95% interval for each model, in the order of training."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    models = summary["models"]
    percent = [100 * model["accuracy"] for model in models]
    below = [max(0.0, p - 100 * model["ci95"][0]) for p, model in zip(percent, models, strict=True)]
    above = [max(0.0, 100 * model["ci95"][1] - p) for p, model in zip(percent, models, strict=True)]
    figure = Figure(figsize=(1.6 + 1.1 * len(models), 3.6), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    places = range(len(models))
    axes.plot(places, percent, color="#c3d6e2", lw=1.2, zorder=1)
    axes.errorbar(places, percent, yerr=[below, above], fmt="o", color="#1b4965", ecolor="#6fa3bf", capsize=4, lw=1.5)
    for place, value, reach in zip(places, percent, above, strict=True):  # above the bar, where no line crosses it
        above_bar: dict[str, Any] = {"xytext": (0, 5), "textcoords": "offset points", "ha": "center"}
        axes.annotate(f"{value:.1f}", (place, value + reach), fontsize=10, weight="bold", color="#1b4965", **above_bar)
    names = {"base": "base", "M_0": "M_0\ndistilled", "M_final": "M_final\nreflected"}
    axes.set_xticks(list(places), [names.get(model["name"], f"{model['name']}\nevolved") for model in models])
    axes.set_xlim(-0.4, len(models) - 0.4)
    top = 1.12 * max(100 * model["ci95"][1] for model in models) + 2
    axes.set_ylim(0, top)
    axes.set_yticks([tick for tick in axes.get_yticks() if tick <= min(top, 100)])
    axes.set_ylabel("correct answers, %")
    axes.set_title(f"Accuracy on {models[0]['n']} test problems, 95% intervals", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e6e6e6", lw=0.8)
    axes.set_axisbelow(True)
    save(figure, path)


def save(figure: Any, path: Path) -> None:
    """Write the picture whole or not at all."""
    temporary = path.with_suffix(".tmp.png")
    figure.savefig(temporary)
    temporary.replace(path)
