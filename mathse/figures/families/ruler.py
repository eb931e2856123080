"""Ruler with a bar lying along it, or one on each side: how long a bar is.

[a ruler 0 to 3, a red bar from 1 to 3]   How long is the red bar?
Step 1: The red bar starts at 1. / Step 2: The red bar ends at 3. / Step 3: 3 - 1 = 2. -> 2
"""

from __future__ import annotations

from random import Random

from mathse.figures.canvas import CELL, COLOURS, Canvas
from mathse.figures.figure import Figure
from mathse.figures.program import Reading, Step, read

WOODS = ((250, 235, 180), (235, 235, 235), (255, 255, 255), (225, 235, 250))


def figure(rng: Random, level: int) -> Figure:
    """Level 1: one bar; 2: ticks that count by more; 3: two bars."""
    canvas = Canvas(rng)
    ticks, pitch = 3, CELL  # each tick in the middle of a cell
    tick = rng.choice(((1,), (1, 2, 5), (1, 2, 5, 10))[level - 1])
    start = rng.randint(0, 12) * tick
    count = 2 if level == 3 else 1

    left, tall = CELL // 2 + rng.randint(-1, 1), rng.randint(24, 30)
    right = left + pitch * ticks
    y = 40 + rng.randint(-2, 2)
    wood, dark = rng.choice(WOODS), (70, 70, 70)
    canvas.draw.rectangle((max(left - 11, 0), y, min(right + 11, 111), y + tall), fill=wood, outline=dark)
    for i in range(ticks + 1):
        x = left + pitch * i
        canvas.draw.line((x, y, x, y + 5), fill=dark)
        canvas.draw.line((x, y + tall - 5, x, y + tall), fill=dark)
        canvas.text(x, y + tall / 2, str(start + tick * i), away=(0, 1))

    hues = canvas.colours(count)
    readings: list[Reading] = []
    for i, hue in enumerate(hues):
        a, b = sorted(rng.sample(range(ticks + 1), 2))
        thick = rng.randint(10, 18)
        top = y - thick - 1 if i == 0 else y + tall + 1
        canvas.draw.rectangle((left + pitch * a, top, left + pitch * b, top + thick - 1), fill=COLOURS[hue])
        for name, end, place in ((f"{hue}_start", "starts", a), (f"{hue}_end", "ends", b)):
            canvas.mark(f"{hue} bar {end}", left + pitch * place, top + thick / 2, (start + tick * place,))
            says = (f"The {hue} bar {end} at {{{name}}}.", f"{hue.capitalize()} {end} at {{{name}}}.")
            readings.append(Reading(name, start + tick * place, says, f"where the {hue} bar {end} on the ruler"))

    hue = hues[0]
    steps = [read(readings[0]), read(readings[1])]
    start_name, end_name = readings[0].name, readings[1].name
    equation = f"{{{end_name}}} - {{{start_name}}} = {{length}}."
    length = Step("length", "sub", (end_name, start_name), (equation,))
    questions = (f"How long is the {hue} bar?", f"What is the length of the {hue} bar?")
    return Figure([canvas], rng.choice(questions), readings, [*steps, length])
