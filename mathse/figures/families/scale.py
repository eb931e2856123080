"""Dial, thermometer or measuring cup that stands exactly on a mark: what is missing, what it shows after a rise.

[a dial 0, 10, ... 60, the red hand at 40]   How much is missing from the red hand to 55?
Step 1: The red hand points to 40. / Step 2: 55 - 40 = 15. -> 15
"""

from __future__ import annotations

import math
from random import Random

from mathse.figures.canvas import COLOURS, PATCH, Canvas
from mathse.figures.figure import Figure
from mathse.figures.program import Reading, Step, read

DARK = (60, 60, 60)


def _dial(canvas: Canvas, ticks: int, tick: int, every: int, hands: dict[str, int]) -> None:
    """A round dial, zero at the lower left, the last mark at the lower right; `hands` gives each colour's mark."""
    rng = canvas.rng
    x, y, radius = 56 + rng.randint(-2, 2), 58, rng.randint(28, 31)
    canvas.draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=DARK, fill=(255, 255, 255))

    def at(i: int, across: float, up: float) -> tuple[float, float]:
        angle = math.radians(-135 + 270 * i / ticks)
        return x + across * math.sin(angle), y - up * math.cos(angle)

    for i in range(ticks + 1):
        long = 7 if i % every == 0 else 4
        canvas.draw.line((at(i, radius, radius), at(i, radius - long, radius - long)), fill=DARK)
        if i % every == 0:
            canvas.text(*at(i, radius + 14, radius + 12), str(i * tick))
    for hue, i in hands.items():
        tip = at(i, radius - 8, radius - 8)
        canvas.draw.line(((x, y), tip), fill=COLOURS[hue], width=4)
        canvas.mark(f"{hue} hand", *tip, (i * tick,))
    canvas.draw.ellipse((x - 4, y - 4, x + 4, y + 4), fill=DARK)


def _column(
    canvas: Canvas, kind: str, x: int, wide: int, ticks: int, tick: int, every: int, level: tuple[str, int], shift: int
) -> None:
    """A thermometer or a cup whose left wall is at `x`, labels to the left of it, filled up to a mark in a colour."""
    hue, mark = level
    bottom, pitch = (77 if kind == "thermometer" else 91) + shift, PATCH  # each mark in the middle of a patch
    y = bottom - pitch * mark
    top = bottom - pitch * ticks - 6
    if kind == "thermometer":
        middle = x + wide / 2
        canvas.draw.rectangle((x, top, x + wide, bottom + 8), outline=DARK, fill=(255, 255, 255))
        canvas.draw.ellipse((middle - 9, bottom + 5, middle + 9, bottom + 23), fill=COLOURS[hue])
        canvas.draw.rectangle((x + 2, y, x + wide - 2, bottom + 9), fill=COLOURS[hue])
    else:
        canvas.draw.rectangle((x, y, x + wide, bottom), fill=COLOURS[hue])
        canvas.draw.line(((x, top), (x, bottom), (x + wide, bottom), (x + wide, top)), fill=DARK, width=2)
    canvas.mark(f"{hue} level", x + wide / 2, y, (mark * tick,))
    for i in range(ticks + 1):
        height = bottom - pitch * i
        canvas.draw.line((x - (5 if i % every == 0 else 3), height, x, height), fill=DARK)
        if i % every == 0:
            canvas.text(x - 16, height, str(i * tick), exact=True)


def figure(rng: Random, level: int) -> Figure:
    """Level 1: one hand, cup or thermometer, all marks of a dial labelled; 2: marks between labels; 3: two of a kind."""
    canvas = Canvas(rng)
    kind = rng.choice(("scale", "thermometer", "cup"))
    every = 1 if level == 1 else 2
    if kind == "scale":
        ticks = rng.choice((5, 6, 7)) if every == 1 else rng.choice((8, 10, 12))
    else:
        every, ticks = 2, rng.choice((4, 6) if kind == "cup" else (4,))
    tick = rng.choice((1, 2, 3, 4, 5, 10) if every == 1 else (1, 2, 5) if ticks > 9 else (1, 2, 5, 10))
    asked = rng.choice(("missing", "more"))

    hues = canvas.colours(2 if level == 3 else 1)
    marks = rng.sample(range(1, ticks), len(hues))
    if kind == "scale":
        _dial(canvas, ticks, tick, every, dict(zip(hues, marks, strict=True)))
    else:
        pair = len(hues) == 2
        wide = rng.randint(9, 11) if kind == "thermometer" else rng.randint(16, 20) if pair else rng.randint(34, 56)
        lefts = (32, 88) if pair else (rng.choice((32, 60)),)
        wide, shift = min(wide, 106 - lefts[-1]), rng.randint(-2, 2)
        for x, hue, mark in zip(lefts, hues, marks, strict=True):
            _column(canvas, kind, x, wide, ticks, tick, every, (hue, mark), shift)

    thing = {"scale": "hand", "thermometer": "thermometer", "cup": "cup"}[kind]
    verb = {"scale": "points to", "thermometer": "shows", "cup": "holds"}[kind]
    readings = [
        Reading(
            hue,
            mark * tick,
            (f"The {hue} {thing} {verb} {{{hue}}}.", f"{hue.capitalize()} is at {{{hue}}}."),
            f"the mark of the {hue} {thing if kind == 'scale' else 'level'}",
        )
        for hue, mark in zip(hues, marks, strict=True)
    ]
    largest = Reading(
        "largest", ticks * tick, ("The largest number is {largest}.", "The last mark is {largest}."), "the last label"
    )
    shown = [*readings, largest]
    first = readings[0]
    hue, value = first.name, int(first.value)
    one = f"the {hue} {thing}"
    steps = [read(first)]
    if asked == "missing":
        goal = value + rng.randint(1, (20, 40, 60)[level - 1])
        questions = (f"How much is missing from {one} to {goal}?", f"By how much must {one} rise to show {goal}?")
        steps.append(Step("missing", "sub", (goal, hue), (f"{goal} - {{{hue}}} = {{missing}}.",)))
    else:
        n = rng.randint(1, (20, 30, 40)[level - 1])
        questions = (f"What does {one} show if {n} is added?", f"{one.capitalize()} rises by {n}. What does it show?")
        steps.append(Step("sum", "add", (hue, n), (f"{{{hue}}} + {n} = {{sum}}.",)))
    return Figure([canvas], rng.choice(questions), shown, steps)
