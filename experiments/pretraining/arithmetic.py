"""Exercises in numbers and words alone, whatever the picture: calculations, arithmetic in words, choices, comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from mathse.figures import Drawn, near
from mathse.types import Turn

NAMES = (
    tuple("ABCDEFGHKLMNPQRSTU"),
    ("red", "blue", "green", "orange", "purple", "black"),
    ("the first number", "the second number", "the third number"),
    ("the left", "the right", "the top", "the bottom"),
    ("pen", "cup", "hat", "key", "bag", "toy", "map", "bun", "nut", "pie", "fan", "cap"),
)
# What is asked in words, and the calculation that it means (a is not the smaller one).
WORDS = (
    (
        "{a} + {b}",
        ("What is the sum of {a} and {b}?", "How much are {a} and {b} together?", "What is {a} if {b} is added?"),
    ),
    (
        "{a} - {b}",
        (
            "What is the difference of {a} and {b}?",
            "How much larger is {a} than {b}?",
            "How many more is {a} than {b}?",
            "How much is missing from {b} to {a}?",
            "How far is it from {b} to {a}?",
            "{b} of {a} are gone. How many are left?",
        ),
    ),
    ("{a} * {b}", ("What is {a} times {b}?", "How much are {a} pieces of {b}?", "What is the area of {a} by {b}?")),
)


def calculation(rng: Random) -> tuple[str, int]:
    """A left-hand side and its value, of the kinds that figures need."""
    kind = rng.choice(("add", "add", "add3", "sub", "sub", "mul", "mul", "div", "max"))
    if kind == "add":
        a, b = rng.choice(((100, 20), (60, 60), (20, 20), (12, 12)))
        a, b = rng.randint(0, a), rng.randint(0, b)
        return f"{a} + {b}", a + b
    if kind == "add3":
        a, b, c = (rng.randint(0, 30) for _ in range(3))
        return f"{a} + {b} + {c}", a + b + c
    if kind == "sub":
        a = rng.choice((180, 90, 60, 60, 100, rng.randint(1, 120), rng.randint(1, 30), rng.randint(1, 30)))
        b = rng.randint(0, a)
        return f"{a} - {b}", a - b
    a, b = rng.randint(1, 12), rng.randint(1, 12)
    if kind == "max":
        numbers = [rng.randint(1, 60) for _ in range(rng.choice((2, 3)))]
        return "The largest of " + ", ".join(map(str, numbers)), max(numbers)
    return (f"{a} * {b}", a * b) if kind == "mul" else (f"{a * b} / {b}", a)


def equation(rng: Random, wrong: bool) -> str:
    """A calculation with its value, or with another one."""
    left, value = calculation(rng)
    return stated(left, near(value, rng) if wrong else value)


def stated(left: str, value: int) -> str:
    """The calculation with its value, as a sentence."""
    return f"{left} is {value}." if left.startswith("The") else f"{left} = {value}."


def numbered(sentences: Sequence[str]) -> str:
    """The sentences as steps, a line each."""
    return "\n".join(f"Step {i}: {sentence}" for i, sentence in enumerate(sentences, start=1))


def lined_up(ask: str, sentences: Sequence[str], rng: Random) -> tuple[str, str]:
    """An exercise whose sentences are to stand one after the other, or numbered on lines of their own."""
    return (f"{ask} Number the steps.", numbered(sentences)) if rng.random() < 0.5 else (ask, " ".join(sentences))


def calculate(drawn: Drawn, rng: Random) -> tuple[str, str]:
    """Three calculations."""
    sums = [calculation(rng) for _ in range(3)]
    ask = f"Calculate {', '.join(left for left, _ in sums)}."
    return lined_up(ask, [stated(left, value) for left, value in sums], rng)


def in_words(drawn: Drawn, rng: Random) -> tuple[str, str]:
    """Arithmetic in words, on numbers or on names that stand for numbers. Nothing is said of pictures."""
    names = rng.sample(rng.choice(NAMES), rng.choice((2, 2, 3)))
    largest = rng.choice((12, 30, 90))
    values = {name: rng.randint(1, largest) for name in names}
    named = rng.random() < 0.7
    asks, replies = [], []
    for _ in range(rng.choice((1, 2))):
        left, wordings = rng.choice(WORDS if largest == 12 else WORDS[:2])
        x, y = sorted(rng.sample(names, 2), key=lambda name: -values[name])
        if "-" not in left and rng.random() < 0.5:
            x, y = y, x
        a, b = values[x], values[y]
        asks.append(rng.choice(wordings).format(a=x if named else a, b=y if named else b))
        result = {"+": a + b, "-": a - b, "*": a * b}[left[4]]
        replies.append(f"{left.format(a=a, b=b)} = {result}.")
    given = " ".join(f"{name} is {value}." for name, value in values.items()) if named else ""
    return lined_up(f"{given} {' '.join(asks)}".strip(), replies, rng)


def choose(drawn: Drawn, rng: Random) -> tuple[str, str]:
    """The letter that stands before a number."""
    choices = rng.sample(range(1, 100), rng.choice((3, 4, 4)))
    place = rng.randrange(len(choices))
    listed = " ".join(f"({letter}) {choice}" for letter, choice in zip("ABCD", choices, strict=False))
    says = rng.choice(("{number} is choice {letter}.", "Choice {letter} says {number}."))
    return f"Which choice is {choices[place]}? Choices: {listed}", says.format(
        number=choices[place], letter="ABCD"[place]
    )


def comparison(rng: Random) -> tuple[Turn, ...]:
    """Text alone: whether two answers are the same, next to each other or lines apart. Half of them are."""
    if rng.random() < 0.25:
        pairs = [_pair(rng) for _ in range(3)]
        asked = ", ".join(f"{a} and {b}" for a, b in pairs)
        return Turn("user", f"Are they the same? {asked}"), Turn("assistant", " ".join(_same(*pair) for pair in pairs))
    a, b = _pair(rng)
    sums = [equation(rng, wrong=rng.random() < 0.5) for _ in range(rng.randint(1, 5))]
    ask = f"{numbered(sums)}\nThe answer to this problem is {a}.\nReference answer: {b}\nAre they the same?"
    return Turn("user", ask), Turn("assistant", _same(a, b))


def _pair(rng: Random) -> tuple[str, str]:
    same = rng.random() < 0.5
    if rng.random() < 0.2:
        a, b = rng.sample("ABCD", 2)
        return a, a if same else b
    number = rng.randint(0, rng.choice((20, 60, 180)))
    other = near(number, rng) if rng.random() < 0.5 else rng.choice([n for n in range(100) if n != number])
    return str(number), str(number if same else other)


def _same(a: str, b: str) -> str:
    return "The same." if a == b else "Different."
