"""L-shaped figure with labelled sides: a missing side, the area as two rectangles.

[an L cut by a dashed line, 3 at the top, 4 at the left, 8 at the bottom, 2 at the right]   What is its area?
Step 1: The top side is 3. / ... / Step 5: 3 * 4 = 12. / Step 6: 8 * 2 = 16. / Step 7: 12 + 16 = 28. -> 28
"""

from __future__ import annotations

from random import Random

from mathse.figures.canvas import COLOURS, Canvas
from mathse.figures.figure import Figure
from mathse.figures.program import Reading, Step, read

OFFSETS = {"top": (0, -10), "bottom": (0, 11), "left": (-15, 0), "right": (15, 0)}


class _Ell:
    """An L in a box, turned any way: the wide part lies at the bottom, the narrow part on its left, before turning."""

    def __init__(self, canvas: Canvas) -> None:
        rng = canvas.rng
        self.canvas = canvas
        self.swap, self.flip_x, self.flip_y = (rng.random() < 0.5 for _ in range(3))
        w, h = rng.randint(54, 60), rng.randint(60, 70)
        x, y = rng.randint(26, 86 - w), rng.randint(19, 91 - h)
        self.box = (x, y, w, h)
        self.s, self.t = rng.uniform(0.38, 0.52), rng.uniform(0.45, 0.58)
        self.colour = rng.choice(list(COLOURS))
        fill = rng.choice((None, (225, 225, 225), (255, 235, 200), (215, 230, 250)))
        corners = [(0, 0), (self.s, 0), (self.s, self.t), (1, self.t), (1, 1), (0, 1)]
        self.canvas.draw.polygon(
            [self.at(*corner) for corner in corners], outline=COLOURS[self.colour], fill=fill, width=rng.randint(1, 3)
        )

    def at(self, u: float, v: float) -> tuple[float, float]:
        """The pixel of a place of the L that is not turned."""
        if self.swap:
            u, v = v, u
        x, y, w, h = self.box
        return x + w * (1 - u if self.flip_x else u), y + h * (1 - v if self.flip_y else v)

    def side(self, name: str) -> str:
        """Where a side of the L that is not turned lies now."""
        if self.swap:
            name = {"top": "left", "left": "top", "bottom": "right", "right": "bottom"}[name]
        if self.flip_x and name in ("left", "right"):
            name = "left" if name == "right" else "right"
        if self.flip_y and name in ("top", "bottom"):
            name = "top" if name == "bottom" else "bottom"
        return name

    def label(self, place: tuple[float, float], side: str, text: str) -> str:
        """Write `text` outside the edge whose middle is `place`; return the side of the picture it stands on."""
        side = self.side(side)
        x, y = self.at(*place)
        dx, dy = OFFSETS[side]
        away = {"top": (0, -1), "bottom": (0, 1), "left": (-1, 0), "right": (1, 0)}[side]
        self.canvas.text(x + dx, y + dy, text, away=away)
        return side

    def dashed(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """A dashed line inside the L."""
        (x0, y0), (x1, y1) = self.at(*start), self.at(*end)
        count = 5
        for i in range(count):
            a, b = (i + 0.2) / count, (i + 0.8) / count
            line = (x0 + (x1 - x0) * a, y0 + (y1 - y0) * a, x0 + (x1 - x0) * b, y0 + (y1 - y0) * b)
            self.canvas.draw.line(line, fill=COLOURS[self.colour], width=1)


def figure(rng: Random, level: int) -> Figure:
    """Level 1: small numbers, no label but those needed; 2: all labels; 3: larger numbers."""
    canvas = Canvas(rng)
    asked = rng.choice(("missing", "area"))
    ell = _Ell(canvas)
    s, t = ell.s, ell.t
    cut = asked == "area"
    if cut:  # the left label is the height of the narrow part alone
        largest = (6, 9, 12)[level - 1]
        wide = rng.randint(3, largest)
        narrow = rng.randint(2, wide - 1)
        values = (narrow, rng.randint(2, min(largest, 60 // narrow)), wide, rng.randint(1, min(largest, 72 // wide)))
        ell.dashed((0, t), (s, t))
    else:
        largest = (15, 30, 60)[level - 1]
        wide, high = rng.randint(4, largest), rng.randint(4, largest)
        values = (rng.randint(1, wide - 2), high, wide, rng.randint(1, high - 2))
    places = (
        ((s / 2, 0), "top"),
        ((0, t / 2 if cut else 0.5), "left"),
        ((0.5, 1), "bottom"),
        ((1, (1 + t) / 2), "right"),
    )
    wanted = set(range(4))
    level_side = rng.random() < 0.5
    if asked == "missing" and level == 1:
        wanted = {0, 2} if level_side else {1, 3}
    labels: dict[int, Reading] = {}
    for i in sorted(wanted):
        middle, edge = places[i]
        name = ell.label(middle, edge, str(values[i]))
        says: tuple[str, ...] = (f"The {name} side is {{{name}}}.", f"The {name} label is {{{name}}}.")
        labels[i] = Reading(name, values[i], says, f"the number at the {name}")
    readings = list(labels.values())

    if asked == "missing":
        if level_side:
            ell.label(((1 + s) / 2, t), "top", "?")
        else:
            ell.label((s, t / 2), "right", "?")
        whole, piece = (labels[2], labels[0]) if level_side else (labels[1], labels[3])
        questions: tuple[str, ...] = ("How long is the side marked with ?", "What is the missing side?")
        equation = f"{{{whole.name}}} - {{{piece.name}}} = {{missing}}."
        steps = [read(whole), read(piece), Step("missing", "sub", (whole.name, piece.name), (equation,))]
        return Figure([canvas], rng.choice(questions), readings, steps)
    steps = [read(reading) for reading in readings]
    for name, i, j in (("first", 0, 1), ("second", 2, 3)):
        side, other = labels[i].name, labels[j].name
        steps.append(Step(name, "mul", (side, other), (f"{{{side}}} * {{{other}}} = {{{name}}}.",)))
    questions = ("What is the area of the figure?", "How large is the area of the figure?")
    steps.append(Step("area", "add", ("first", "second"), ("{first} + {second} = {area}.",)))
    return Figure([canvas], rng.choice(questions), readings, steps)
