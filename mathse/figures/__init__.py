"""Problems made by programs: picture, question, and a solution whose every step follows from what the picture shows.

Deterministic from a seed and the same on each machine. A problem belongs to train or test by a hash of what its picture
shows, so the two never share a picture, nor a (numbers, question) pair, whatever the seeds.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import json
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from PIL import Image

from mathse.figures import families
from mathse.figures.canvas import Canvas
from mathse.figures.figure import Figure
from mathse.figures.program import LETTERS, Program, Reading, Step, Value

__all__ = ["Drawn", "draw", "family_names", "misread", "split_of", "stream"]

PROGRAM_CHUNK = "mathse-program"
TEST_SHARE = 5  # one in five sets of numbers is a test set
LEVELS = (1, 2, 3)


@dataclass(frozen=True)
class Drawn:
    """A finished problem: its program, its pictures, and the marks in them."""

    program: Program
    canvases: tuple[Canvas, ...]

    @property
    def pictures(self) -> list[Image.Image]:
        return [canvas.image for canvas in self.canvases]

    @property
    def id(self) -> str:
        """A hash of what a solver sees: pixels and question."""
        digest = hashlib.sha256(self.program.question.encode())
        for picture in self.pictures:
            digest.update(repr(picture.size).encode() + picture.tobytes())
        return digest.hexdigest()[:16]


@functools.cache
def _families() -> dict[str, Callable[[Random, int], Figure]]:
    names = sorted(module.name for module in pkgutil.iter_modules(families.__path__))
    return {name: importlib.import_module(f"{families.__name__}.{name}").figure for name in names}


def family_names() -> list[str]:
    """The names of all families, in order."""
    return list(_families())


def split_of(family: str, readings: list[Reading] | tuple[Reading, ...]) -> str:
    """`test` for one in five sets of numbers, `train` for the rest: a fixed property of what the picture shows."""
    shown = json.dumps([family, sorted((str(r.name), str(r.value)) for r in readings)])
    return "test" if hashlib.sha256(shown.encode()).digest()[0] % TEST_SHARE == 0 else "train"


def misread(reading: Reading, rng: Random) -> Value:
    """A plausible wrong value for `reading`: a neighbour, a slipped digit, or one of its `others`."""
    if reading.others:
        return rng.choice([other for other in reading.others if other != reading.value])
    assert isinstance(reading.value, int), f"reading {reading.name!r} is text and needs `others`"
    return near(reading.value, rng)


def near(value: int, rng: Random) -> int:
    """A number that `value` is easily mistaken for."""
    guesses = {value - 2, value - 1, value + 1, value + 2, value + 10, value - 10, int(str(abs(value))[::-1])}
    return rng.choice(sorted(guess for guess in guesses if guess > 0 and guess != value) or [value + 1])


def _with_choices(figure: Figure, values: list[Value], rng: Random) -> tuple[str, tuple[str, ...], list[Step]]:
    """The multiple-choice form: question with lettered choices, the choices, and the steps with the choice made."""
    answer = values[-1]
    if figure.wrong:
        wrong = [text for text in figure.wrong if text != str(answer)]
    else:
        assert isinstance(answer, int), f"the text answer {answer!r} needs `wrong` choices"
        wrong = []
        while len(wrong) < 3:
            guess = str(near(answer, rng))
            if guess not in wrong:
                wrong.append(guess)
    choices = [*rng.sample(wrong, min(3, len(wrong))), str(answer)]
    rng.shuffle(choices)
    listed = " ".join(f"({LETTERS[i]}) {choice}" for i, choice in enumerate(choices))
    last = figure.steps[-1].name
    step = Step(
        "choice",
        "choice",
        (last, *("'" + choice for choice in choices)),
        (f"{{{last}}} is choice {{choice}}.", f"Choice {{choice}} says {{{last}}}."),
    )
    return f"{figure.question} Choices: {listed}", tuple(choices), [*figure.steps, step]


def draw(family: str, rng: Random, level: int | None = None) -> Drawn:
    """One problem of `family`, a third of them in multiple-choice form."""
    level = level or rng.choice(LEVELS)
    figure = _families()[family](rng, level)
    program = Program(family, level, figure.question, tuple(figure.readings), tuple(figure.steps))
    if rng.random() < 1 / 3:
        question, choices, steps = _with_choices(figure, program.values(), rng)
        program = Program(family, level, question, tuple(figure.readings), tuple(steps), choices)
    return Drawn(program, tuple(figure.pictures))


def stream(seed: int, split: str, names: list[str] | None = None) -> Iterator[Drawn]:
    """Problems of one split without end, families in turn, no problem twice."""
    names = names or family_names()
    seen: set[str] = set()
    turn = 0
    while True:
        family = names[turn % len(names)]
        rng = Random(f"{seed}/{family}/{turn}")
        turn += 1
        drawn = draw(family, rng)
        if split_of(family, drawn.program.readings) == split and drawn.id not in seen:
            seen.add(drawn.id)
            yield drawn
