"""Bar chart with a number and a letter under each bar: sum, difference, largest.

[bars A 12, B 30, C 21]   How much larger is B than A?
Step 1: Bar B is 30. / Step 2: Bar A is 12. / Step 3: 30 - 12 = 18. -> 18
"""

from __future__ import annotations

from random import Random

from mathse.figures.canvas import CELL, COLOURS, Canvas
from mathse.figures.figure import Figure
from mathse.figures.program import Reading, Step, read


def figure(rng: Random, level: int) -> Figure:
    """Level 1: two bars under 20; 2: three bars; 3: three bars up to 60."""
    canvas = Canvas(rng)
    count = 2 if level == 1 else 3
    letters = rng.sample("ABCDEF", count)
    values = rng.sample(range(2, (20, 30, 60)[level - 1]), count)

    columns = sorted(rng.sample(range(4), count))
    colours = canvas.colours(count) if rng.random() < 0.6 else [rng.choice(list(COLOURS))] * count
    thick = rng.randint(12, 20)
    canvas.draw.line((4, 83, 108, 83), fill=COLOURS["black"], width=1)
    for i, (letter, value) in enumerate(zip(letters, values, strict=True)):
        x = CELL * columns[i] + CELL // 2 + rng.randint(-2, 2)
        top = 79 - int(72 * value / max(values))
        canvas.draw.rectangle((x - thick / 2, top, x + thick / 2, 83), fill=COLOURS[colours[i]])
        # both in one cell of the picture: a tiny model has to find the number where it finds the letter
        canvas.text(x, 91, str(value), size=13, exact=True)
        canvas.text(x, 105, letter, size=13, exact=True, values=(value,))

    bars = [
        Reading(
            letter,
            value,
            (f"Bar {letter} is {{{letter}}}.", f"{letter} shows {{{letter}}}."),
            f"the number under bar {letter}",
        )
        for letter, value in zip(letters, values, strict=True)
    ]
    asked = rng.choice(("sum", "difference", "largest"))
    if asked == "largest":
        steps = [read(bar) for bar in bars]
        pairs = [part for letter in letters for part in ("'" + letter, letter)]
        largest = "The largest of " + ", ".join(f"{{{letter}}}" for letter in letters) + " is {largest}."
        steps += [
            Step("largest", "max", tuple(letters), (largest,)),
            Step("which", "label_of_max", tuple(pairs), ("That is bar {which}.", "Bar {which} has it.")),
        ]
        questions = ("Which bar is the largest?", "Which bar shows the largest number?")
        return Figure([canvas], rng.choice(questions), bars, steps, wrong=tuple(letters))
    first, second = sorted(rng.sample(bars, 2), key=lambda bar: -int(bar.value))
    steps = [read(first), read(second)]
    a, b = first.name, second.name
    if asked == "sum":
        questions = (f"What is the sum of {a} and {b}?", f"How much are {a} and {b} together?")
        steps += [Step("sum", "add", (a, b), (f"{{{a}}} + {{{b}}} = {{sum}}.",))]
    else:
        questions = (f"How much larger is {a} than {b}?", f"What is the difference of {a} and {b}?")
        steps += [Step("difference", "sub", (a, b), (f"{{{a}}} - {{{b}}} = {{difference}}.",))]
    return Figure([canvas], rng.choice(questions), bars, steps)
