"""Dial, thermometer or measuring cup that stands exactly on a mark: what is missing, a share, two compared.

[a dial 0, 10, ... 60, the hand at 40]   The scale shall show 55. How much is missing?
Step 1: The red hand is at 40. / Step 2: 55 - 40 = 15. -> 15
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
        canvas.mark(f"{hue} hand", *tip)
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
    canvas.mark(f"{hue} level", x + wide / 2, y)
    for i in range(ticks + 1):
        height = bottom - pitch * i
        canvas.draw.line((x - (5 if i % every == 0 else 3), height, x, height), fill=DARK)
        if i % every == 0:
            canvas.text(x - 16, height, str(i * tick), exact=True)


def figure(rng: Random, level: int) -> Figure:
    """Level 1: one hand, cup or thermometer, all marks of a dial labelled; 2: marks between labels, shares; 3: two of a kind."""
    canvas = Canvas(rng)
    kind = rng.choice(("scale", "thermometer", "cup"))
    every = 1 if level == 1 else 2
    if kind == "scale":
        ticks = rng.choice((5, 6, 7)) if every == 1 else rng.choice((8, 10, 12))
    else:
        every, ticks = 2, rng.choice((4, 6) if kind == "cup" else (4,))
    tick = rng.choice((1, 2, 3, 4, 5, 10) if every == 1 else (1, 2, 5) if ticks > 9 else (1, 2, 5, 10))
    asked = rng.choice(
        (("missing", "more"), ("missing", "more", "room", "share"), ("differ", "sum", "room", "missing"))[level - 1]
    )
    if kind == "thermometer" and asked in ("share", "sum"):
        asked = rng.choice(("missing", "more", "room") if level < 3 else ("differ", "room"))

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
    if asked == "share":
        counts = [n for n in range(2, 10) if value % n == 0 and value // n <= 12]
        if counts:
            n = rng.choice(counts)
            questions = {
                "scale": (
                    f"{n} equal boxes weigh what the {hue} hand shows. How heavy is one?",
                    f"The scale carries {n} equal bags. What does one weigh?",
                ),
                "cup": (
                    f"The {hue} cup is poured evenly into {n} glasses. How much is in each?",
                    f"{n} equal drinks fill the {hue} cup this far. How large is one?",
                ),
            }[kind]
            steps.append(Step("share", "div", (hue, n), (f"{{{hue}}} / {n} = {{share}}.",)))
            return Figure([canvas], rng.choice(questions), shown, steps)
        asked = "room"
    if asked == "missing":
        goal = value + rng.randint(1, (20, 40, 60)[level - 1])
        questions = {
            "scale": (
                f"The {hue} hand shall point to {goal}. How much is missing?",
                f"How much must be added to bring the {hue} hand to {goal}?",
            ),
            "thermometer": (
                f"The {hue} thermometer shall show {goal}. How much is missing?",
                f"By how much must {one} rise to show {goal}?",
            ),
            "cup": (
                f"How much must be poured into {one} to have {goal}?",
                f"A recipe needs {goal}. How much is missing in {one}?",
            ),
        }[kind]
        steps.append(Step("missing", "sub", (goal, hue), (f"{goal} - {{{hue}}} = {{missing}}.",)))
    elif asked == "more":
        n = rng.randint(1, (20, 30, 40)[level - 1])
        questions = {
            "scale": (f"{n} more is put on. Where would {one} point?", f"What would the scale show if {n} were added?"),
            "thermometer": (
                f"It gets warmer by {n}. What is the temperature then?",
                f"What is the temperature after a rise by {n}?",
            ),
            "cup": (f"{n} more is poured in. How much is it then?", f"How much is it if {n} is added to {one}?"),
        }[kind]
        steps.append(Step("sum", "add", (hue, n), (f"{{{hue}}} + {n} = {{sum}}.",)))
    elif asked == "room":
        questions = (f"How much is missing from {one} to the largest number?", f"How far is {one} below the last mark?")
        steps += [read(largest), Step("room", "sub", ("largest", hue), (f"{{largest}} - {{{hue}}} = {{room}}.",))]
    else:
        other = readings[1]
        steps.append(read(other))
        if asked == "sum":
            questions = (
                f"What do {one} and the {other.name} {thing} show together?",
                f"How much are {hue} and {other.name} in all?",
            )
            steps.append(Step("sum", "add", (hue, other.name), (f"{{{hue}}} + {{{other.name}}} = {{sum}}.",)))
        else:
            questions = (
                f"By how much do {hue} and {other.name} differ?",
                f"How far apart are {one} and the {other.name} {thing}?",
            )
            says = (
                f"{{{hue}}} and {{{other.name}}} differ by {{difference}}.",
                f"From {{{hue}}} to {{{other.name}}} it is {{difference}}.",
            )
            steps.append(Step("difference", "diff", (hue, other.name), says))
    return Figure([canvas], rng.choice(questions), shown, steps)
