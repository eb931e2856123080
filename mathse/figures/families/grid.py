"""Coordinate grid with numbered axes: the distance of two points, the way along the lines, a rectangle's area.

[a grid 0 to 5, P at (1, 2), Q at (5, 2)]   How far is it from P to Q?
Step 1: P is at x = 1. / Step 2: Q is at x = 5. / Step 3: From 1 to 5 it is 4. -> 4
"""

from __future__ import annotations

import math
from random import Random

from mathse.figures.canvas import COLOURS, PATCH, Canvas
from mathse.figures.figure import Figure
from mathse.figures.program import Reading, Step, read

ASKED = (
    ("distance", "sum"),
    ("distance", "sum", "path", "around"),
    ("distance", "path", "around", "area"),
)


class _Grid:
    """The drawn grid: which pixel belongs to which line, and which places are taken."""

    def __init__(self, canvas: Canvas, lines: int, tick: int, starts: tuple[int, int]) -> None:
        rng = canvas.rng
        self.canvas, self.tick, self.starts = canvas, tick, starts
        self.pitch = PATCH  # each crossing in the middle of a patch
        self.left, self.bottom = 35 + rng.randint(-2, 2), 77 + rng.randint(-2, 2)
        right, top = self.left + self.pitch * lines, self.bottom - self.pitch * lines
        shade = (rng.randint(195, 220),) * 3
        dark = (90, 90, 90)
        narrow = max(self.value(0, lines), self.value(1, lines)) < 10
        every = rng.choice((1, 2)) if narrow else 2
        for i in range(lines + 1):
            x, y = self.pixel(i, i)
            canvas.draw.line((x, top, x, self.bottom), fill=shade if i else dark)
            canvas.draw.line((self.left, y, right, y), fill=shade if i else dark)
        for i in range(0, lines + 1, every):
            x, y = self.pixel(i, i)
            canvas.text(x, 98, str(self.value(0, i)), exact=True)
            canvas.text(14, y, str(self.value(1, i)), exact=True)
        self.taken: list[tuple[float, float]] = []

    def pixel(self, i: int, j: int) -> tuple[int, int]:
        """Where the i-th upright line and the j-th level line meet."""
        return self.left + self.pitch * i, self.bottom - self.pitch * j

    def value(self, axis: int, i: int) -> int:
        """The number of the i-th line of an axis (0: x, 1: y)."""
        return self.tick * (i + self.starts[axis])

    def point(self, letter: str, colour: str, place: tuple[int, int], dots: list[tuple[int, int]]) -> list[Reading]:
        """Draw a dot and its letter, in a free corner beside it; return its two readings."""
        canvas = self.canvas
        x, y = self.pixel(*place)
        others = [self.pixel(*dot) for dot in dots if dot != place] + self.taken
        corners = [(x + dx, y + dy) for dx in (-10, 10) for dy in (-10, 10)]
        corners = [(a, b) for a, b in corners if self.left < a < 108 and 6 < b < self.bottom - 6] or corners
        canvas.rng.shuffle(corners)
        corner = max(corners, key=lambda c: min([20.0, *(math.dist(c, other) for other in others)]))
        self.taken.append(corner)
        radius = canvas.rng.choice((3, 4))
        canvas.draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=COLOURS[colour])
        canvas.mark(f"{colour} dot", x, y)
        canvas.text(*corner, letter, exact=True)
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
    """Level 1: two points; 2: ways along the lines, perimeter; 3: lines that count by more, area, one more point."""
    canvas = Canvas(rng)
    asked = rng.choice(ASKED[level - 1])
    lines = rng.choice((4, 5))
    tick = 1
    if level == 3:
        tick = rng.choice((1, 2) if asked in ("around", "area") else (1, 2, 5, 10))
    starts = (rng.randint(0, 3), rng.randint(0, 3)) if level > 1 and tick <= 2 else (0, 0)
    grid = _Grid(canvas, lines, tick, starts)
    if asked in ("around", "area"):
        return _rectangle(grid, lines, level, asked)

    every = [(i, j) for i in range(lines + 1) for j in range(lines + 1)]
    p = rng.choice(every)
    along = rng.randint(0, 1)
    if asked == "distance":
        q = rng.choice([c for c in every if c[1 - along] == p[1 - along] and abs(c[along] - p[along]) > 1])
    else:
        q = rng.choice([c for c in every if c[0] != p[0] and c[1] != p[1] and math.dist(c, p) > 2])
    dots = [p, q]
    if level == 3:
        dots.append(rng.choice([c for c in every if min(math.dist(c, p), math.dist(c, q)) > 2]))
    letters = rng.choice(("PQR", "ABC", "KLM", "STU"))[: len(dots)]
    hues = canvas.colours(len(dots)) if rng.random() < 0.6 else [rng.choice(list(COLOURS))] * len(dots)
    points = [grid.point(a, hue, dot, dots) for a, hue, dot in zip(letters, hues, dots, strict=True)]
    readings = [reading for point in points for reading in point]
    (px, py), (qx, qy) = points[:2]
    a, b = letters[0], letters[1]
    if asked == "sum":
        questions: tuple[str, ...] = (
            f"What is the sum of the two coordinates of {a}?",
            f"How much are x and y of point {a} together?",
        )
        steps = [read(px), read(py), Step("sum", "add", (px.name, py.name), (f"{{{a}_x}} + {{{a}_y}} = {{sum}}.",))]
        return Figure([canvas], rng.choice(questions), readings, steps)

    def gap(name: str, first: Reading, second: Reading) -> Step:
        says = (
            f"From {{{first.name}}} to {{{second.name}}} it is {{{name}}}.",
            f"{{{first.name}}} and {{{second.name}}} are {{{name}}} apart.",
        )
        return Step(name, "diff", (first.name, second.name), says)

    if asked == "distance":
        first, second = points[0][along], points[1][along]
        questions = (
            f"How far is it from {a} to {b}?",
            f"How long is the line from {a} to {b}?",
            f"How long is {a}{b}?",
        )
        steps = [read(first), read(second), gap("distance", first, second)]
        return Figure([canvas], rng.choice(questions), readings, steps)
    questions = (
        f"How long is the shortest way from {a} to {b} along the grid lines?",
        f"You walk on the grid lines from {a} to {b}. How far is it at least?",
    )
    steps = [read(px), read(qx), read(py), read(qy), gap("across", px, qx), gap("up", py, qy)]
    steps.append(Step("way", "add", ("across", "up"), ("{across} + {up} = {way}.",)))
    return Figure([canvas], rng.choice(questions), readings, steps)


