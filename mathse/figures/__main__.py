"""`python -m mathse.figures [FILE]` draws a contact sheet: eight problems of every family, with question and answer."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from PIL import Image, ImageDraw

from mathse.command import command
from mathse.figures import family_names, stream
from mathse.figures.canvas import SIDE, font

COLUMNS, WIDTH, HEIGHT, MARGIN = 8, 176, 196, 8


def contact_sheet() -> Image.Image:
    """One row of problems per family: picture, question in small type, answer."""
    names = family_names()
    sheet = Image.new("RGB", (MARGIN + COLUMNS * WIDTH, (len(names)) * HEIGHT + MARGIN), "white")
    pen = ImageDraw.Draw(sheet)
    small = font("DejaVuSans.ttf", 10)
    for row, name in enumerate(names):
        for column, drawn in enumerate(islice(stream(0, "train", [name]), COLUMNS)):
            left, top = MARGIN + column * WIDTH, MARGIN + row * HEIGHT
            for i, picture in enumerate(drawn.pictures):
                sheet.paste(picture, (left + i * (picture.width + 2), top))
            text = f"[{name} {drawn.program.level}] {drawn.program.question} → {drawn.program.answer}"
            pen.multiline_text((left, top + SIDE + 4), _wrap(text, small), fill="black", font=small, spacing=2)
    return sheet


def _wrap(text: str, face: object) -> str:
    lines, line = [], ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if face.getlength(longer) > WIDTH - MARGIN:  # type: ignore[attr-defined]
            lines.append(line)
            longer = word
        line = longer
    return "\n".join([*lines, line])


@command
def main(words: Sequence[str]) -> None:
    """Draw it."""
    parser = argparse.ArgumentParser(
        prog="python -m mathse.figures", description="Draw a contact sheet of every family."
    )
    parser.add_argument("file", type=Path, nargs="?", default=Path("figures.png"), help="a PNG (default: figures.png)")
    path = parser.parse_args(words).file
    contact_sheet().save(path, format="PNG")
    print(f"{len(family_names())} families -> {path}")


if __name__ == "__main__":
    sys.exit(main())
