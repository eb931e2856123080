"""Coloured shapes strewn over the picture: how many of a colour or kind, how many of two together.

[three red circles, two blue circles]   How many red and blue shapes are there together?
Step 1: Red shapes: 3. / Step 2: Blue shapes: 2. / Step 3: 3 + 2 = 5. -> 5
"""

from __future__ import annotations

from random import Random

from mathse.figures.canvas import CELL, COLOURS, Canvas
from mathse.figures.figure import Figure
from mathse.figures.program import Reading, Step, read

KINDS = ("circle", "square", "triangle")


def _places(rng: Random, count: int, radius: float) -> list[tuple[float, float]]:
    """Random centres, each somewhere in a cell of its own."""
    slack = CELL / 2 - radius - 1
    return [
        (CELL * (cell % 4 + 0.5) + rng.uniform(-slack, slack), CELL * (cell // 4 + 0.5) + rng.uniform(-slack, slack))
        for cell in rng.sample(range(16), count)
    ]


def _draw_shape(
    canvas: Canvas, colour: str, kind: str, x: float, y: float, radius: float, counts: tuple[int, int]
) -> None:
    """Draw one filled shape with its centre at (x, y); `counts` says how many there are of its colour and of its kind."""
    if kind == "circle":
        canvas.draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=COLOURS[colour])
    elif kind == "square":
        half = radius * 0.88
        canvas.draw.rectangle((x - half, y - half, x + half, y + half), fill=COLOURS[colour])
    else:
        low = y + radius * 0.9
        canvas.draw.polygon((x, y - radius * 1.1, x - radius * 1.1, low, x + radius * 1.1, low), fill=COLOURS[colour])
    canvas.mark(f"{colour} {kind}", x, y, counts)


def _count(name: str, what: str, value: int) -> Reading:
    """The reading that counts `what`, which is mistaken for one or two more or less."""
    says = (f"{what.capitalize()}: {{{name}}}.", f"The number of {what} is {{{name}}}.")
    others = tuple(other for other in range(value - 2, value + 3) if other >= 0 and other != value)
    return Reading(name, value, says, f"the {what}", others)


def _sum(name: str, first: str, second: str) -> Step:
    return Step(name, "add", (first, second), (f"{{{first}}} + {{{second}}} = {{{name}}}.",))


def figure(rng: Random, level: int) -> Figure:
    """Level 1: up to 4 shapes of one kind, two colours; 2: up to 5; 3: up to 6, of two kinds."""
    canvas = Canvas(rng)
    count = rng.randint(*((2, 4), (3, 5), (4, 6))[level - 1])
    colours = rng.sample(list(COLOURS), 2)
    kinds = rng.sample(KINDS, 2 if level == 3 else 1)
    shapes = [(colour, rng.choice(kinds)) for colour in colours]
    shapes += [(rng.choice(colours), rng.choice(kinds)) for _ in range(count - len(shapes))]
    radius = rng.uniform(8, 11.5)
    for (colour, kind), (x, y) in zip(shapes, _places(rng, count, radius), strict=True):
        counts = (sum(c == colour for c, _ in shapes), sum(k == kind for _, k in shapes))
        _draw_shape(canvas, colour, kind, x, y, radius * rng.uniform(0.85, 1), counts)

    by_colour = [_count(c, f"{c} shapes", sum(colour == c for colour, _ in shapes)) for c in colours]
    by_kind = [_count(f"{k}s", f"{k}s", sum(kind == k for _, kind in shapes)) for k in kinds]
    readings = by_colour + (by_kind if len(kinds) > 1 else [])
    asked_kinds = len(kinds) > 1 and rng.random() < 0.5
    group = by_kind if asked_kinds else by_colour
    tail = "" if asked_kinds else " shapes"
    first, second = sorted(rng.sample(group, 2), key=lambda r: -int(r.value))
    a, b = first.name, second.name
    asked = rng.choice(("one", "together"))
    if asked == "one":
        one = rng.choice(group)
        noun = one.name + tail
        questions: tuple[str, ...] = (f"How many {noun} are there?", f"How many {noun} do you see?")
        answer = Step("answer", "same", (one.name,), ("The answer is {answer}.", "So the count is {answer}."))
        return Figure([canvas], rng.choice(questions), readings, [read(one), answer])
    questions = (f"How many {a} and {b}{tail} are there together?", f"What is the sum of the {a} and the {b}{tail}?")
    return Figure([canvas], rng.choice(questions), readings, [read(first), read(second), _sum("sum", a, b)])
