"""Three pictures in a row, each with a number or a face of a die: the total, the difference, the next number.

[picture 1: 4] [picture 2: 7] [picture 3: 10]   Which number comes next?
Step 1: Picture 2 shows 7. / Step 2: Picture 3 shows 10. / Step 3: 10 - 7 = 3. / Step 4: 10 + 3 = 13. -> 13
"""

from __future__ import annotations

from random import Random

from mathse.figures.canvas import COLOURS, PATCH, Canvas
from mathse.figures.figure import Figure
from mathse.figures.program import Reading, Step, read

SIDE = 56
NAMES = ("first", "second", "third")


PLACES = (
    (0, 0),
    (2, 2),
    (0, 2),
    (2, 0),
    (0, 1),
    (2, 1),
)  # of a die's dots, outer ones in the order in which faces add them


def _dots(canvas: Canvas, hue: str, count: int) -> None:
    """The dots of a die's face, each in a patch."""
    places = [*PLACES[: count - count % 2], *([(1, 1)] if count % 2 else [])]
    radius, (dx, dy) = canvas.rng.randint(4, 5), (canvas.rng.randint(0, 1), canvas.rng.randint(0, 1))
    for column, row in places:
        x, y = PATCH * (column + dx) + PATCH // 2, PATCH * (row + dy) + PATCH // 2
        canvas.draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=COLOURS[hue])
        canvas.mark(f"{hue} dot", x, y, (count,))


def _number(canvas: Canvas, value: int, frame: str, hue: str, colour: str) -> None:
    """A number in a frame (card, ring or none)."""
    x, y = canvas.rng.choice((14, 42)), canvas.rng.choice((14, 42))
    if frame == "ring":
        canvas.draw.ellipse((x - 14, y - 14, x + 14, y + 14), outline=COLOURS[hue], width=2)
    elif frame == "card":
        canvas.draw.rectangle((x - 13, y - 11, x + 13, y + 11), outline=COLOURS[hue], fill=(255, 255, 255), width=2)
    if frame != "plain":
        canvas.mark(f"{hue} {frame}", x, y - 11)
    canvas.text(x, y, str(value), colour, size=17)


def _pattern(rng: Random, level: int, dots: bool) -> list[int]:
    """Three numbers that grow (or, at higher levels, also shrink) by equal steps."""
    if dots:
        by = rng.randint(1, 2)
        start = rng.randint(1, 6 - 2 * by)
    else:
        by, start = rng.randint(1, (5, 10, 12)[level - 1]), rng.randint(1, (12, 30, 60)[level - 1])
    values = [start + by * i for i in range(3)]
    return values[::-1] if level > 2 and start > by and rng.random() < 0.4 else values


def figure(rng: Random, level: int) -> Figure:
    """Level 1: dots or numbers to 20; 2: numbers to 40; 3: numbers to 60, patterns that shrink."""
    canvases = [Canvas(rng, SIDE) for _ in range(3)]
    dots = rng.random() < (0.5, 0.4, 0.4)[level - 1]
    asked = rng.choice(("total", "more", "next"))
    values = [rng.randint(1, 6) if dots else rng.randint(1, (20, 40, 40)[level - 1]) for _ in range(3)]
    if asked == "next":
        values = _pattern(rng, level, dots)
    elif asked == "more":
        values = rng.sample(range(1, 7) if dots else range(1, (20, 40, 60)[level - 1] + 1), 3)

    hue = canvases[0].colours(1)[0]
    frame = rng.choice(("plain", "ring", "card"))
    text_colour = rng.choice(list(COLOURS))
    thing = f"{hue} dots" if dots else "number"
    readings: list[Reading] = []
    for i, (canvas, name, value) in enumerate(zip(canvases, NAMES, values, strict=True), start=1):
        if dots:
            _dots(canvas, hue, value)
            where = f"the {hue} dots in picture {i}"
            says = (f"Picture {i}, {hue} dots: {{{name}}}.", f"Count of {hue} dots in picture {i}: {{{name}}}.")
        else:
            _number(canvas, value, frame, hue, text_colour)
            where = f"the number in picture {i}"
            says = (f"Picture {i} shows {{{name}}}.", f"The {name} number is {{{name}}}.")
        readings.append(Reading(name, value, says, where))

    if asked == "total":
        questions = (
            (f"How many {thing} are there in all three pictures?", f"How many {thing} are in the pictures together?")
            if dots
            else ("What is the sum of the three numbers?", "How much are the three numbers together?")
        )
        steps = [read(reading) for reading in readings]
        steps += [
            Step("sum", "add", ("first", "second"), ("{first} + {second} = {sum}.",)),
            Step("total", "add", ("sum", "third"), ("{sum} + {third} = {total}.",)),
        ]
        return Figure(canvases, rng.choice(questions), readings, steps)
    if asked == "more":
        low, high = sorted(rng.sample(readings, 2), key=lambda reading: int(reading.value))
        questions = (
            f"How much larger is the {high.name} number than the {low.name}?",
            f"What is the difference of the {high.name} and the {low.name} number?",
        )
        if dots:
            questions = (
                f"How many more {thing} are in the {high.name} picture than in the {low.name}?",
                f"What is the difference of the {thing} in the {high.name} and the {low.name} picture?",
            )
        equation = f"{{{high.name}}} - {{{low.name}}} = {{more}}."
        steps = [read(high), read(low), Step("more", "sub", (high.name, low.name), (equation,))]
        return Figure(canvases, rng.choice(questions), readings, steps)
    a, b = readings[1:]
    grows = values[2] > values[1]
    questions = (
        (f"How many {thing} come next?", f"How many {thing} will the next picture have?")
        if dots
        else ("Which number comes next?", "Which number will the next picture show?")
    )
    if grows:
        by = Step("step", "sub", ("third", "second"), ("{third} - {second} = {step}.",))
        then = Step("next", "add", ("third", "step"), ("{third} + {step} = {next}.",))
    else:
        by = Step("step", "sub", ("second", "third"), ("{second} - {third} = {step}.",))
        then = Step("next", "sub", ("third", "step"), ("{third} - {step} = {next}.",))
    return Figure(canvases, rng.choice(questions), readings, [read(a), read(b), by, then])
