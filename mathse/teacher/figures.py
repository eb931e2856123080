"""The offline teacher (`teacher=figures`): it sees a picture's program, as a strong model sees the picture, and answers in text.

It stands in for GPT-4o behind the same protocol: chats with pictures in, texts out, mistakes included. It reads the program from the
picture's PNG text chunk, tells from the prompt what is asked (solve, annotate, reflect), and draws its wording and its slips from a hash
of the call, so that the same call gives the same answer on every machine. The reference answer reaches it only where a prompt says it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from PIL import Image

from mathse.answers import equal, extract
from mathse.figures import PROGRAM_CHUNK, misread, near
from mathse.figures.program import LETTERS, Program, Step, Value
from mathse.settings import Share, settings
from mathse.types import Chat, Solution, steps_of

VALUE = r"[\w:/-]{1,20}?"  # what may stand in a wording's place for a value; bounded, for a student may ramble
SENTINEL = "The answer to this problem is {}."
UNCOMPUTABLE = (ValueError, TypeError, ArithmeticError)  # what an op raises where it has no value
COMMUTES = {"add", "mul", "diff", "max", "min"}


@settings
class FiguresTeacher:
    """`slip_rate`: share of solutions with a slip in one step; `find_rate`: how often it finds a wrong step that nobody names."""

    slip_rate: Share
    find_rate: Share
    seed: int

    def __call__(self, chats: Sequence[Chat], *, schema: dict[str, Any] | None = None, index: int = 0) -> list[str]:
        """See `Teacher`. Raises ValueError for a problem that no program of ours drew."""
        return [self._answer(chat, schema is not None, index) for chat in chats]

    def _answer(self, chat: Chat, annotate_it: bool, index: int) -> str:
        turn = chat[-1]
        program = program_of(turn.images[0] if turn.images else None)
        call = f"{self.seed}/{index}/{annotate_it}/{turn.text}/{program.to_json()}"
        rng = Random(hashlib.sha256(call.encode()).hexdigest())
        if annotate_it:
            return json.dumps(annotate(program, _tag(turn.text, "solution"), _tag(turn.text, "reference")))
        if "<error_step>" in turn.text:
            step, hinted = _tag(turn.text, "error_step"), "correct answer is" in _tag(turn.text, "error_analysis")
            return self._reflect(program, _tag(turn.text, "solution"), step, hinted, rng)
        return self._write(program, {}, 0, rng)

    def _reflect(self, program: Program, solution: str, error_step: str, hinted: bool, rng: Random) -> str:
        """Keep what stands before the wrong step, as the student wrote it, and redo the rest. Who knows the answer finds the step."""
        said = steps_of(solution)
        number = re.search(r"\d+", error_step)
        if number:
            wrong = int(number[0]) - 1
        elif hinted or rng.random() < self.find_rate:
            mistake = first_mistake(program, said)
            wrong = mistake.step if mistake else len(program.steps) - 1
        else:
            wrong = rng.randrange(len(program.steps))
        kept: dict[int, Value] = {}
        for i in range(min(max(wrong, 0), len(program.steps) - 1, len(said))):
            claimed = claimed_value(program, i, said[i])
            if claimed is None:
                break
            kept[i] = claimed
        return self._write(program, kept, len(kept), rng)

    def _write(self, program: Program, kept: dict[int, Value], start: int, rng: Random) -> str:
        """The solution with the `kept` values at its beginning, honest from step `start` on but for an occasional slip."""
        try:
            program.values(kept)
        except UNCOMPUTABLE:  # values that were kept do not divide, say: the teacher starts again
            kept, start = {}, 0
        slipped = slip(program, kept, start, rng) if rng.random() < self.slip_rate else {}
        values = program.values({**kept, **slipped})
        lines = [f"Step {i}: {sentence}" for i, sentence in enumerate(program.sentences(values, rng.choice), start=1)]
        return "\n".join([*lines, SENTINEL.format(values[-1])])


def program_of(picture: Any) -> Program:
    """The program in the picture's text chunk. Raises ValueError where there is none."""
    if isinstance(picture, str):
        with Image.open(Path(picture)) as opened:
            text = opened.info.get(PROGRAM_CHUNK)
        if text:
            return Program.from_json(text)
    raise ValueError("teacher=figures knows only the problems of data=figures; for other problems take teacher=openai")


def slip(program: Program, kept: dict[int, Value], start: int, rng: Random) -> dict[int, Value]:
    """One wrong value in a step from `start` on, whose consequences can be computed; empty where none can."""
    steps = [i for i in range(start, len(program.steps)) if program.steps[i].op != "choice"]
    rng.shuffle(steps)
    honest = program.values(kept)
    readings = {reading.name: reading for reading in program.readings}
    for i in steps:
        step, value = program.steps[i], honest[i]
        if step.op == "read":
            wrong = misread(readings[step.name], rng)
        elif isinstance(value, int):
            wrong = near(value, rng)
        else:
            continue
        try:
            program.values({**kept, i: wrong})
        except UNCOMPUTABLE:
            continue
        return {i: wrong}
    return {}


# ---- finding mistakes ----


@dataclass(frozen=True)
class Mistake:
    """The first wrong step (from 0) of a solution, and what is wrong with it."""

    step: int
    analysis: str


