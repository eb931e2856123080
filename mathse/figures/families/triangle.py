"""Triangle with two angles labelled inside and a third marked x or ?: the missing angle, the sum of the two.

[a triangle, 50 at the left, 60 at the right, x at the top]   What is the missing angle?
Step 1: The left angle is 50. / Step 2: The right angle is 60. / Step 3: 50 + 60 = 110. / Step 4: 180 - 110 = 70. -> 70
"""

from __future__ import annotations

import itertools
import math
from random import Random

from mathse.figures.canvas import CELL, COLOURS, Canvas, font
from mathse.figures.figure import Figure
from mathse.figures.program import Reading, Step, read

Point = tuple[float, float]
FILLS = (None, (225, 225, 225), (255, 235, 200), (215, 230, 250), (220, 240, 215))


def _distance(p: Point, a: Point, b: Point) -> float:
    """The distance of `p` from the line through `a` and `b`."""
    return abs((b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])) / math.dist(a, b)


def _label_place(canvas: Canvas, text: str, corner: Point, one: Point, two: Point) -> Point | None:
    """Where `text` fits between the two arms of the angle at `corner`, as near to it as can be; None: nowhere near."""
    ways = [
        ((end[0] - corner[0]) / math.dist(corner, end), (end[1] - corner[1]) / math.dist(corner, end))
        for end in (one, two)
    ]
    way = (ways[0][0] + ways[1][0], ways[0][1] + ways[1][1])
    scale = math.hypot(*way)
    half_width, half_height = font(canvas.font_name, canvas.size).getlength(text) / 2 + 2, canvas.size * 0.4 + 2
    # First a place in one cell of the picture, which is easier to read.
    for one_cell, far, aside in itertools.product((True, False), range(10, 50, 2), (0, -3, 3, -6, 6, -9, 9, -12, 12)):
        x = corner[0] + (way[0] * far - way[1] * aside) / scale
        y = corner[1] + (way[1] * far + way[0] * aside) / scale
        box = [(x + sx * half_width, y + sy * half_height) for sx in (-1, 1) for sy in (-1, 1)]
        if one_cell and any(int(p[0] // CELL) != int(x // CELL) or int(p[1] // CELL) != int(y // CELL) for p in box):
            continue
        clear = all(  # between the arms, off both, and in the picture
            2 <= p[0] <= 110
            and 2 <= p[1] <= 110
            and min(_distance(p, corner, one), _distance(p, corner, two)) >= 1.5
            and _side(p, corner, one) == _side(two, corner, one)
            and _side(p, corner, two) == _side(one, corner, two)
            for p in box
        )
        if clear:
            return x, y
    return None


def _between(corner: Point, one: Point, two: Point) -> Point:
    """The place 30 pixels inside the angle at `corner`."""
    x = sum((end[0] - corner[0]) / math.dist(corner, end) for end in (one, two))
    y = sum((end[1] - corner[1]) / math.dist(corner, end) for end in (one, two))
    return corner[0] + 30 * x / math.hypot(x, y), corner[1] + 30 * y / math.hypot(x, y)


def _side(p: Point, a: Point, b: Point) -> bool:
    return (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0]) > 0


def _corners(rng: Random, shape: str, mirrored: bool, flipped: bool) -> list[Point]:
    """The corners left, right and top (bottom when flipped) of a triangle with room for labels."""
    if shape == "right":
        base, height = rng.randint(82, 105), rng.randint(82, 105)
        x, y = rng.randint(3, 109 - base), rng.randint(3 + height, 109)
        corners: list[Point] = [(x, y), (x + base, y), (x, y - height)]
    else:
        corners = [
            (rng.randint(4, 12), rng.randint(86, 107)),
            (rng.randint(100, 108), rng.randint(86, 107)),
            (rng.randint(34, 78), rng.randint(5, 14)),
        ]
    return [(112 - x if mirrored else x, 112 - y if flipped else y) for x, y in corners]


def _draw_triangle(canvas: Canvas, shape: str, texts: tuple[str, ...], mirrored: bool, flipped: bool) -> None:
    """Draw a triangle and write `texts` at the first, second and third corner."""
    rng = canvas.rng
    face = font(canvas.font_name, canvas.size)
    for attempt in range(60):  # wide fonts may find no place for a label: then the last try takes what it gets
        corners = _corners(rng, shape, mirrored, flipped)
        angles = [
            (corners[0], corners[1], corners[2]),
            (corners[1], corners[0], corners[2]),
            (corners[2], corners[0], corners[1]),
        ]
        places = [
            _label_place(canvas, text, *angle) if text else angle[0] for text, angle in zip(texts, angles, strict=True)
        ]
        fits = [place or _between(*angle) for place, angle in zip(places, angles, strict=True)]
        if attempt < 59 and None in places:
            continue
        apart = max(face.getlength(text) for text in texts) + 4
        pairs = itertools.combinations(fits, 2)
        if attempt == 59 or all(abs(p[0] - q[0]) >= apart or abs(p[1] - q[1]) >= 19 for p, q in pairs):
            break
    ink = COLOURS[rng.choice(list(COLOURS))]
    thick = rng.randint(1, 3)
    canvas.draw.polygon(corners[:3], fill=rng.choice(FILLS))
    for a, b in ((0, 1), (1, 2), (2, 0)):
        canvas.draw.line((*corners[a], *corners[b]), fill=ink, width=thick)
    if shape == "right":
        (x, y), dx, dy = corners[0], -12 if mirrored else 12, 12 if flipped else -12
        canvas.draw.line((x, y + dy, x + dx, y + dy, x + dx, y), fill=ink, width=2)
        canvas.mark("right angle", x + dx / 2, y + dy / 2)
    for text, (x, y) in zip(texts, fits, strict=True):
        if text:
            canvas.text(x, y, text, exact=True)


def _angle(name: str, value: int) -> Reading:
    what = "labelled" if name == "given" else name
    says = (f"The {what} angle is {{{name}}}.", f"The angle at the {name} is {{{name}}}.")
    return Reading(name, value, says[:1] if name == "given" else says, f"the label in the {what} corner")


def figure(rng: Random, level: int) -> Figure:
    """Level 1: multiples of 5; 2: any angles; 3: a right-angle mark too."""
    canvas = Canvas(rng)
    unit = 5 if level == 1 else 1
    first = unit * rng.randint(20 // unit, 99 // unit)
    second = unit * rng.randint(20 // unit, min(99, 160 - first) // unit)
    unknown = rng.choice("x?")
    degree = "°" if level < 3 and canvas.font_name != "DejaVuSansMono-Bold.ttf" and rng.random() < 0.3 else ""
    mirrored, flipped = rng.random() < 0.5, rng.random() < 0.5
    tip = "bottom" if flipped else "top"
    asked = rng.choice((("missing", "sum"), ("missing", "sum"), ("missing", "right"))[level - 1])
    missing = ("What is the missing angle?", f"How large is the angle {unknown}?")
    if asked == "right":
        given = rng.randint(10, 80)
        swapped = rng.random() < 0.5
        label = f"{given}{degree}"
        _draw_triangle(canvas, "right", ("", unknown, label) if swapped else ("", label, unknown), mirrored, flipped)
        right_read = Reading(
            "square",
            90,
            ("The square marks an angle of {square}.", "The right angle is {square}."),
            "the square mark",
            (45, 60, 80),
        )
        given_read = _angle("given", given)
        steps = [
            read(right_read),
            read(given_read),
            Step("sum", "add", ("square", "given"), ("{square} + {given} = {sum}.",)),
            Step("rest", "sub", (180, "sum"), ("180 - {sum} = {rest}.",)),
        ]
        return Figure([canvas], rng.choice(missing), [right_read, given_read], steps)

    corner_names = ["right", "left", tip] if mirrored else ["left", "right", tip]
    hidden = rng.randrange(3)
    left = iter((first, second))
    shown = [None if i == hidden else next(left) for i in range(3)]
    names = [name for name, value in zip(corner_names, shown, strict=True) if value is not None]
    values = [value for value in shown if value is not None]
    labels = [unknown if value is None else f"{value}{degree}" for value in shown]
    _draw_triangle(canvas, "plain", tuple(labels), mirrored, flipped)
    readings = [_angle(name, value) for name, value in zip(names, values, strict=True)]
    a, b = names
    steps = [read(reading) for reading in readings]
    steps += [Step("sum", "add", (a, b), (f"{{{a}}} + {{{b}}} = {{sum}}.",))]
    if asked == "sum":
        questions = ("What is the sum of the two angles?", "How much are the two angles together?")
        return Figure([canvas], rng.choice(questions), readings, steps)
    steps += [Step("rest", "sub", (180, "sum"), ("180 - {sum} = {rest}.",))]
    return Figure([canvas], rng.choice(missing), readings, steps)
