"""What the base is taught: a lesson is a picture and two exercises, on what it shows or on numbers and words alone."""

from __future__ import annotations

from random import Random

from mathse.feedback.asking import JUDGE
from mathse.figures import Drawn, misread, near
from mathse.figures.program import Reading, Value
from mathse.steps.generate import SOLVE
from mathse.types import Turn
from pretraining.arithmetic import calculate, calculation, choose, equation, in_words, lined_up, numbered, stated
from pretraining.views import Views, transcription


def lesson(drawn: Drawn, views: Views, rng: Random, progress: float) -> tuple[Turn, ...]:
    """One picture and two short exercises on it, as the turns of a chat; `progress` goes from 0 to 1 during training."""
    early = progress < 0.15
    makers = [describe, read, check, calculate, in_steps, chain, in_words, choose, repeat]
    late = 0.0 if early else 1.0
    weights = [1.5, 4.0, 0.5 + 2 * progress, 1.0, 3.0 * late, 1.5 * late, 3.0 * late, late, 1.5 * late]
    exercises = [rng.choices(makers, weights)[0](drawn, rng)]
    if early or rng.random() < 0.9 - progress:
        # First in the beginning: the text stands at the same distance from the picture each time, which is easier to learn.
        exercises.insert(0 if early or rng.random() < 0.5 else 1, ("Transcribe the picture.", transcription(views)))
    else:
        exercises.append(rng.choices(makers, weights)[0](drawn, rng))
    turns: list[Turn] = []
    for i, (ask, reply) in enumerate(exercises):
        turns += [Turn("user", ask, tuple(drawn.pictures) if i == 0 else ()), Turn("assistant", reply)]
    return tuple(turns)


def _say(reading: Reading, rng: Random, value: Value | None = None) -> str:
    return rng.choice(reading.says).format(**{reading.name: reading.value if value is None else value})


def _some(drawn: Drawn, rng: Random) -> list[Reading]:
    return rng.sample(drawn.program.readings, min(len(drawn.program.readings), rng.choice((1, 2, 2, 3))))


def describe(drawn: Drawn, rng: Random) -> tuple[str, str]:
    """All that can be read."""
    return "Describe the picture.", " ".join(_say(reading, rng) for reading in drawn.program.readings)


def read(drawn: Drawn, rng: Random) -> tuple[str, str]:
    """Up to three values, asked for by name."""
    chosen = _some(drawn, rng)
    ask = "Read " + " and ".join(reading.where for reading in chosen) + "."
    return lined_up(ask, [_say(reading, rng) for reading in chosen], rng)


def in_steps(drawn: Drawn, rng: Random) -> tuple[str, str]:
    """Readings and calculations, one a line. The numbers to calculate with are random: nothing is concluded from the picture."""
    chosen, sums = _some(drawn, rng), [calculation(rng) for _ in range(rng.choice((1, 1, 2)))]
    asks = [f"read {reading.where}" for reading in chosen] + [f"calculate {left}" for left, _ in sums]
    sentences = [_say(reading, rng) for reading in chosen] + [stated(left, value) for left, value in sums]
    return f"In steps, {', '.join(asks)}.", numbered(sentences)


def check(drawn: Drawn, rng: Random) -> tuple[str, str]:
    """Statements, right or wrong; of each the value that it should say, so that right and wrong are told from two numbers in the text."""
    sentences, verdicts = [], []
    for _ in range(rng.randint(2, 4)):
        wrong = rng.random() < 0.4
        if rng.random() < 0.65:
            reading = rng.choice(drawn.program.readings)
            sentences.append(_say(reading, rng, misread(reading, rng) if wrong else None))
            value = reading.value
        else:
            left, value = calculation(rng)
            sentences.append(stated(left, near(value, rng) if wrong else value))
        verdicts.append(f"{value}, {'wrong' if wrong else 'right'}.")
    return f"Which of these are wrong?\n{numbered(sentences)}", numbered(verdicts)


def chain(drawn: Drawn, rng: Random) -> tuple[str, str]:
    """Given values and told what to do with them, one calculation after the other, each on what came out of the last."""
    readings = rng.sample(drawn.program.readings, min(len(drawn.program.readings), rng.choice((2, 2, 3))))
    largest = rng.choice((12, 30, 90))
    values = [rng.randint(1, largest) for _ in readings]
    said = " ".join(_say(reading, rng, value) for reading, value in zip(readings, values, strict=True))
    orders, equations, value = ["Take it."], [], values[0]
    if len(values) > 1:
        low, high = sorted(values[:2])
        a, b = values[:2]
        order, equation, value = rng.choice(
            [
                ("Add the first two.", f"{a} + {b} = {a + b}.", a + b),
                ("Take the smaller of the first two from the larger.", f"{high} - {low} = {high - low}.", high - low),
                ("Multiply the first two.", f"{a} * {b} = {a * b}.", a * b),
            ][: 3 if largest == 12 else 2]
        )
        orders, equations = [order], [equation]
        if len(values) == 3 and rng.random() < 0.7:
            orders.append("Add the third.")
            equations.append(f"{value} + {values[2]} = {value + values[2]}.")
            value += values[2]
    for _ in range(rng.choice((1, 1, 2)) if len(values) == 1 else rng.choice((0, 1, 1))):
        order, equation, value = rng.choice(_follow_ups(value, rng))
        orders.append(order)
        equations.append(equation)
    return lined_up(f"{said} {' '.join(orders)}", equations, rng)


def _follow_ups(value: int, rng: Random) -> list[tuple[str, str, int]]:
    """What can be done with `value` next: the order, the equation, and what comes out."""
    n, top = rng.randint(1, 30), rng.choice((60, 90, 180))
    ways = [
        ("Double it.", f"2 * {value} = {2 * value}.", 2 * value),
        (f"Add {n}.", f"{value} + {n} = {value + n}.", value + n),
    ]
    if value <= top:
        ways += [(f"Take it from {top}.", f"{top} - {value} = {top - value}.", top - value)] * 2
    if value > n:
        ways.append((f"Take {n} from it.", f"{value} - {n} = {value - n}.", value - n))
    if value <= 12:
        times = n % 11 + 2
        ways.append((f"Multiply it by {times}.", f"{times} * {value} = {times * value}.", times * value))
    return ways


def repeat(drawn: Drawn, rng: Random) -> tuple[str, str]:
    """Copying makes the words of questions, prompts and verdicts known: LoRA cannot teach a frozen embedding that no training touched."""
    where = rng.choice(drawn.program.readings).where
    number, letter, step = rng.randint(0, 120), rng.choice("ABCD"), rng.randint(1, 7)
    phrase = rng.choice(
        (
            drawn.program.question,
            drawn.program.question,
            f"The answer to this problem is {rng.choice((number, number, letter))}.",
            f"{number} is choice {letter}. Choice {letter} says {number}.",
            SOLVE.split("\n")[0],
            JUDGE.split("\n")[0],
            '{"status": "CORRECT", "error_step": null, "error_analysis": null}',
            f'{{"status": "WRONG", "error_step": "Step {step}", "error_analysis": "Look at {where} again."}}',
            f"Step {step}: {equation(rng, wrong=False)}",
            f"The calculation is wrong: {number} + {step}. The reading is wrong. A step is missing after this one.",
            "This is not the calculation that is needed. The conclusion is wrong. This step does not read what is needed.",
        )
    )
    return f"Repeat: {phrase}", phrase
