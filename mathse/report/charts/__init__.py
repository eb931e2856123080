"""Charts of the report: drawn by matplotlib, put into the page as SVG whose text stays text and whose colours are the page's own.

A drawing uses the colours below and nothing else; in the page each becomes a CSS variable, which has one value by day and one by night.
Blue is right, orange is wrong, and each is named beside its mark; colour-blind people tell these and the SERIES apart.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mathse.report.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, DIM, RULE = "#1b1e24", "#5a626c", "#dfe2e6"
RIGHT, RIGHT_SOFT = "#1f5f8c", "#6795bb"
WRONG, WRONG_SOFT = "#bf5212", "#c8814f"
ODD = "#877431"
SERIES = ("#1f5f8d", "#a43711", "#517f3b", "#6c0a56", "#c47aa1", "#0a7ce0", "#9f8504", "#626261")
MARKS = "os^Dv"  # of series: who sees no difference in their colours sees it in these

VARIABLES = {
    INK: "--ink",
    DIM: "--dim",
    RULE: "--rule",
    RIGHT: "--right",
    RIGHT_SOFT: "--right-mid",
    WRONG: "--wrong",
    WRONG_SOFT: "--wrong-mid",
    ODD: "--odd",
    **{colour: f"--series-{i}" for i, colour in enumerate(SERIES, start=1)},
}
STYLE = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # names are not formulas
    "font.size": 9.5,
    "text.color": INK,
    "axes.edgecolor": DIM,
    "axes.labelcolor": DIM,
    "axes.linewidth": 0.8,
    "xtick.color": DIM,
    "ytick.color": DIM,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.6,
}
Draw = Callable[["Figure"], None]


def canvas(width: float, height: float) -> Figure:
    """An empty figure of so many inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def drawn(draw: Draw, width: float, height: float) -> Any:
    """The figure that `draw` fills. Raises what it raises."""
    import matplotlib

    with matplotlib.rc_context(STYLE):
        figure = canvas(width, height)
        draw(figure)
    return figure


def inline_svg(draw: Draw, width: float, height: float, name: str) -> str:
    """The drawing as an SVG element for an HTML page. `name` keeps its ids apart from those of the page's other charts."""
    import matplotlib

    out = io.StringIO()
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": name}):
        figure = canvas(width, height)
        draw(figure)
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(out, format="svg", transparent=True, metadata=nothing)
    svg = out.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<!--.*?-->|<style.*?</style>|<metadata.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"font-family: [^;\"]*;? ?|\n(?=L |C |z|\")", lambda cut: " " if cut[0] == "\n" else "", svg)
    svg = re.sub(r'\bid="|(?:xlink:)?href="#|url\(#', lambda at: f"{at[0].removeprefix('xlink:')}{name}-", svg)
    svg = re.sub(r' xmlns(:xlink)?="[^"]*"', "", svg)  # HTML knows what an SVG is
    svg = re.sub(r' width="[\d.]+pt" height="[\d.]+pt"', ' aria-hidden="true" focusable="false"', svg, count=1)
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    return re.sub(r"\n\s*", "\n", svg)


def save_png(draw: Draw, width: float, height: float, path: Path) -> None:
    """The same drawing as a PNG on white, for a README or a paper; written whole or not at all."""
    with replacing(path) as temporary:
        drawn(draw, width, height).savefig(temporary, dpi=150)
