"""Coordinate grid with numbered axes: the sum of a point's coordinates, the distance of two points, a rectangle's area.

[a grid 0 to 2, P at (0, 1), Q at (2, 1)]   How far is it from P to Q?
Step 1: P is at x = 0. / Step 2: Q is at x = 2. / Step 3: From 0 to 2 it is 2. -> 2
"""

from __future__ import annotations

from random import Random

from mathse.figures.canvas import CELL, COLOURS, Canvas
from mathse.figures.figure import Figure
from mathse.figures.program import Reading, Step, read

LINES = 3  # each way, a cell apart, so that each crossing and each number lies in a cell of its own


class _Grid:
    """The drawn grid: which pixel belongs to which line."""

    def __init__(self, canvas: Canvas, tick: int, starts: tuple[int, int]) -> None:
        rng = canvas.rng
        self.canvas, self.tick, self.starts = canvas, tick, starts
        self.left, self.bottom = 42 + rng.randint(-2, 2), 70 + rng.randint(-2, 2)
        (right, top), dark = self.pixel(LINES - 1, LINES - 1), (90, 90, 90)
        shade = (rng.randint(195, 220),) * 3
        for i in range(LINES):
            x, y = self.pixel(i, i)
            canvas.draw.line((x, top, x, self.bottom), fill=shade if i else dark)
            canvas.draw.line((self.left, y, right, y), fill=shade if i else dark)
            canvas.text(x, 98, str(self.value(0, i)))
            canvas.text(14, y, str(self.value(1, i)))

    def pixel(self, i: int, j: int) -> tuple[int, int]:
        """Where the i-th upright line and the j-th level line meet."""
        return self.left + CELL * i, self.bottom - CELL * j

    def value(self, axis: int, i: int) -> int:
        """The number of the i-th line of an axis (0: x, 1: y)."""
        return self.tick * (i + self.starts[axis])

    def point(self, letter: str, colour: str, place: tuple[int, int]) -> list[Reading]:
        """Draw a dot and its letter beside it; return its two readings."""
        canvas = self.canvas
        x, y = self.pixel(*place)
        radius = canvas.rng.choice((3, 4))
        canvas.draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=COLOURS[colour])
        canvas.mark(f"{colour} dot", x, y, (self.value(0, place[0]), self.value(1, place[1])))
        canvas.text(x + canvas.rng.choice((-8, 8)), y - 8, letter, away=(0, -1))
        names = [f"{letter}_x", f"{letter}_y"]
        return [
            Reading(
                name,
                self.value(axis, place[axis]),
                (f"{letter} is at {name[-1]} = {{{name}}}.", f"The {name[-1]} of {letter} is {{{name}}}."),
                f"the number {way} point {letter}",
            )
            for axis, (name, way) in enumerate(zip(names, ("below", "to the left of"), strict=True))
        ]


def figure(rng: Random, level: int) -> Figure:
    """Level 1: two points; 2: lines that count by two, areas; 3: by more, and one more point."""
    canvas = Canvas(rng)
    asked = rng.choice(("distance", "sum") if level == 1 else ("distance", "area"))
    tick = rng.choice(((1,), (1, 2), (1, 2, 5))[level - 1])
    grid = _Grid(canvas, tick, (rng.randint(0, 8), rng.randint(0, 8)))
    if asked == "area":
        return _rectangle(grid, level)

    every = [(i, j) for i in range(LINES) for j in range(LINES)]
    p = rng.choice(every)
    along = rng.randint(0, 1)
    q = rng.choice([c for c in every if c[along] != p[along] and (asked == "sum" or c[1 - along] == p[1 - along])])
    dots = [p, q]
    if level == 3:
        dots.append(rng.choice([c for c in every if c not in dots]))
    letters = rng.choice(("PQR", "ABC", "KLM", "STU"))[: len(dots)]
    hues = canvas.colours(len(dots)) if rng.random() < 0.6 else [rng.choice(list(COLOURS))] * len(dots)
    points = [grid.point(a, hue, dot) for a, hue, dot in zip(letters, hues, dots, strict=True)]
    readings = [reading for point in points for reading in point]
    px, py = points[0]
    a, b = letters[0], letters[1]
    if asked == "sum":
        questions: tuple[str, ...] = (
            f"What is the sum of the two coordinates of {a}?",
            f"How much are the two coordinates of {a} together?",
        )
        steps = [read(px), read(py), Step("sum", "add", (px.name, py.name), (f"{{{a}_x}} + {{{a}_y}} = {{sum}}.",))]
        return Figure([canvas], rng.choice(questions), readings, steps)

    first, second = points[0][along], points[1][along]
    questions = (f"How far is it from {a} to {b}?", f"What is the distance from {a} to {b}?")
    says = (
        f"From {{{first.name}}} to {{{second.name}}} it is {{distance}}.",
        f"{{{first.name}}} and {{{second.name}}} are {{distance}} apart.",
    )
    steps = [read(first), read(second), Step("distance", "diff", (first.name, second.name), says)]
    return Figure([canvas], rng.choice(questions), readings, steps)


def _rectangle(grid: _Grid, level: int) -> Figure:
    """A rectangle on the grid, at level 3 with a point beside or in it."""
    canvas, rng = grid.canvas, grid.canvas.rng
    (i, k), (j, m) = (sorted(rng.sample(range(LINES), 2)) for _ in range(2))
    colour = rng.choice(list(COLOURS))
    x0, y1 = grid.pixel(i, j)
    x1, y0 = grid.pixel(k, m)
    fill = rng.choice((None, (225, 225, 225), (255, 235, 200), (215, 230, 250)))
    canvas.draw.rectangle((x0, y0, x1, y1), outline=COLOURS[colour], fill=fill, width=2)
    for x, y, corner in ((x0, y1, (i, j)), (x1, y0, (k, m))):
        canvas.mark(f"{colour} corner", x, y, (grid.value(0, corner[0]), grid.value(1, corner[1])))
    sides = {"left": grid.value(0, i), "right": grid.value(0, k), "bottom": grid.value(1, j), "top": grid.value(1, m)}
    readings = [
        Reading(
            name,
            value,
            (f"Its {name} side is at {{{name}}}.", f"The {name} side lies at {{{name}}}."),
            f"the number in line with the rectangle's {name} side",
        )
        for name, value in sides.items()
    ]
    steps = [read(reading) for reading in readings]
    if level == 3:
        free = [(a, b) for a in range(LINES) for b in range(LINES) if a not in (i, k) and b not in (j, m)]
        hue = rng.choice([name for name in COLOURS if name != colour])
        if free:
            readings += grid.point(rng.choice("PQRS"), hue, rng.choice(free))
    steps += [
        Step("width", "sub", ("right", "left"), ("{right} - {left} = {width}.",)),
        Step("height", "sub", ("top", "bottom"), ("{top} - {bottom} = {height}.",)),
    ]
    questions = ("What is the area of the rectangle?", "How large is the area of the rectangle?")
    steps.append(Step("area", "mul", ("width", "height"), ("{width} * {height} = {area}.",)))
    return Figure([canvas], rng.choice(questions), readings, steps)
