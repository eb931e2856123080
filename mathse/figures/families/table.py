"""Table of two columns, a letter or short word and its number: sum, difference, price of several pieces.

[table: pen 4, cup 9, hat 7]   How much do 3 pens and 1 cup cost?
Step 1: A pen costs 4. / Step 2: A cup costs 9. / Step 3: 3 * 4 = 12. / Step 4: 12 + 9 = 21. -> 21
"""

from __future__ import annotations

from random import Random

from mathse.figures.canvas import CELL, COLOURS, Canvas
from mathse.figures.figure import Figure
from mathse.figures.program import Reading, Step, read

WORDS = ("pen", "cup", "hat", "key", "bag", "toy", "map", "bun", "nut", "pie", "fan", "cap", "book", "ball", "cake")
HEADS = ((225, 225, 225), (255, 235, 200), (215, 230, 250), (220, 240, 215))


def _draw_table(canvas: Canvas, labels: list[str], values: list[int]) -> None:
    """Draw the grid, one row for each label, and write the labels and their values into it."""
    rng = canvas.rng
    ink = COLOURS[rng.choice(("black", "blue", "purple", "green"))]
    row = CELL
    top = CELL * rng.randint(0, 4 - len(labels)) + rng.randint(-2, 2)
    narrow = rng.random() < 0.5  # the numbers stand in the third or in the fourth column of cells
    left, right = rng.randint(2, 8), rng.randint(84, 90) if narrow else rng.randint(107, 111)
    middle = rng.randint(54, 58)
    bottom = top + row * len(labels)
    if rng.random() < 0.5:
        canvas.draw.rectangle((left, top, middle, bottom), fill=rng.choice(HEADS))
    boxed = rng.random() < 0.7
    if boxed:
        canvas.draw.rectangle((left, top, right, bottom), outline=ink, width=rng.randint(1, 2))
    canvas.draw.line((middle, top, middle, bottom), fill=ink, width=1)
    for i, (label, value) in enumerate(zip(labels, values, strict=True)):
        if i:
            canvas.draw.line((left, top + row * i, right, top + row * i), fill=ink, width=1)
        canvas.text((left + middle) / 2, top + row * (i + 0.5), label)
        canvas.text(70 if narrow else 98, top + row * (i + 0.5), str(value))


def figure(rng: Random, level: int) -> Figure:
    """Level 1: two rows, numbers to 20; 2: three rows, to 40, pieces; 3: three rows, to 60, pieces and one more."""
    canvas = Canvas(rng)
    priced = rng.random() < 0.6
    count = 2 if level == 1 else 3
    labels = rng.sample(WORDS if priced else "ABCDEFGHKMNPRST", count)
    asked = rng.choice(
        ("sum", "difference", "pieces", "pieces_and_one", "all") if level == 3 else ("sum", "difference", "pieces")
    )
    if asked == "all":
        values = rng.sample(range(2, 41), count)
    elif asked.startswith("pieces"):
        values = rng.sample(range(2, (10, 13, 13)[level - 1]), count)
    else:
        values = rng.sample(range(2, (21, 41, 61)[level - 1]), count)
    _draw_table(canvas, labels, values)

    rows = [
        Reading(
            label,
            value,
            (f"A {label} costs {{{label}}}.", f"The row {label} says {{{label}}}.")
            if priced
            else (f"{label} is {{{label}}}.", f"The row {label} says {{{label}}}."),
            f"the number beside {label}",
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
        questions = (
            (f"How much do a {a} and a {b} cost together?", f"What is the price of one {a} and one {b}?")
            if priced
            else (f"What is {a} + {b}?", f"What is the sum of {a} and {b}?", f"How much are {a} and {b} together?")
        )
    elif asked == "difference":
        steps += [Step("difference", "sub", (a, b), (f"{{{a}}} - {{{b}}} = {{difference}}.",))]
        questions = (
            (f"How much more does a {a} cost than a {b}?", f"How much cheaper is a {b} than a {a}?")
            if priced
            else (f"What is {a} - {b}?", f"How much larger is {a} than {b}?", f"How much smaller is {b} than {a}?")
        )
    elif asked == "pieces":
        steps = [read(first), pieces]
        questions = (
            (
                f"How much do {times} {a}s cost?",
                f"What is the price of {times} {a}s?",
                f"Ann buys {times} {a}s. How much does she pay?",
            )
            if priced
            else (f"What is {times} * {a}?", f"What is {times} times {a}?", f"How much is {times}{a}?")
        )
    elif asked == "pieces_and_one":
        steps += [pieces, Step("sum", "add", ("pieces", b), (f"{{pieces}} + {{{b}}} = {{sum}}.",))]
        questions = (
            (f"How much do {times} {a}s and 1 {b} cost?", f"Ann buys {times} {a}s and one {b}. How much does she pay?")
            if priced
            else (f"What is {times} * {a} + {b}?", f"What do you get when you add {b} to {times} times {a}?")
        )
    else:
        c = next(row for row in rows if row.name not in (a, b))
        steps = [read(first), read(second), read(c)]
        steps += [
            Step("two", "add", (a, b), (f"{{{a}}} + {{{b}}} = {{two}}.",)),
            Step("sum", "add", ("two", c.name), (f"{{two}} + {{{c.name}}} = {{sum}}.",)),
        ]
        questions = (
            ("How much do all three things cost together?", "What is the price of one of each?")
            if priced
            else ("What is the sum of all the numbers?", "How much are all three rows together?")
        )
    return Figure([canvas], rng.choice(questions), rows, steps)
