"""Coloured shapes strewn over the picture: how many of a colour or kind, how many together, how many more.

[three red circles, two blue circles]   How many more red than blue shapes are there?
Step 1: Red shapes: 3. / Step 2: Blue shapes: 2. / Step 3: 3 - 2 = 1. -> 1
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


def _draw_shape(canvas: Canvas, colour: str, kind: str, x: float, y: float, radius: float) -> None:
    """Draw one filled shape with its centre at (x, y)."""
    if kind == "circle":
        canvas.draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=COLOURS[colour])
    elif kind == "square":
        half = radius * 0.88
        canvas.draw.rectangle((x - half, y - half, x + half, y + half), fill=COLOURS[colour])
    else:
        low = y + radius * 0.9
        canvas.draw.polygon((x, y - radius * 1.1, x - radius * 1.1, low, x + radius * 1.1, low), fill=COLOURS[colour])
    canvas.mark(f"{colour} {kind}", x, y)


def _count(name: str, what: str, value: int) -> Reading:
    """The reading that counts `what`, which is mistaken for one or two more or less."""
    says = (f"{what.capitalize()}: {{{name}}}.", f"The number of {what} is {{{name}}}.")
    others = tuple(other for other in range(value - 2, value + 3) if other >= 0 and other != value)
    return Reading(name, value, says, f"the {what}", others)


def _sum(name: str, first: str, second: str) -> Step:
    return Step(name, "add", (first, second), (f"{{{first}}} + {{{second}}} = {{{name}}}.",))


def _both(rng: Random, canvas: Canvas, shapes: list[tuple[str, str]], colours: list[str], kinds: list[str]) -> Figure:
    """Questions about two colours of two kinds, where each of the four sorts is counted."""
    sorts = {(c, k): _count(f"{c}_{k}s", f"{c} {k}s", shapes.count((c, k))) for c in colours for k in kinds}
    if rng.random() < 0.5:  # one colour, both kinds
        word, chosen = rng.choice(colours), [(c, k) for c, k in sorts]
        chosen = [sort for sort in chosen if sort[0] == word]
        noun = f"{word} shapes"
    else:
        word = rng.choice(kinds)
        chosen = [sort for sort in sorts if sort[1] == word]
        noun = f"{word}s"
    first, second = sorted((sorts[sort] for sort in chosen), key=lambda r: -int(r.value))
    a, b = first.name, second.name
    steps = [read(first), read(second)]
    if rng.random() < 0.6:
        questions: tuple[str, ...] = (
            f"How many {noun} are there?",
            f"Count the {noun}.",
            f"How many {noun} do you see?",
        )
        steps += [_sum("sum", a, b)]
    else:
        more, fewer = a.replace("_", " "), b.replace("_", " ")
        questions = (f"How many more {more} than {fewer} are there?", f"How many fewer {fewer} than {more} are there?")
        steps += [Step("difference", "sub", (a, b), (f"{{{a}}} - {{{b}}} = {{difference}}.",))]
    return Figure([canvas], rng.choice(questions), list(sorts.values()), steps)


def figure(rng: Random, level: int) -> Figure:
    """Level 1: up to 6 shapes of one kind, two colours; 2: three colours, or kinds; 3: colour and kind both matter."""
    canvas = Canvas(rng)
    count = rng.randint(*((3, 6), (4, 8), (5, 9))[level - 1])
    colours = rng.sample(list(COLOURS), (2, 3, 2)[level - 1])
    kinds = rng.sample(KINDS, (1, 2, 2)[level - 1])
    if level == 2 and rng.random() < 0.5:
        kinds = kinds[:1]
    shapes = [(colour, rng.choice(kinds)) for colour in colours]
    shapes += [(rng.choice(colours), rng.choice(kinds)) for _ in range(count - len(shapes))]
    radius = rng.uniform(8, 11.5)
    for (colour, kind), (x, y) in zip(shapes, _places(rng, count, radius), strict=True):
        _draw_shape(canvas, colour, kind, x, y, radius * rng.uniform(0.85, 1))
    if level == 3:
        return _both(rng, canvas, shapes, colours, kinds)

    by_colour = [_count(c, f"{c} shapes", sum(colour == c for colour, _ in shapes)) for c in colours]
    by_kind = [_count(f"{k}s", f"{k}s", sum(kind == k for _, kind in shapes)) for k in kinds]
    readings = by_colour + (by_kind if len(kinds) > 1 else [])
    asked_kinds = len(kinds) > 1 and rng.random() < 0.5
    group = by_kind if asked_kinds else by_colour
    tail = "" if asked_kinds else " shapes"
    first, second = sorted(rng.sample(group, 2), key=lambda r: -int(r.value))
    a, b = first.name, second.name
    asked = rng.choice(("one", "together", "more"))
    if asked == "one":
        one = rng.choice(group)
        noun = one.name + tail
        questions: tuple[str, ...] = (
            f"How many {noun} are there?",
            f"Count the {noun}.",
            f"How many {noun} do you see?",
        )
        answer = Step("answer", "same", (one.name,), ("The answer is {answer}.", "So the count is {answer}."))
        return Figure([canvas], rng.choice(questions), readings, [read(one), answer])
    if asked == "together":
        questions = (f"How many {a} and {b}{tail} are there together?", f"How many shapes are {a} or {b}?")
        if asked_kinds:
            questions = (f"How many {a} and {b} are there together?", "How many shapes are there in all?")
        steps = [read(first), read(second), _sum("sum", a, b)]
    else:
        questions = (f"How many more {a} than {b}{tail} are there?", f"How many fewer {b} than {a}{tail} are there?")
        difference = Step("difference", "sub", (a, b), (f"{{{a}}} - {{{b}}} = {{difference}}.",))
        steps = [read(first), read(second), difference]
    return Figure([canvas], rng.choice(questions), readings, steps)
