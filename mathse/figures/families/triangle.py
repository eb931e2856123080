"""Triangle with two angles labelled inside and a third marked x or ?: the missing angle, or the exterior one.

[a triangle, 50 at the left, 60 at the right, x at the top]   What is the missing angle?
Step 1: The left angle is 50. / Step 2: The right angle is 60. / Step 3: 50 + 60 = 110. / Step 4: 180 - 110 = 70. -> 70
"""

from __future__ import annotations

import math
from random import Random

from mathse.figures.canvas import COLOURS, Canvas, font
from mathse.figures.figure import Figure
from mathse.figures.program import Reading, Step, read

Point = tuple[float, float]
FILLS = (None, (225, 225, 225), (255, 235, 200), (215, 230, 250), (220, 240, 215))


def _distance(p: Point, a: Point, b: Point) -> float:
    """The distance of `p` from the line through `a` and `b`."""
    return abs((b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])) / math.dist(a, b)


def _label_place(canvas: Canvas, text: str, corner: Point, one: Point, two: Point) -> Point | None:
    """Where `text` fits between the two arms of the angle at `corner`, as near to it as possible; None: nowhere near."""
    ways = [
        ((end[0] - corner[0]) / math.dist(corner, end), (end[1] - corner[1]) / math.dist(corner, end))
        for end in (one, two)
    ]
    way = (ways[0][0] + ways[1][0], ways[0][1] + ways[1][1])
    scale = math.hypot(*way)
    half_width, half_height = font(canvas.font_name, canvas.size).getlength(text) / 2 + 2, canvas.size * 0.4 + 2
    for far in range(10, 44):
        x, y = corner[0] + way[0] / scale * far, corner[1] + way[1] / scale * far
        box = [(x + sx * half_width, y + sy * half_height) for sx in (-1, 1) for sy in (-1, 1)]
        inside = all(  # on the same side of each arm as the centre, and off it
            _distance(p, corner, end) >= 1.5 and _side(p, corner, end) == _side((x, y), corner, end)
            for p in box
            for end in (one, two)
        )
        if inside:
            return (x, y) if all(2 <= px <= 110 and 2 <= py <= 110 for px, py in box) else None
    return None


def _between(corner: Point, one: Point, two: Point) -> Point:
    """The place 30 pixels inside the angle at `corner`."""
    x = sum((end[0] - corner[0]) / math.dist(corner, end) for end in (one, two))
    y = sum((end[1] - corner[1]) / math.dist(corner, end) for end in (one, two))
    return corner[0] + 30 * x / math.hypot(x, y), corner[1] + 30 * y / math.hypot(x, y)


def _side(p: Point, a: Point, b: Point) -> bool:
    return (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0]) > 0


def _corners(rng: Random, shape: str, mirrored: bool, flipped: bool) -> list[Point]:
    """The corners left, right and top (bottom when flipped) of a triangle with room for labels; fourth: the extended end."""
    if shape == "right":
        base, height = rng.randint(76, 102), rng.randint(76, 102)
        x, y = rng.randint(3, 109 - base), rng.randint(3 + height, 109)
        corners: list[Point] = [(x, y), (x + base, y), (x, y - height)]
    elif shape == "exterior":
        x, y = rng.randint(4, 8), rng.randint(92, 107)
        corner = x + rng.randint(60, 68)
        corners = [(x, y), (corner, y), (rng.randint(30, 62), rng.randint(5, 14)), (107, y)]
    else:
        corners = [
            (rng.randint(4, 12), rng.randint(86, 107)),
            (rng.randint(100, 108), rng.randint(86, 107)),
            (rng.randint(34, 78), rng.randint(5, 14)),
        ]
    return [(112 - x if mirrored else x, 112 - y if flipped else y) for x, y in corners]


