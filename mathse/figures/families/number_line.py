"""Number line with labelled ends and an arrow at one tick: its value, and how far it is from the left end.

[a line from 20 to 50, six gaps, one marked +5, an arrow at the fourth tick]   What value does the arrow show?
Step 1: The left end is 20. / Step 2: One gap is 5. / Step 3: The arrow is at tick 4 from the left. /
Step 4: 4 * 5 = 20. / Step 5: 20 + 20 = 40. -> 40
"""

from __future__ import annotations

from random import Random

from mathse.figures.canvas import COLOURS, PATCH, Canvas
from mathse.figures.figure import Figure
from mathse.figures.program import Reading, Step, read


def _draw_line(canvas: Canvas, left: int, right: int, gaps: int, ticks: int, unit: int) -> None:
    """Draw the line with its ticks, end labels and arrow, and an arc with +`unit` over a gap far from the arrow."""
    rng = canvas.rng
    y = rng.randint(54, 84)
    pitch = PATCH  # each tick in the middle of a patch
    x = PATCH * rng.randint(0, 7 - gaps) + PATCH // 2 + rng.randint(-2, 2)
    end = x + pitch * gaps
    ink = COLOURS[rng.choice(("black", "blue", "purple"))]
    half = rng.randint(4, 6)
    canvas.draw.line((x, y, end, y), fill=ink, width=2)
    for i in range(gaps + 1):
        tall = half + 2 if i in (0, gaps) else half
        canvas.draw.line((x + pitch * i, y - tall, x + pitch * i, y + tall), fill=ink, width=2)
    canvas.text(x, y + half + 13, str(left))
    canvas.text(end, y + half + 13, str(right))

    at, tip, colour = x + pitch * ticks, y - half - 2, rng.choice(("red", "green", "orange"))
    canvas.draw.line((at, tip - rng.randint(18, 30), at, tip - 6), fill=COLOURS[colour], width=3)
    canvas.draw.polygon((at - 5, tip - 8, at + 5, tip - 8, at, tip), fill=COLOURS[colour])
    canvas.mark("arrow", at, tip - 8, (ticks, gaps))
    start = x if ticks > gaps / 2 else end - pitch
    canvas.draw.arc((start, y - half - 9, start + pitch, y - half + 3), 180, 360, fill=ink, width=2)
    canvas.text(start + pitch / 2, y - half - 20, f"+{unit}")


def figure(rng: Random, level: int) -> Figure:
    """Level 1: easy gaps, small ends; 2: gaps up to 9; 3: up to 12."""
    canvas = Canvas(rng)
    gaps = rng.randint(3, (5, 6, 7)[level - 1])
    ticks = rng.randint(1, gaps - 1)
    unit = rng.choice(((1, 2, 5, 10), range(2, 10), range(2, 13))[level - 1])
    highest = 120 - gaps * unit
    left = rng.randint(0, min(highest, (20, 40, 60)[level - 1]))
    if level == 1 and unit in (5, 10):
        left -= left % 5
    right = left + gaps * unit
    _draw_line(canvas, left, right, gaps, ticks, unit)

    left_read = Reading(
        "left", left, ("The left end is {left}.", "The line starts at {left}."), "the label at the left end"
    )
    right_read = Reading(
        "right", right, ("The right end is {right}.", "The line ends at {right}."), "the label at the right end"
    )
    unit_read = Reading("unit", unit, ("One gap is {unit}.", "Each tick adds {unit}."), "the number over the arc")
    gaps_read = Reading(
        "gaps", gaps, ("Gaps on the line: {gaps}.", "The number of gaps is {gaps}."), "the ticks", (gaps - 1, gaps + 1)
    )
    ticks_read = Reading(
        "ticks",
        ticks,
        ("Ticks from the left end to the arrow: {ticks}.", "The arrow is at tick {ticks} from the left."),
        "the tick under the arrow",
        tuple(other for other in (ticks - 1, ticks + 1) if 0 < other < gaps),
    )
    readings = [left_read, right_read, gaps_read, ticks_read, unit_read]
    jump = Step("jump", "mul", ("ticks", "unit"), ("{ticks} * {unit} = {jump}.", "{ticks} times {unit} is {jump}."))
    asked = rng.choice(("value", "left"))
    if asked == "value":
        questions = ("What value does the arrow show?", "Which number does the arrow point at?")
        steps = [read(left_read), read(unit_read), read(ticks_read), jump]
        steps.append(Step("value", "add", ("left", "jump"), ("{left} + {jump} = {value}.",)))
    else:
        questions = ("How far is the arrow from the left end?", "What is the distance of the arrow from the left end?")
        steps = [read(unit_read), read(ticks_read), jump]
    return Figure([canvas], rng.choice(questions), readings, steps)
