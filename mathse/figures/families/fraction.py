"""Pie or bar of equal parts, some shaded: the fraction, the parts left white, the shaded share of a number.

[a pie of 6 parts, 3 of them red]   What fraction of the pie is red? Count the parts, do not simplify.
Step 1: There are 6 parts. / Step 2: 3 parts are red. / Step 3: That is 3/6. -> 3/6
"""

from __future__ import annotations

import math
from random import Random

from PIL import Image, ImageDraw

from mathse.figures.canvas import COLOURS, PATCH, Canvas
from mathse.figures.figure import Figure
from mathse.figures.program import Reading, Step, read

WHITE = (255, 255, 255)


def _pie(canvas: Canvas, hues: list[str], bottom: int) -> None:
    """A circle cut into equal sectors, one for each of `hues`."""
    rng, parts = canvas.rng, len(hues)
    radius = rng.randint(34, 40) if bottom < 100 else rng.randint(38, 50)
    x = rng.randint(radius + 4, 108 - radius)
    y = rng.randint(radius + 3, max(bottom - radius, radius + 3))
    turn = rng.choice((-90.0, 0.0, -90 + 180 / parts))
    # drawn four times as large and shrunk, so that all lines are equally thick
    large = Image.new("RGB", (canvas.side * 4, canvas.side * 4), canvas.image.getpixel((0, 0)))
    pen = ImageDraw.Draw(large)
    box = (4 * (x - radius), 4 * (y - radius), 4 * (x + radius), 4 * (y + radius))
    for i, hue in enumerate(hues):
        start = turn + 360 * i / parts
        pen.pieslice(box, start, start + 360 / parts, fill=COLOURS.get(hue, WHITE))
        middle = math.radians(start + 180 / parts)
        canvas.mark(f"{hue} part", x + 0.65 * radius * math.cos(middle), y + 0.65 * radius * math.sin(middle))
    for i in range(parts):
        angle = math.radians(turn + 360 * i / parts)
        end = (4 * x + 4 * (radius - 1) * math.cos(angle), 4 * y + 4 * (radius - 1) * math.sin(angle))
        pen.line(((4 * x, 4 * y), end), fill=COLOURS["black"], width=7)
    pen.ellipse(box, outline=COLOURS["black"], width=7)
    canvas.image.paste(large.resize((canvas.side, canvas.side), Image.Resampling.BOX))