def _draw_triangle(canvas: Canvas, shape: str, texts: tuple[str, ...], mirrored: bool, flipped: bool) -> None:
    """Draw a triangle and write `texts` at the first, second and third corner, the second's outside for "exterior"."""
    rng = canvas.rng
    for attempt in range(60):  # wide fonts may find no place for a label: then the last try takes what it gets
        corners = _corners(rng, shape, mirrored, flipped)
        angles = [
            (corners[0], corners[1], corners[2]),
            (corners[1], corners[0], corners[2]),
            (corners[2], corners[0], corners[1]),
        ]
        if shape == "exterior":
            angles[1] = (corners[1], corners[3], corners[2])
        places = [
            _label_place(canvas, text, *angle) if text else angle[0] for text, angle in zip(texts, angles, strict=True)
        ]
        fits = [place or _between(*angle) for place, angle in zip(places, angles, strict=True)]
        if attempt < 59 and None in places:
            continue
        if min(math.dist(fits[i], fits[j]) for i, j in ((0, 1), (0, 2), (1, 2))) >= 30:
            break
    ink = COLOURS[rng.choice(list(COLOURS))]
    thick = rng.randint(1, 3)
    canvas.draw.polygon(corners[:3], fill=rng.choice(FILLS))
    for a, b in ((0, 1), (1, 2), (2, 0)):
        canvas.draw.line((*corners[a], *corners[b]), fill=ink, width=thick)
    if shape == "exterior":
        canvas.draw.line((*corners[1], *corners[3]), fill=ink, width=thick)
    if shape == "right":
        (x, y), dx, dy = corners[0], -12 if mirrored else 12, 12 if flipped else -12
        canvas.draw.line((x, y + dy, x + dx, y + dy, x + dx, y), fill=ink, width=2)
        canvas.mark("right angle", x + dx / 2, y + dy / 2)
    for text, (x, y) in zip(texts, fits, strict=True):
        if text:
            canvas.text(x, y, text)


def _angle(name: str, value: int) -> Reading:
    what = "labelled" if name == "given" else name
    says = (f"The {what} angle is {{{name}}}.", f"The angle at the {name} is {{{name}}}.")
    return Reading(name, value, says[:1] if name == "given" else says, f"the label in the {what} corner")


def figure(rng: Random, level: int) -> Figure:
    """Level 1: multiples of 5; 2: any angles, differences too; 3: a right-angle mark or an exterior angle as well."""
    canvas = Canvas(rng)
    unit = 5 if level == 1 else 1
    first = unit * rng.randint(20 // unit, 99 // unit)
    second = unit * rng.randint(20 // unit, min(99, 160 - first) // unit)
    unknown = rng.choice("x?")
    degree = "°" if rng.random() < 0.25 else ""
    mirrored, flipped = rng.random() < 0.5, rng.random() < 0.5
    tip = "bottom" if flipped else "top"
    asked = rng.choice(
        (("missing",), ("missing", "missing", "difference", "sum"), ("missing", "right", "exterior"))[level - 1]
    )
    missing = (
        "What is the missing angle?",
        f"How large is the angle marked {unknown}?",
        f"How many degrees is the angle {unknown}?" if unknown == "x" else "How many degrees is the unknown angle?",
    )

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

    if asked == "exterior":
        names = ["right" if mirrored else "left", tip]
        values = [first, second]
        texts = (f"{first}{degree}", unknown, f"{second}{degree}")
        _draw_triangle(canvas, "exterior", texts, mirrored, flipped)
    else:
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
    if asked == "difference":
        large, small = sorted(readings, key=lambda r: -int(r.value))
        a, b = large.name, small.name
        questions: tuple[str, ...] = (
            f"How much larger is the {a} angle than the {b} angle?",
            "How much do the two given angles differ?",
        )
        steps = [read(large), read(small), Step("difference", "sub", (a, b), (f"{{{a}}} - {{{b}}} = {{difference}}.",))]
        return Figure([canvas], rng.choice(questions), readings, steps)
    steps = [read(reading) for reading in readings]
    if asked == "exterior":
        questions = (
            f"How large is the exterior angle marked {unknown}?",
            "What is the exterior angle?",
            "How large is the angle outside the triangle?",
        )
        steps += [
            Step(
                "outside",
                "add",
                (a, b),
                (f"{{{a}}} + {{{b}}} = {{outside}}.", f"The exterior angle is {{{a}}} + {{{b}}} = {{outside}}."),
            )
        ]
        return Figure([canvas], rng.choice(questions), readings, steps)
    steps += [Step("sum", "add", (a, b), (f"{{{a}}} + {{{b}}} = {{sum}}.",))]
    if asked == "sum":
        questions = (
            "What is the sum of the two given angles?",
            "How many degrees are the two labelled angles together?",
        )
        return Figure([canvas], rng.choice(questions), readings, steps)
    steps += [Step("rest", "sub", (180, "sum"), ("180 - {sum} = {rest}.",))]
    return Figure([canvas], rng.choice(missing), readings, steps)
