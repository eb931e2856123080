"""What a picture token stands for: the marks in its cell."""

from __future__ import annotations

import math

from mathse.figures import Drawn
from mathse.figures.canvas import Mark, cells_of

# Of each picture as a family sees it, the marks in the cell of each token, in raster order.
Views = list[list[list[Mark]]]


def whole(drawn: Drawn) -> Views:
    """A token for each 28 pixels."""
    return [canvas.cells() for canvas in drawn.canvases]


def tiles(drawn: Drawn) -> Views:
    """Sixteen tokens for each picture, whatever its size."""
    return [canvas.cells(canvas.side // 4) for canvas in drawn.canvases]


def square(drawn: Drawn) -> Views:
    """Sixteen tokens for all pictures together, laid out in the cells of a square as `LoadedCogVLM2.one` does."""
    side, across = drawn.canvases[0].side, math.ceil(math.sqrt(len(drawn.canvases)))
    marks = [
        Mark(mark.text, mark.x + i % across * side, mark.y + i // across * side, mark.values)
        for i, canvas in enumerate(drawn.canvases)
        for mark in canvas.marks
    ]
    return [cells_of(marks, side * across, side * across // 4)]


def side_of(view: list[list[Mark]]) -> int:
    """Cells along one side of a square picture."""
    return math.isqrt(len(view))


def transcription(views: Views) -> str:
    """Every picture cell by cell in raster order: its marks, or a dash; rows end in a slash."""
    lines = []
    for view in views:
        cells, width = [_cell(cell) for cell in view], side_of(view)
        lines.append(" / ".join(" ".join(cells[row * width : (row + 1) * width]) for row in range(width)))
    return "\n".join(lines)


def _cell(marks: list[Mark]) -> str:
    return "".join(f"{mark.text} " if len(mark.text) > 1 else mark.text for mark in marks).strip() or "-"