def _bar(canvas: Canvas, hues: list[str], bottom: int) -> None:
    """Equal boxes in a row or a column, one for each of `hues`."""
    rng, parts = canvas.rng, len(hues)
    upright = rng.random() < 0.3
    across, along = rng.randint(20, 36), PATCH  # each part as wide as a patch
    free = PATCH * rng.randint(0, (bottom // PATCH if upright else 7) - parts)
    x = rng.randint(6, 106 - across) if upright else free
    y = free if upright else rng.randint(6, bottom - 4 - across)
    for i, hue in enumerate(hues):
        if upright:
            box = (x, y + i * along, x + across, y + (i + 1) * along)
        else:
            box = (x + i * along, y, x + (i + 1) * along, y + across)
        canvas.draw.rectangle(box, fill=COLOURS.get(hue, WHITE), outline=COLOURS["black"], width=1)
        canvas.mark(f"{hue} part", (box[0] + box[2]) / 2, (box[1] + box[3]) / 2)


def figure(rng: Random, level: int) -> Figure:
    """Level 1: one colour, up to 5 parts; 2: up to 6, or a share of a number; 3: two colours."""
    canvas = Canvas(rng)
    parts = rng.randint(3, 5 if level == 1 else 6)
    hue, second = canvas.colours(2)
    shaded = rng.randint(1, parts - 2 if level == 3 else parts - 1)
    also = rng.randint(1, parts - 1 - shaded) if level == 3 else 0
    white = parts - shaded - also
    asked = rng.choice(
        (("fraction", "white"), ("fraction", "white", "share", "rest"), ("fraction", "both", "share", "sum"))[level - 1]
    )
    unit = rng.randint(2, 12)
    shows_total = asked in ("share", "rest", "sum") or (level == 3 and rng.random() < 0.3)

    hues = [hue] * shaded + [second] * also + ["white"] * white
    if rng.random() < 0.7:
        rng.shuffle(hues)
    bottom = 92 if shows_total else 108
    shape = rng.choice(("pie", "bar"))
    (_pie if shape == "pie" else _bar)(canvas, hues, bottom)
    if shows_total:
        canvas.text(rng.randint(30, 82), 102, str(parts * unit))

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
    other = count("also", also, second)
    if level == 3:
        readings.append(other)
    total = Reading(
        "total",
        parts * unit,
        ("The whole is {total}.", "The number below is {total}."),
        f"the number under the {shape}",
    )
    if shows_total:
        readings.append(total)

    steps = [read(all_parts), read(first)]
    wrong: tuple[str, ...] = ()
    whole = f"The whole {shape} stands for the number below it."
    share = Step(
        "part", "div", ("total", "parts"), ("{total} / {parts} = {part}.", "One part is {total} / {parts} = {part}.")
    )
    if asked == "white":
        questions = (f"How many parts of the {shape} are not {hue}?", f"How many parts are left without {hue}?")
        steps.append(Step("white", "sub", ("parts", "shaded"), ("{parts} - {shaded} = {white}.",)))
    elif asked == "fraction":
        questions = (
            f"What fraction of the {shape} is {hue}? Count the parts, do not simplify.",
            f"Which fraction of the {shape} is {hue}? Do not simplify.",
        )
        steps.append(
            Step("fraction", "over", ("shaded", "parts"), ("That is {fraction}.", "{shaded} of {parts} is {fraction}."))
        )
        wrong = _wrong(shaded, parts)
    elif asked == "both":
        questions = (
            f"What fraction of the {shape} is {hue} or {second}? Count the parts, do not simplify.",
            f"What fraction of the {shape} is not white? Do not simplify.",
        )
        steps += [
            read(other),
            Step("both", "add", ("shaded", "also"), ("{shaded} + {also} = {both}.",)),
            Step("fraction", "over", ("both", "parts"), ("That is {fraction}.", "{both} of {parts} is {fraction}.")),
        ]
        wrong = _wrong(shaded + also, parts)
    elif asked == "share":
        questions = (f"{whole} What does its {hue} share stand for?", f"{whole} How much is {hue}?")
        steps += [read(total), share, Step("share", "mul", ("part", "shaded"), ("{part} * {shaded} = {share}.",))]
    elif asked == "rest":
        questions = (f"{whole} What does its white share stand for?", f"{whole} How much is white?")
        steps += [
            read(total),
            share,
            Step("white", "sub", ("parts", "shaded"), ("{parts} - {shaded} = {white}.",)),
            Step("rest", "mul", ("part", "white"), ("{part} * {white} = {rest}.",)),
        ]
    else:
        questions = (f"{whole} How much is {hue} or {second}?", f"{whole} How much is not white?")
        steps += [
            read(other),
            read(total),
            share,
            Step("both", "add", ("shaded", "also"), ("{shaded} + {also} = {both}.",)),
            Step("share", "mul", ("part", "both"), ("{part} * {both} = {share}.",)),
        ]
    return Figure([canvas], rng.choice(questions), readings, steps, wrong)


def _wrong(shaded: int, parts: int) -> tuple[str, ...]:
    """Fractions taken for shaded/parts: the white ones, one miscounted, shaded against white."""
    rest = parts - shaded
    pairs = ((rest, parts), (shaded, rest), (shaded, parts + 1), (shaded + 1, parts), (shaded - 1, parts))
    return tuple(dict.fromkeys(f"{a}/{b}" for a, b in pairs if a > 0 and (a, b) != (shaded, parts)))
