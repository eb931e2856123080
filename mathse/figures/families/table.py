"""Table of two rows, letters or short words and their numbers: sum, difference, several pieces.

[table: pen 4, cup 9, hat 7]   How much are 3 pens?
Step 1: A pen costs 4. / Step 2: 3 * 4 = 12. -> 12
"""

from __future__ import annotations

from random import Random

from mathse.figures.canvas import CELL, COLOURS, Canvas
from mathse.figures.figure import Figure
from mathse.figures.program import Reading, Step, read

WORDS = ("pen", "cup", "hat", "key", "bag", "toy", "map", "bun", "nut", "pie", "fan", "cap")
HEADS = ((225, 225, 225), (255, 235, 200), (215, 230, 250), (220, 240, 215))


def _draw_table(canvas: Canvas, labels: list[str], values: list[int]) -> None:
    """Draw a column for each label, with its value below, each column in one cell of the picture (see `bars`)."""
    rng = canvas.rng
    ink = COLOURS[rng.choice(("black", "blue", "purple", "green"))]
    left, top = CELL * rng.randint(0, 4 - len(labels)), CELL * rng.randint(0, 3)
    right, bottom = min(left + CELL * len(labels), 111), min(top + CELL, 111)
    if rng.random() < 0.5:
        canvas.draw.rectangle((left, top, right, top + CELL / 2), fill=rng.choice(HEADS))
    if rng.random() < 0.7:
        canvas.draw.rectangle((left, top, right, bottom), outline=ink, width=1)
    canvas.draw.line((left, top + CELL / 2, right, top + CELL / 2), fill=ink, width=1)
    for i, (label, value) in enumerate(zip(labels, values, strict=True)):
        x = left + CELL * i
        if i:
            canvas.draw.line((x, top, x, bottom), fill=ink, width=1)
        canvas.text(x + CELL / 2, top + 7, label, size=11, exact=True, values=(value,))
        canvas.text(x + CELL / 2, top + 21, str(value), size=12, exact=True)


def figure(rng: Random, level: int) -> Figure:
    """Level 1: two columns, numbers to 20; 2: three columns, to 40; 3: three columns, to 60."""
    canvas = Canvas(rng)
    priced = rng.random() < 0.6
    count = 2 if level == 1 else 3
    labels = rng.sample(WORDS if priced else "ABCDEFGHKMNPRST", count)
    asked = rng.choice(("sum", "difference", "pieces"))
    if asked == "pieces":
        values = rng.sample(range(2, (10, 13, 13)[level - 1]), count)
    else:
        values = rng.sample(range(2, (21, 41, 61)[level - 1]), count)
    _draw_table(canvas, labels, values)

    rows = [
        Reading(
            label,
            value,
            (f"A {label} costs {{{label}}}.", f"Under {label} stands {{{label}}}.")
            if priced
            else (f"{label} is {{{label}}}.", f"Under {label} stands {{{label}}}."),
            f"the number under {label}",
        )
        for label, value in zip(labels, values, strict=True)
    ]
    first, second = rng.sample(rows, 2)
    if asked == "difference" and int(first.value) < int(second.value):
        first, second = second, first
    a, b = first.name, second.name
    steps = [read(first), read(second)]
    times = rng.randint(2, (6, 9, 12)[level - 1])
    pieces = Step(
        "pieces", "mul", (times, a), (f"{times} * {{{a}}} = {{pieces}}.", f"{times} times {{{a}}} is {{pieces}}.")
    )
    if asked == "sum":
        steps += [Step("sum", "add", (a, b), (f"{{{a}}} + {{{b}}} = {{sum}}.",))]
        questions = (f"What is the sum of {a} and {b}?", f"How much are {a} and {b} together?")
    elif asked == "difference":
        steps += [Step("difference", "sub", (a, b), (f"{{{a}}} - {{{b}}} = {{difference}}.",))]
        questions = (f"What is the difference of {a} and {b}?", f"How much larger is {a} than {b}?")
    else:
        steps = [read(first), pieces]
        questions = (f"What is {times} times {a}?", f"How much are {times} {a}{'s' * priced}?")
    return Figure([canvas], rng.choice(questions), rows, steps)
