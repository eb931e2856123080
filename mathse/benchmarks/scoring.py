"""Scoring of stored responses: what a rule makes of a response, and what comes of all of them.

A rule takes a problem and a response and gives an Outcome. Each benchmark has its authors' rule (the first), and all have:

    strict      the answer is stated in a form that one asks for, and is the reference, a number equal to it or its letter
    lenient     the answer may stand anywhere, equality takes algebra, and decimals count as far as the reference gives them
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from mathse.answers import compare, extract
from mathse.answers.exact import decide
from mathse.answers.formulas import is_formula
from mathse.answers.numbers import number
from mathse.answers.options import letter
from mathse.answers.values import value
from mathse.answers.writing import plain
from mathse.benchmarks.stored import Stored
from mathse.data.files import Row
from mathse.teacher import Teacher
from mathse.types import Problem, read_jsonl

if TYPE_CHECKING:
    from mathse.benchmarks.tables import Report

Status = Literal["correct", "wrong", "undecided", "missing"]


@dataclass(frozen=True)
class Response:
    """What a model wrote about a problem; `stored` is the answer that somebody else extracted from it, if one is kept.

    `own`: its file keeps no extractions, so that a rule that needs one makes it.
    """

    id: str
    text: str
    stored: str | None = None
    own: bool = True
    row: Row = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Outcome:
    """What a rule says of a response: the answer that it took, and whether that is right. Undecided is not wrong."""

    status: Status
    answer: str | None = None
    by: Literal["rule", "judge"] = "rule"


Rule = Callable[[Problem, Response], Outcome]
MISSING = Outcome("missing")


def outcome(right: bool | None, answer: str | None) -> Outcome:
    """An outcome; `right` None is undecided."""
    return Outcome("undecided" if right is None else "correct" if right else "wrong", answer)


def strict(problem: Problem, response: Response) -> Outcome:
    """The stated answer, equal without algebra."""
    answer = extract(response.text, problem, only_stated=True)
    if answer is None:
        return Outcome("wrong")
    same = answer == problem.answer if problem.choices else decide(problem.answer, answer) is True
    return outcome(same, answer)


def lenient(problem: Problem, response: Response) -> Outcome:
    """The answer wherever it stands, equal by algebra or to the decimals of the reference.

    Undecided is what outlives the limits of algebra, and words that are not the reference's: a judge may know them.
    """
    answer = extract(response.text, problem)
    if answer is None:
        return Outcome("wrong")
    same = compare(problem.answer, answer, problem)
    if not same and _rounds_to(problem.answer, answer):
        same = True
    elif same is False and _is_in_words(answer) and not (problem.choices and letter(answer, problem.choices)):
        same = None
    return outcome(same, answer)


def _is_in_words(text: str) -> bool:
    written = plain(text)
    return number(written) is None and not is_formula(written)


def _rounds_to(reference: str, answer: str) -> bool:
    """Whether the answer, rounded to the reference's decimals, is the reference: 2π is 6.28, 1.234 is 1.23."""
    decimals = plain(reference).partition(".")[2]
    written = number(plain(answer))
    said, meant = float(written[0]) if written else value(answer), value(reference)
    if not decimals.isdigit() or said is None or meant is None:
        return False
    return abs(said - meant) <= 0.5 * 10 ** -len(decimals) + 1e-9


class Scorable:
    """A benchmark that takes part everywhere. What it has to say is its `name` and its `data`, how a row is a problem (`Stored`); as
    written here responses are in our own format, and scored by the lenient rule."""

    name: str
    data: Any
    ID: ClassVar[tuple[str, ...]] = ("id",)
    TEXT: ClassVar[tuple[str, ...]] = ("response", "text")
    EXTRACTION: ClassVar[str] = ""  # where the authors keep extracted answers

    def stored_problems(self, path: Path) -> list[Problem]:
        """The problems of a file."""
        stored = isinstance(self.data, Stored)
        return replace(self.data, path=str(path)).read() if stored else read_jsonl(Problem, path)

    def score(self, problem: Problem, text: str) -> bool:
        """Whether the text answers the problem, by the first of the rules."""
        rule = next(iter(self.rules().values()))
        return rule(problem, Response(problem.id, text)).status == "correct"

    def rules(self) -> dict[str, Rule]:
        """The rules by name, the benchmark's own first."""
        return {"lenient": lenient, "strict": strict}

    def parts(self, problem: Problem) -> dict[str, Sequence[str]]:
        """The groups that a problem counts in, by kind of group."""
        return {"source": [problem.source], "level": [str(problem.level)]}

    def cluster(self, problem: Problem) -> str:
        """What keeps problems together that are one problem in several versions."""
        return problem.id

    def apart(self, problem: Problem) -> str:
        """The name of the table that the problem counts in beside the score; empty for one that counts in the score."""
        return ""

    def response(self, row: Row) -> Response:
        """The response that a row holds. Raises KeyError where it names no problem, TypeError where the response is no text."""
        row = row.get("solution", row)
        key = next((row[name] for name in self.ID if row.get(name) is not None), None)
        key = row["problem"]["id"] if key is None else key
        text = next((row[name] for name in self.TEXT if row.get(name) is not None), "")
        if not isinstance(text, (str, int, float)):
            raise TypeError("a response should be a text")
        stored = row.get(self.EXTRACTION)
        kept = None if stored is None or row.get("has_extraction") is False else str(stored)
        return Response(str(key), str(text), kept, row=row)

    def report(
        self, problems: Path | None, responses: Path, *, rule: str, strict: bool, teacher: Teacher | None = None
    ) -> Report:
        """The score of the stored responses under one rule, or under all of them with what they disagree on.

        `teacher` judges what the rule leaves undecided. Raises ValueError for files that cannot be read, and with `strict` for
        responses with any fault.
        """
        from mathse.benchmarks.responses import read_responses
        from mathse.benchmarks.tables import report

        if problems is None:
            raise ValueError("problems= is missing: the file of the benchmark's problems")
        known = self.stored_problems(problems)
        inputs = read_responses(responses, self, known)
        if strict and (faults := inputs.faults()):
            raise ValueError(f"{responses}: {'; '.join(faults)}; strict=true refuses that")
        found = report(self, known, [inputs.responses], rule=rule, teacher=teacher)
        return replace(found, result={**found.result, "inputs": inputs.counts()}, faults=inputs.faults())


def choice_letter(answer: str, choices: Sequence[str]) -> str:
    """The letter of the choice that a reference answer is. Raises ValueError where it is none of them."""
    if not choices:
        return answer
    found = letter(answer, choices)
    if found is None:
        raise ValueError(f"answer {answer!r} is none of the choices {', '.join(choices)}")
    return found