def _rectangle(grid: _Grid, lines: int, level: int, asked: str) -> Figure:
    """A rectangle on the grid, at level 3 with a point beside or in it."""
    canvas, rng = grid.canvas, grid.canvas.rng
    (i, k), (j, m) = (sorted(rng.sample(range(lines + 1), 2)) for _ in range(2))
    colour = rng.choice(list(COLOURS))
    x0, y1 = grid.pixel(i, j)
    x1, y0 = grid.pixel(k, m)
    fill = rng.choice((None, (225, 225, 225), (255, 235, 200), (215, 230, 250)))
    canvas.draw.rectangle((x0, y0, x1, y1), outline=COLOURS[colour], fill=fill, width=2)
    canvas.mark(f"{colour} rectangle", (x0 + x1) / 2, (y0 + y1) / 2)
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
        free = [
            (a, b)
            for a in range(lines + 1)
            for b in range(lines + 1)
            if all(max(abs(a - c), abs(b - d)) > 1 for c in (i, k) for d in (j, m))
        ]
        hue = rng.choice([name for name in COLOURS if name != colour])
        place = rng.choice(free) if free else None
        if place:
            readings += grid.point(rng.choice("PQRS"), hue, place, [place])
    steps += [
        Step("width", "sub", ("right", "left"), ("{right} - {left} = {width}.",)),
        Step("height", "sub", ("top", "bottom"), ("{top} - {bottom} = {height}.",)),
    ]
    if asked == "area":
        questions = ("What is the area of the rectangle?", "How large is the area of the drawn rectangle?")
        steps.append(Step("area", "mul", ("width", "height"), ("{width} * {height} = {area}.",)))
    else:
        questions = ("What is the perimeter of the rectangle?", "How long is the way around the rectangle?")
        steps += [
            Step("sum", "add", ("width", "height"), ("{width} + {height} = {sum}.",)),
            Step("perimeter", "mul", (2, "sum"), ("2 * {sum} = {perimeter}.", "Twice {sum} is {perimeter}.")),
        ]
    return Figure([canvas], rng.choice(questions), readings, steps)
