"""Rectangle with labelled sides: area and perimeter.

[a rectangle, 7 under it, 4 beside it]   What is the area of the rectangle?
Step 1: The width is 7. / Step 2: The height is 4. / Step 3: 7 * 4 = 28. -> 28
"""

from __future__ import annotations

from random import Random

from mathse.figures.canvas import COLOURS, Canvas
from mathse.figures.figure import Figure
from mathse.figures.program import Reading, Step, read


def figure(rng: Random, level: int) -> Figure:
    """Level 1: sides up to 6; 2: up to 9; 3: up to 12."""
    canvas = Canvas(rng)
    largest = (6, 9, 12)[level - 1]
    width, height = rng.randint(2, largest), rng.randint(2, largest)
    asked = rng.choice(("area", "perimeter"))

    w, h = rng.randint(40, 60), rng.randint(34, 54)
    x, y = rng.randint(24, 108 - w - 18), rng.randint(20, 108 - h - 20)
    below, right = rng.random() < 0.5, rng.random() < 0.5
    colour = rng.choice(list(COLOURS))
    fill = rng.choice((None, (225, 225, 225), (255, 235, 200), (215, 230, 250)))
    canvas.draw.rectangle((x, y, x + w, y + h), outline=COLOURS[colour], fill=fill, width=rng.randint(1, 3))
    canvas.text(x + w / 2, y + h + 11 if below else y - 10, str(width), away=(0, 1 if below else -1))
    canvas.text(x + w + 13 if right else x - 13, y + h / 2, str(height), away=(1 if right else -1, 0))

    width_read = Reading("width", width, ("The width is {width}.", "It is {width} wide."), "the label along the width")
    height_read = Reading("height", height, ("The height is {height}.", "It is {height} high."), "the label beside it")
    steps = [read(width_read), read(height_read)]
    if asked == "perimeter":
        questions = ("What is the perimeter of the rectangle?", "How long is the perimeter of the rectangle?")
        steps += [
            Step("sum", "add", ("width", "height"), ("{width} + {height} = {sum}.",)),
            Step("perimeter", "mul", (2, "sum"), ("2 * {sum} = {perimeter}.", "Twice {sum} is {perimeter}.")),
        ]
    else:
        questions = ("What is the area of the rectangle?", "How large is the area of the rectangle?")
        steps += [Step("area", "mul", ("width", "height"), ("{width} * {height} = {area}.",))]
    return Figure([canvas], rng.choice(questions), [width_read, height_read], steps)
