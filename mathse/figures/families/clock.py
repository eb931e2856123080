"""Clock face with an hour and a minute hand: the time, minutes to the full hour, the minute hand a while later.

[a clock, the short hand past 7, the long hand at 7]   What time is it?
Step 1: The hour is 7. / Step 2: The minute hand shows 35. / Step 3: The time is 7:35. -> 7:35
"""

from __future__ import annotations

import math
from random import Random

from mathse.figures.canvas import COLOURS, Canvas
from mathse.figures.figure import Figure
from mathse.figures.program import Reading, Step, read


def _draw_clock(canvas: Canvas, hour: int, minute: int, numbers: bool) -> None:
    """Draw the face, with the numbers 12, 3, 6 and 9 or with plain ticks, and the two hands."""
    rng = canvas.rng
    radius = rng.randint(50, 54) if numbers else rng.randint(42, 54)
    slack = 55 - radius
    cx, cy = 56 + rng.randint(-slack, slack), 56 + rng.randint(-slack, slack)

    def point(turn: float, length: float) -> tuple[float, float]:
        return cx + length * math.sin(2 * math.pi * turn), cy - length * math.cos(2 * math.pi * turn)

    rim = COLOURS[rng.choice(list(COLOURS))]
    fill = rng.choice((None, (255, 255, 255), (255, 248, 225), (230, 240, 252)))
    canvas.draw.ellipse(
        (cx - radius, cy - radius, cx + radius, cy + radius), outline=rim, fill=fill, width=rng.randint(2, 3)
    )
    for i in range(12):
        inner = radius - (4 if numbers else 9 if i % 3 == 0 else 6)
        canvas.draw.line((*point(i / 12, inner), *point(i / 12, radius)), fill=rim, width=2)
    reach = radius - 12
    if numbers:
        for number in (3, 6, 9, 12):
            canvas.text(*point(number / 12, radius - 13), str(number), exact=True)
        reach = radius - 21

    hands = rng.choice((("black", "black"), ("black", "red"), ("blue", "black"), ("purple", "purple"), ("red", "blue")))
    hour_turn = (hour % 12 + minute / 60) / 12
    minute_tip, hour_tip = point(minute / 60, reach), point(hour_turn, reach * rng.uniform(0.5, 0.6))
    canvas.draw.line((cx, cy, *hour_tip), fill=COLOURS[hands[0]], width=rng.randint(5, 6))
    canvas.draw.line((cx, cy, *minute_tip), fill=COLOURS[hands[1]], width=rng.randint(2, 3))
    canvas.draw.ellipse((cx - 4, cy - 4, cx + 4, cy + 4), fill=COLOURS[hands[0]])
    canvas.mark("hour hand", *hour_tip, (hour,))
    canvas.mark("minute hand", *minute_tip, (minute,))


def _time(hour: int, minute: int) -> str:
    return f"{(hour - 1) % 12 + 1}:{minute % 60:02d}"


def figure(rng: Random, level: int) -> Figure:
    """Level 1: quarters and tens, numbers shown; 2 and 3: all fives, often plain ticks."""
    canvas = Canvas(rng)
    hour = rng.randint(1, 12)
    minute = rng.choice((0, 10, 15, 20, 30, 40, 45, 50)) if level == 1 else 5 * rng.randint(0, 11)
    asked = rng.choice(("time", "until", "later"))
    if asked == "until" and minute == 0:
        minute = 10 * rng.randint(2, 5)
    _draw_clock(canvas, hour, minute, numbers=level == 1 or rng.random() < 0.6)

    hour_read = Reading(
        "hour",
        hour,
        ("The hour is {hour}.", "The short hand is at or just past {hour}."),
        "the short hand",
        tuple(sorted({hour % 12 + 1, (hour - 2) % 12 + 1, minute // 5 or 12} - {hour})),
    )
    minute_read = Reading(
        "minute",
        minute,
        ("The minute hand shows {minute}.", "The long hand shows {minute} minutes."),
        "the long hand",
        tuple(sorted({(minute + 5) % 60, (minute - 5) % 60, hour * 5 % 60, (60 - minute) % 60} - {minute})),
    )
    readings = [hour_read, minute_read]
    steps = [read(hour_read), read(minute_read)]
    shown_hour, shown_minute = hour, minute
    if asked == "time":
        questions: tuple[str, ...] = ("What time is it?", "What time does the clock show?")
        steps += [Step("time", "time", ("hour", "minute"), ("The time is {time}.", "So it is {time}."))]
    elif asked == "until":
        questions = ("How many minutes until the next hour?", "How many minutes are left of this hour?")
        left = Step("left", "sub", (60, "minute"), ("60 - {minute} = {left}.",))
        return Figure([canvas], rng.choice(questions), readings, [read(minute_read), left])
    else:
        wait = rng.randint(1, 59 - minute) if minute < 50 else rng.randint(65 - minute, 20)
        questions = (
            f"How many minutes past the hour will it be in {wait} minutes?",
            f"What will the minute hand show in {wait} minutes?",
        )
        steps = [read(minute_read), Step("sum", "add", ("minute", wait), (f"{{minute}} + {wait} = {{sum}}.",))]
        if minute + wait > 60:
            steps += [Step("past", "sub", ("sum", 60), ("{sum} - 60 = {past}.",))]
        return Figure([canvas], rng.choice(questions), readings, steps)
    wrong = {
        _time(shown_hour + 1, shown_minute),
        _time(shown_hour - 1, shown_minute),
        _time(shown_hour, shown_minute + 5),
        _time(shown_hour, shown_minute - 5),
        _time(minute // 5 or 12, hour * 5),  # the hands taken for each other
    }
    return Figure([canvas], rng.choice(questions), readings, steps, wrong=tuple(sorted(wrong)))
