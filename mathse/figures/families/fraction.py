"""Pie or bar of equal parts, some shaded: the fraction, the parts that are not shaded.

[a pie of 6 parts, 3 of them red]   What fraction of the pie is red?
Step 1: There are 6 parts. / Step 2: 3 parts are red. / Step 3: That is 3/6. -> 3/6
"""

from __future__ import annotations

import math
from random import Random

from PIL import Image, ImageDraw

from mathse.figures.canvas import CELL, COLOURS, Canvas
from mathse.figures.figure import Figure
from mathse.figures.program import Reading, Step, read

WHITE = (255, 255, 255)


def _pie(canvas: Canvas, hues: list[str]) -> None:
    """A circle cut into equal sectors, one for each of `hues`."""
    rng, parts = canvas.rng, len(hues)
    radius = rng.randint(38, 50)
    x = rng.randint(radius + 4, 108 - radius)
    y = rng.randint(radius + 4, 108 - radius)
    turn = rng.choice((-90.0, 0.0, -90 + 180 / parts))
    # drawn four times as large and shrunk, so that all lines are equally thick
    large = Image.new("RGB", (canvas.side * 4, canvas.side * 4), canvas.image.getpixel((0, 0)))
    pen = ImageDraw.Draw(large)
    box = (4 * (x - radius), 4 * (y - radius), 4 * (x + radius), 4 * (y + radius))
    for i, hue in enumerate(hues):
        start = turn + 360 * i / parts
        pen.pieslice(box, start, start + 360 / parts, fill=COLOURS.get(hue, WHITE))
        middle = math.radians(start + 180 / parts)
        canvas.mark(
            f"{hue} part",
            x + 0.65 * radius * math.cos(middle),
            y + 0.65 * radius * math.sin(middle),
            (hues.count(hue), parts),
        )
    for i in range(parts):
        angle = math.radians(turn + 360 * i / parts)
        end = (4 * x + 4 * (radius - 1) * math.cos(angle), 4 * y + 4 * (radius - 1) * math.sin(angle))
        pen.line(((4 * x, 4 * y), end), fill=COLOURS["black"], width=7)
    pen.ellipse(box, outline=COLOURS["black"], width=7)
    canvas.image.paste(large.resize((canvas.side, canvas.side), Image.Resampling.BOX))


def _bar(canvas: Canvas, hues: list[str]) -> None:
    """Equal boxes in one to four rows, one for each of `hues`, each in a cell of the picture."""
    rng, parts = canvas.rng, len(hues)
    rows, columns = rng.choice([(r, parts // r) for r in (1, 2, 3, 4) if parts % r == 0 and parts // r <= 4])
    row, column = rng.randint(0, 4 - rows), rng.randint(0, 4 - columns)
    for i, hue in enumerate(hues):
        x, y = CELL * (column + i % columns), CELL * (row + i // columns)
        canvas.draw.rectangle(
            (x, y, min(x + CELL, 111), min(y + CELL, 111)),
            fill=COLOURS.get(hue, WHITE),
            outline=COLOURS["black"],
            width=1,
        )
        canvas.mark(f"{hue} part", x + CELL / 2, y + CELL / 2, (hues.count(hue), parts))


def figure(rng: Random, level: int) -> Figure:
    """Level 1: one colour, up to 4 parts; 2: up to 8; 3: two colours."""
    canvas = Canvas(rng)
    shape = rng.choice(("pie", "bar"))
    parts = rng.choice((2, 3, 4) if level == 1 else (3, 4, 5, 6) if shape == "pie" else (3, 4, 6, 8))
    hue, second = canvas.colours(2)
    shaded = rng.randint(1, parts - 2 if level == 3 else parts - 1)
    also = rng.randint(1, parts - 1 - shaded) if level == 3 else 0
    hues = [hue] * shaded + [second] * also + ["white"] * (parts - shaded - also)
    (_pie if shape == "pie" else _bar)(canvas, hues)
    asked = rng.choice(("fraction", "white"))

    all_parts = Reading(
        "parts", parts, ("There are {parts} parts.", f"The {shape} has {{parts}} parts."), f"the parts of the {shape}"
    )

    def count(name: str, value: int, colour: str) -> Reading:
        return Reading(
            name,
            value,
            (f"{colour.capitalize()} parts: {{{name}}}.", f"{{{name}}} of them are {colour}."),
            f"the {colour} parts",
        )

    first = count("shaded", shaded, hue)
    readings = [all_parts, first]
    if level == 3:
        readings.append(count("also", also, second))

    steps = [read(all_parts), read(first)]
    wrong: tuple[str, ...] = ()
    if asked == "white":
        questions = (f"How many parts of the {shape} are not {hue}?", f"How many of the parts are not {hue}?")
        steps.append(Step("white", "sub", ("parts", "shaded"), ("{parts} - {shaded} = {white}.",)))
    else:
        questions = (f"What fraction of the {shape} is {hue}?", f"Which fraction of the {shape} is {hue}?")
        steps.append(
            Step("fraction", "over", ("shaded", "parts"), ("That is {fraction}.", "{shaded} of {parts} is {fraction}."))
        )
        wrong = _wrong(shaded, parts)
    return Figure([canvas], rng.choice(questions), readings, steps, wrong)


def _wrong(shaded: int, parts: int) -> tuple[str, ...]:
    """Fractions taken for shaded/parts: the white ones, one miscounted, shaded against white."""
    rest = parts - shaded
    pairs = ((rest, parts), (shaded, rest), (shaded, parts + 1), (shaded + 1, parts), (shaded - 1, parts))
    return tuple(dict.fromkeys(f"{a}/{b}" for a, b in pairs if a > 0 and (a, b) != (shaded, parts)))