def annotate(program: Program, solution: str, reference: str) -> dict[str, str | None]:
    """The verdict on a solution in the paper's three fields. The analysis never says the final answer."""
    said = steps_of(solution)
    mistake = first_mistake(program, said)
    answer = extract(solution, program, only_stated=True)
    if mistake is None and answer is not None and equal(reference, answer, program):
        return {"status": "CORRECT", "error_step": None, "error_analysis": None}
    if mistake is None:
        mistake = Mistake(max(0, len(said) - 1), "The final answer does not follow from the last step.")
    analysis = mistake.analysis
    secrets = {reference, program.answer}
    if program.choices:  # the letter's value gives the answer away as well
        secrets.add(program.choices[LETTERS.index(program.answer)])
    if any(re.search(rf"(?<!\w){re.escape(secret)}(?!\w)", analysis) for secret in secrets if secret):
        analysis = "This step is wrong."
    return {"status": "WRONG", "error_step": f"Step {mistake.step + 1}", "error_analysis": analysis}


def first_wrong_step(solution: Solution) -> int | None:
    """The first wrong step by the problem's own program: counted from 1, 0 where none is wrong, None where no program drew it."""
    problem = solution.problem
    try:
        program = program_of(problem.images[0] if problem.images else None)
    except (ValueError, OSError):
        return None
    step = annotate(program, solution.text, problem.answer)["error_step"]
    return int(step.removeprefix("Step ")) if step else 0


def first_mistake(program: Program, said: Sequence[str]) -> Mistake | None:
    """The first step that does not hold against the program, or None where all do."""
    truth = program.values()
    readings = {reading.name: reading for reading in program.readings}
    for i, (step, value) in enumerate(zip(program.steps, truth, strict=True)):
        if i >= len(said):
            return Mistake(max(0, len(said) - 1), "A step is missing after this one.")
        sentence = said[i]
        if step.op == "read":
            if not _says(step, sentence):
                return Mistake(i, f"This step does not read what is needed. Look at {readings[step.name].where}.")
            if claimed_value(program, i, sentence) != value:
                return Mistake(i, f"The reading is wrong. Look at {readings[step.name].where} again.")
        elif not _says(step, sentence):
            return Mistake(i, "This is not the calculation that is needed.")
        elif not _holds(program, i, sentence, truth):
            return Mistake(
                i,
                f"The calculation is wrong: {_left_side(sentence)}." if "=" in sentence else "The conclusion is wrong.",
            )
    return Mistake(len(program.steps), "This step is not needed.") if len(said) > len(program.steps) else None


def _pattern(template: str) -> str:
    """A wording as a regular expression, its values as named groups."""
    parts = re.split(r"\{(\w+)\}", template)
    seen: set[str] = set()
    pattern = ""
    for i, part in enumerate(parts):
        if i % 2 == 0:
            pattern += re.escape(part).replace(r"\ ", r"\s+")
        else:
            pattern += rf"(?:{VALUE})" if part in seen else rf"(?P<{part}>{VALUE})"
            seen.add(part)
    return pattern


def _matches(step: Step, sentence: str) -> list[re.Match[str]]:
    """All ways to read the sentence as this step, with the terms of a sum or product in either order."""
    swapped = re.sub(r"(?<!\S)(\S{1,20})(\s+[*+]\s+)(\S{1,20})(?=\s+=)", r"\3\2\1", sentence)
    tries = (
        re.fullmatch(_pattern(says), writing.strip(), re.IGNORECASE)
        for writing in (sentence, swapped)
        for says in step.says
    )
    return [match for match in tries if match]


def _says(step: Step, sentence: str) -> bool:
    """Whether the sentence is about this step: one of its wordings, with whatever values."""
    return bool(_matches(step, sentence))


def claimed_value(program: Program, index: int, sentence: str) -> Value | None:
    """The value that a sentence claims for a step of the program, or None where it cannot be read."""
    step = program.steps[index]
    matches = _matches(step, sentence)
    if not matches or step.name not in matches[0].groupdict():
        return None
    text = matches[0][step.name]
    if isinstance(program.values()[index], int):
        return int(text) if re.fullmatch(r"-?\d{1,9}", text) else None
    return text


def _holds(program: Program, index: int, sentence: str, truth: Sequence[Value]) -> bool:
    """Whether the values in a computing step's sentence are the true ones."""
    step = program.steps[index]
    values = {step.name: str(value) for step, value in zip(program.steps, truth, strict=True)}

    def fits(said: dict[str, str]) -> bool:
        true = {name: values.get(name, "") for name in said}
        if step.op not in COMMUTES:
            return said == true
        return said.get(step.name) == true.get(step.name) and sorted(said.values()) == sorted(true.values())

    return any(fits(match.groupdict()) for match in _matches(step, sentence))


def _left_side(sentence: str) -> str:
    return sentence.split("=")[0].strip()


def _tag(text: str, name: str) -> str:
    """What stands between <name> and </name>; empty where there is no such tag."""
    match = re.search(rf"<{name}>\s*(.*?)\s*</{name}>", text, re.DOTALL)
    return match[1] if match else ""
