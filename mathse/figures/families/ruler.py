"""Ruler with a bar lying along it: its length, what is left of a longer piece, two bars compared.

[a ruler 0 to 7, a red bar from 2 to 7]   How long is the red bar?
Step 1: The red bar starts at 2. / Step 2: The red bar ends at 7. / Step 3: 7 - 2 = 5. -> 5
"""

from __future__ import annotations

from random import Random

from mathse.figures.canvas import COLOURS, PATCH, Canvas
from mathse.figures.figure import Figure
from mathse.figures.program import Reading, Step, read

WOODS = ((250, 235, 180), (235, 235, 235), (255, 255, 255), (225, 235, 250))


def figure(rng: Random, level: int) -> Figure:
    """Level 1: one bar; 2: a ruler that starts anywhere, what is left; 3: two bars, ticks that count by more."""
    canvas = Canvas(rng)
    ticks, pitch = 7, PATCH  # each tick in the middle of a patch
    tick = 1 if level < 3 else rng.choice((1, 1, 2, 5))
    start = (rng.choice((0, 0, 1, 2)), rng.randint(0, 20), rng.randint(0, 12))[level - 1] * tick
    count = (1, rng.randint(1, 2), 2)[level - 1]
    top_number = start + ticks * tick
    every = 1 if top_number < 10 else 2

    left = PATCH // 2 + rng.randint(-1, 1)
    right = left + pitch * ticks
    tall = 38 if count == 2 else rng.randint(26, 32)
    y = rng.randint(34, 40) if count == 2 else rng.randint(30, 80 - tall // 2)
    wood, dark = rng.choice(WOODS), (70, 70, 70)
    canvas.draw.rectangle((max(left - 11, 0), y, min(right + 11, 111), y + tall), fill=wood, outline=dark)
    for i in range(ticks + 1):
        x, long = left + pitch * i, 8 if i % every == 0 else 5
        canvas.draw.line((x, y, x, y + long), fill=dark)
        if count == 2:
            canvas.draw.line((x, y + tall - long, x, y + tall), fill=dark)
        if i % every == 0:
            canvas.text(x, y + (tall / 2 if count == 2 else tall - 9), str(start + tick * i), exact=True)

    hues = canvas.colours(count)
    readings: list[Reading] = []
    for i, hue in enumerate(hues):
        a, b = sorted(rng.sample(range(ticks + 1), 2))
        if level == 1 and rng.random() < 0.3:
            a, b = 0, rng.randint(1, ticks)
        thick = rng.randint(10, 18)
        top = y - thick if i == 0 else y + tall + 1
        canvas.draw.rectangle((left + pitch * a, top, left + pitch * b, top + thick - 1), fill=COLOURS[hue])
        for name, end, place in ((f"{hue}_start", "starts", a), (f"{hue}_end", "ends", b)):
            canvas.mark(f"{hue} bar {end}", left + pitch * place, top + thick / 2)
            says = (f"The {hue} bar {end} at {{{name}}}.", f"{hue.capitalize()} {end} at {{{name}}}.")
            readings.append(Reading(name, start + tick * place, says, f"where the {hue} bar {end} on the ruler"))

    hue = hues[0]

    def length(colour: str, name: str) -> Step:
        says = f"{{{colour}_end}} - {{{colour}_start}} = {{{name}}}."
        return Step(name, "sub", (f"{colour}_end", f"{colour}_start"), (says, f"Length: {says}"))

    steps = [read(readings[0]), read(readings[1])]
    asked = rng.choice((("length", "twice"), ("length", "twice", "left"), ("left", "together", "longer"))[level - 1])
    if asked == "length":
        questions: tuple[str, ...] = (
            f"How long is the {hue} bar?",
            f"What is the length of the {hue} bar?",
            f"What does the {hue} bar measure?",
        )
        return Figure([canvas], rng.choice(questions), readings, [*steps, length(hue, "length")])
    if asked == "twice":
        questions = (f"How long are two such {hue} bars in a row?", f"What is twice the length of the {hue} bar?")
        says = ("2 * {length} = {twice}.", "Twice {length} is {twice}.")
        steps += [length(hue, "length"), Step("twice", "mul", (2, "length"), says)]
        return Figure([canvas], rng.choice(questions), readings, steps)
    if asked == "left":
        whole = rng.randint(1, 30) + int(readings[1].value) - int(readings[0].value)
        questions = (
            f"The {hue} bar is cut off a rod of length {whole}. How much is left?",
            f"A rod of length {whole} is shortened by the {hue} bar. How long is the rest?",
            f"How much longer than the {hue} bar is a rod of length {whole}?",
        )
        steps += [length(hue, "length"), Step("rest", "sub", (whole, "length"), (f"{whole} - {{length}} = {{rest}}.",))]
        return Figure([canvas], rng.choice(questions), readings, steps)
    other = hues[1]
    steps += [read(readings[2]), read(readings[3]), length(hue, "first"), length(other, "second")]
    if asked == "together":
        questions = (
            f"How long are the {hue} and the {other} bar together?",
            "What is the total length of the two bars?",
        )
        steps.append(Step("sum", "add", ("first", "second"), ("{first} + {second} = {sum}.",)))
    else:
        questions = ("By how much do the lengths of the two bars differ?", "What is the difference of the two lengths?")
        steps.append(Step("difference", "diff", ("first", "second"), ("{first} and {second} differ by {difference}.",)))
    return Figure([canvas], rng.choice(questions), readings, steps)
