"""What a figure's program knows: the readings its picture shows, and the steps that lead from them to the answer.

A program is plain data (JSON in and out). It travels inside the picture's PNG text chunk, as drawing programs keep their
source in what they export: the offline teacher reads it there, models only ever see pixels.

    Reading("width", 7, ("The width is {width}.",), "the label under the rectangle")
    Step("area", "mul", ("width", "height"), ("{width} * {height} = {area}.",))
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Value = int | str

LETTERS = "ABCDEFGH"


def _divide(a: int, b: int) -> int:
    if a % b:
        raise ValueError(f"{a} / {b} is not a whole number")
    return a // b


def _choice(value: Value, *choices: Value) -> str:
    """The letter of the choice that holds `value`, or of the nearest one: what a solver picks who got something else."""
    texts = [str(choice) for choice in choices]
    if str(value) in texts:
        return LETTERS[texts.index(str(value))]
    try:
        distances = [abs(float(text) - float(value)) for text in texts]
        return LETTERS[distances.index(min(distances))]
    except ValueError:
        return LETTERS[0]


def _look_up(arg: Value, known: Mapping[str, Value]) -> Value:
    """The value an argument stands for: a number or a quoted string ("'B") is itself, a name what that step found."""
    if isinstance(arg, int):
        return arg
    return arg[1:] if arg.startswith("'") else known[arg]


OPS: dict[str, Callable[..., Value]] = {
    "add": lambda *terms: sum(terms),
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: _divide(a, b),
    "max": lambda *values: max(values),
    "min": lambda *values: min(values),
    "diff": lambda a, b: abs(a - b),
    "over": lambda a, b: f"{a}/{b}",
    "time": lambda hour, minute: f"{hour}:{minute:02d}",
    "same": lambda value: value,
    # the label (args: label, value, label, value, …) that carries the largest / smallest value
    "label_of_max": lambda *pairs: max(zip(pairs[1::2], pairs[::2], strict=True), key=lambda p: p[0])[1],
    "label_of_min": lambda *pairs: min(zip(pairs[1::2], pairs[::2], strict=True), key=lambda p: p[0])[1],
    "choice": _choice,
}


@dataclass(frozen=True)
class Reading:
    """One thing the picture shows: its value, sentences that say it, where to look, and what it is mistaken for."""

    name: str
    value: Value
    says: tuple[str, ...]
    where: str
    others: tuple[Value, ...] = ()


@dataclass(frozen=True)
class Step:
    """One line of the solution: `op` applied to `args` (names of earlier values, numbers, or "'quoted") gives the value `name`."""

    name: str
    op: str
    args: tuple[Value, ...]
    says: tuple[str, ...]


def read(reading: Reading) -> Step:
    """The step that reads `reading` off the picture."""
    return Step(reading.name, "read", (reading.name,), reading.says)


@dataclass(frozen=True)
class Program:
    """A problem's program: `answer` is the value of the last step."""

    family: str
    level: int
    question: str
    readings: tuple[Reading, ...]
    steps: tuple[Step, ...]
    choices: tuple[str, ...] = ()

    @property
    def answer(self) -> str:
        return str(self.values()[-1])

    def shown(self) -> dict[str, Value]:
        """What the picture shows, by name."""
        return {reading.name: reading.value for reading in self.readings}

    def values(self, forced: Mapping[int, Value] | None = None) -> list[Value]:
        """The value of each step; `forced` replaces the value of some (by index), and what follows builds on it."""
        shown = self.shown()
        known: dict[str, Value] = {}
        result: list[Value] = []
        for index, step in enumerate(self.steps):
            if forced and index in forced:
                value = forced[index]
            elif step.op == "read":
                value = shown[str(step.args[0])]
            else:
                value = OPS[step.op](*(_look_up(arg, known) for arg in step.args))
            known[step.name] = value
            result.append(value)
        return result

    def sentences(self, values: Sequence[Value], pick: Callable[[Sequence[str]], str]) -> list[str]:
        """One sentence per step, the wording chosen by `pick`, with `values` filled in."""
        names = {step.name: value for step, value in zip(self.steps, values, strict=True)}
        return [pick(step.says).format(**names) for step in self.steps]

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False, sort_keys=True)

    @staticmethod
    def from_json(text: str) -> Program:
        data = json.loads(text)
        readings = tuple(
            Reading(r["name"], r["value"], tuple(r["says"]), r["where"], tuple(r["others"])) for r in data["readings"]
        )
        steps = tuple(Step(s["name"], s["op"], tuple(s["args"]), tuple(s["says"])) for s in data["steps"])
        return Program(data["family"], data["level"], data["question"], readings, steps, tuple(data["choices"]))
