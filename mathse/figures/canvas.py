"""A picture under construction that remembers where each mark stands, so that it can be transcribed cell by cell."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from PIL import Image, ImageDraw, ImageFont

SIDE = 112  # pixels; 4 x 4 cells of 28, the patch of two merged 14-pixel patches that Qwen2-VL reads as one token
CELL = 28
PATCH = 14  # what the tower sees as one piece: ticks, dots and parts are as far apart

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (205, 40, 40),
    "blue": (40, 80, 205),
    "green": (30, 140, 60),
    "orange": (235, 140, 20),
    "purple": (135, 50, 160),
    "black": (25, 25, 25),
}
PALE = ((255, 255, 255), (250, 248, 240), (240, 246, 252), (245, 240, 250), (240, 248, 240), (252, 244, 236))
_FONTS = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSansMono-Bold.ttf", "DejaVuSerif-Bold.ttf")


@functools.lru_cache(maxsize=64)
def font(name: str, size: int) -> ImageFont.FreeTypeFont:
    """A font that every machine with our pinned packages has (matplotlib ships them), at `size` pixels."""
    spec = importlib.util.find_spec("matplotlib")
    assert spec is not None
    assert spec.origin is not None
    return ImageFont.truetype(str(Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / name), size)


@dataclass(frozen=True)
class Mark:
    """Something drawn that has a name (a character, a shape), where its centre is, in pixels, and the numbers it stands for."""

    text: str
    x: float
    y: float
    values: tuple[int, ...] = ()


def _into_cell(middle: float, half: float, away: int, side: int) -> float:
    """The nearest place for the middle of something `half` a width to each side that lies in one cell, if it can."""
    if 2 * half > CELL:
        return middle
    start = middle // CELL * CELL
    place = min(max(middle, start + half), start + CELL - half)
    if (place - middle) * away < 0 and 0 <= start + away * CELL < side:  # the next cell in the right direction
        place = start + CELL + half if away > 0 else start - half
    return place


class Canvas:
    """A square picture of varied background, font and type size. Draw shapes with `draw`, write with `text`."""

    def __init__(self, rng: Random, side: int = SIDE) -> None:
        self.rng = rng
        self.side = side
        self.image = Image.new("RGB", (side, side), rng.choice(PALE))
        self.draw = ImageDraw.Draw(self.image)
        self.font_name = rng.choice(_FONTS)
        self.size = rng.randint(15, 17)
        self.marks: list[Mark] = []

    def text(
        self,
        x: float,
        y: float,
        string: str,
        colour: str = "black",
        size: int | None = None,
        *,
        exact: bool = False,
        away: tuple[int, int] = (0, 0),
        values: tuple[int, ...] = (),
    ) -> None:
        """Write `string`, which stands for `values`, centred on (x, y), moved inwards where it would leave the picture.

        Unless `exact`, a string that fits into one cell is moved by as few pixels as will bring it there, and not against
        `away` (the signs of x and y, away from a line that it labels): a picture token then sees the whole number, which a
        tiny model learns to read in a fraction of the time.
        """
        face = font(self.font_name, size or self.size)
        width = face.getlength(string)
        x = min(max(x, width / 2 + 1), self.side - width / 2 - 1)
        half = face.size / 2
        y = min(max(y, half), self.side - half)
        if not exact:
            x = _into_cell(x, width / 2 + 1, away[0], self.side)
            y = _into_cell(y, half - 1, away[1], self.side)
        self.draw.text((x, y), string, fill=COLOURS[colour], font=face, anchor="mm")
        left = x - width / 2
        for i, character in enumerate(string):
            step = face.getlength(character)
            if character != " ":
                self.marks.append(Mark(character, left + step / 2, y, () if i else values))
            left += step

    def mark(self, name: str, x: float, y: float, values: tuple[int, ...] = ()) -> None:
        """Remember that something called `name`, which stands for `values`, was drawn with its centre at (x, y)."""
        self.marks.append(Mark(name, x, y, values))

    def colours(self, count: int) -> list[str]:
        """`count` different colour names, black excepted."""
        return self.rng.sample([name for name in COLOURS if name != "black"], count)

    def cells(self, size: int = CELL) -> list[list[Mark]]:
        """The marks of each cell of `size` pixels, cells in raster order, marks from left to right, the upper half first."""
        return cells_of(self.marks, self.side, size)


def cells_of(marks: Sequence[Mark], side: int, size: int) -> list[list[Mark]]:
    """The marks of each cell of `size` pixels of a square, cells in raster order, marks from left to right, the upper half first."""
    per_row = side // size
    grid: list[list[Mark]] = [[] for _ in range(per_row * per_row)]
    for mark in marks:
        column = min(int(mark.x // size), per_row - 1)
        row = min(int(mark.y // size), per_row - 1)
        grid[row * per_row + column].append(mark)
    return [sorted(cell, key=lambda mark: (mark.y // (size / 2), mark.x, mark.y)) for cell in grid]
