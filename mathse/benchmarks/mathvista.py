"""MathVista testmini (AI4Math/MathVista, 1000 problems; rule: github.com/lupantech/MathVista, 53d5258).

[photo of a kitchen scale]  what is the total volume of the measuring cup? (Unit: g)  -> 1000
An answer is extracted (by the authors with GPT-4; here by `extract` where no extraction is stored), then normalised: a letter
becomes its choice, other words the choice nearest by edit distance; numbers become integers or rounded decimals. Then strings
are compared. `integer` is the rule for whole numbers: "10.0" is none in 2023 (the published scores), and 10 "today".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import ClassVar, Literal

from mathse.answers import extract
from mathse.answers.numbers import number
from mathse.answers.options import LETTERS
from mathse.answers.programs import printed
from mathse.answers.writing import plain
from mathse.benchmarks.scoring import Outcome, Response, Rule, Scorable, lenient, outcome, strict
from mathse.benchmarks.stored import Stored
from mathse.data.files import Row
from mathse.settings import settings
from mathse.types import Problem

Whole = Literal[2023, "today"]
PARTS = ("question_type", "answer_type", "language", "source", "category", "task", "context", "grade", "skills")
LEADERBOARD = {
    "figure question answering": "FQA",
    "geometry problem solving": "GPS",
    "math word problem": "MWP",
    "textbook question answering": "TQA",
    "visual question answering": "VQA",
    "algebraic reasoning": "ALG",
    "arithmetic reasoning": "ARI",
    "geometry reasoning": "GEO",
    "logical reasoning": "LOG",
    "numeric commonsense": "NUM",
    "scientific reasoning": "SCI",
    "statistical reasoning": "STA",
}


@settings
class MathVistaProblems(Stored):
    """The rows of testmini; `prompt`: the question as the authors put it (their `query` field) or as we do."""

    prompt: Literal["ours", "authors"]

    def problem(self, row: Row) -> Problem:
        choices = tuple(row["choices"] or ())
        question = row["question"] + (f" (Unit: {row['unit']})" if row["unit"] else "")
        question += "".join(f"\n({name}) {choice}" for name, choice in zip(LETTERS, choices, strict=False))
        facts = {key: row[key] for key in ("answer", "question_type", "answer_type", "precision")} | row["metadata"]
        if facts["grade"] == "not applicable":  # the published tables' name for it
            facts["grade"] = "daily life"
        return Problem(
            str(row["pid"]),
            row["query"] if self.prompt == "authors" else question,
            (row["image"],),
            LETTERS[choices.index(row["answer"])] if choices else row["answer"],
            choices,
            source=facts["source"],
            facts=facts,
        )


@settings
class MathVista(Scorable):
    """`integer`: the authors' rule for whole numbers, of 2023 or of today."""

    ID: ClassVar = ("pid", "id")
    EXTRACTION: ClassVar = "extraction"

    name: str
    data: MathVistaProblems
    integer: Whole

    def rules(self) -> dict[str, Rule]:
        other: Whole = "today" if self.integer == 2023 else 2023
        return {
            f"authors-{self.integer}": partial(authors, integer=self.integer),
            f"authors-{other}": partial(authors, integer=other),
            "strict": strict,
            "lenient": lenient,
        }

    def parts(self, problem: Problem) -> dict[str, Sequence[str]]:
        named = {part: problem.facts[part] for part in PARTS}
        groups = {part: [value] if isinstance(value, str) else value for part, value in named.items()}
        short = [LEADERBOARD[name] for name in (*groups["task"], *groups["skills"]) if name in LEADERBOARD]
        return {**groups, "leaderboard": ["ALL", *short]}


def authors(problem: Problem, response: Response, *, integer: Whole) -> Outcome:
    """The authors' rule, on the stored extraction or, where the file stores none at all, on ours."""
    extraction = own_extraction(problem, response.text) if response.own else response.stored
    if extraction is None:
        return Outcome("wrong")
    answer = normalised(problem, extraction, integer)
    return outcome(answer == problem.facts["answer"], answer)


def own_extraction(problem: Problem, text: str) -> str:
    """Our extraction, in the form that the authors' normalisation takes: a letter, a number without its unit, or text.

    Of a program it is what that prints, as the authors have it, who run programs.
    """
    said = printed(text)
    answer = (extract(text, problem) or "") if said is None else said
    if problem.choices:
        return answer
    found = number(plain(answer))
    return str(float(found[0])).removesuffix(".0") if found else answer


def normalised(problem: Problem, extraction: str, integer: Whole) -> str | None:
    """The extraction in the form of the problem's reference answer, or None if it has not got that form."""
    if problem.choices:
        return nearest(extraction.strip(), problem.choices)
    try:
        match problem.facts["answer_type"]:
            case "integer":
                return str(int(extraction) if integer == 2023 else int(float(extraction)))
            case "float":
                decimals = problem.facts["precision"]
                return str(round(float(extraction), None if decimals is None else int(decimals)))
    except (ValueError, OverflowError):
        return None
    return extraction


def nearest(extraction: str, choices: Sequence[str]) -> str:
    """The choice that an extraction names by letter, or else the first of those nearest to it by edit distance."""
    bracketed = re.search(r"\(([a-zA-Z])\)", extraction)
    name = bracketed[1].upper() if bracketed else extraction
    if len(name) == 1 and name in LETTERS[: len(choices)]:
        return choices[LETTERS.index(name)]
    return min(choices, key=lambda choice: distance(name, choice))


def distance(a: str, b: str) -> int:
    """Levenshtein's edit distance, a column a step in the bits of whole numbers (Myers 1999, Hyyrö 2003)."""
    if len(a) > len(b):
        a, b = b, a  # the shorter one is kept in bits: the other may be a megabyte
    if not a:
        return len(b)
    places: dict[str, int] = {}
    for place, sign in enumerate(a):
        places[sign] = places.get(sign, 0) | 1 << place
    every, last = (1 << len(a)) - 1, 1 << (len(a) - 1)
    up, down, result = every, 0, len(a)
    for sign in b:
        same = places.get(sign, 0)
        diagonal = (((same & up) + up) ^ up) | same | down
        right_up, right_down = down | ~(diagonal | up) & every, up & diagonal
        result += bool(right_up & last) - bool(right_down & last)
        right_up, right_down = (right_up << 1 | 1) & every, (right_down << 1) & every
        vertical = same | down
        up, down = right_down | ~(vertical | right_up) & every, right_up & vertical
    return result
