"""Scoring of stored responses: what a rule makes of a response, and what comes of all of them.

A rule takes a problem and a response and gives an Outcome. Each benchmark has its authors' rule (the first), and all have:

    strict      the answer is stated in a form that one asks for, and is the reference, a number equal to it or its letter
    lenient     the answer may stand anywhere, equality takes algebra, and decimals count as far as the reference gives them
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from mathse.answers import PARSER, compare, extract
from mathse.answers.exact import decide
from mathse.answers.formulas import is_formula
from mathse.answers.numbers import number
from mathse.answers.options import letter
from mathse.answers.values import value
from mathse.answers.writing import plain
from mathse.benchmarks.stored import rows_of
from mathse.data.files import Row
from mathse.statistics import bootstrap, wilson
from mathse.store import canonical
from mathse.teacher import Teacher
from mathse.types import Problem, read_jsonl

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
    """What `python -m mathse.score` asks of a benchmark; as written here, of one in our own format."""

    name: str
    ID: ClassVar[tuple[str, ...]] = ("id",)
    TEXT: ClassVar[tuple[str, ...]] = ("response", "text")
    EXTRACTION: ClassVar[str] = ""  # where the authors keep extracted answers

    def stored_problems(self, path: Path) -> list[Problem]:
        """The problems of a file."""
        return read_jsonl(Problem, path)

    def rules(self) -> dict[str, Rule]:
        """The rules by name, the benchmark's own first."""
        return {"lenient": lenient, "strict": strict}

    def parts(self, problem: Problem) -> dict[str, Sequence[str]]:
        """The groups that a problem counts in, by kind of group."""
        return {"source": [problem.source], "level": [str(problem.level)]}

    def cluster(self, problem: Problem) -> str:
        """What keeps problems together that are one problem in several versions."""
        return problem.id

    def response(self, row: Row) -> Response:
        """The response that a row holds. Raises KeyError where it names no problem."""
        row = row.get("solution", row)
        key = next((row[name] for name in self.ID if row.get(name) is not None), None)
        key = row["problem"]["id"] if key is None else key
        text = next((row[name] for name in self.TEXT if row.get(name) is not None), "")
        stored = row.get(self.EXTRACTION)
        kept = None if stored is None or row.get("has_extraction") is False else str(stored)
        return Response(str(key), str(text), kept, row=row)

    def report(
        self, problems: Path | None, responses: Path, *, rule: str, strict: bool, teacher: Teacher | None = None
    ) -> Report:
        """The score of the stored responses under one rule, or under all of them with what they disagree on.

        `teacher` judges what the rule leaves undecided.
        """
        from mathse.benchmarks import judge

        if problems is None:
            raise ValueError("problems= is missing: the file of the benchmark's problems")
        known = self.stored_problems(problems)
        inputs = read_responses(responses, self, known)
        if strict and (faults := inputs.counts()):
            kind, fault = next(iter(faults.items()))
            raise ValueError(
                f"{responses}: {fault['count']} {kind} ({', '.join(fault['first'])}); strict=true refuses that"
            )
        rules = self.rules()
        rule = next(iter(rules)) if rule == "authors" else rule
        if rule not in (*rules, "all"):
            raise ValueError(f"rule={rule}: {self.name} has the rules {', '.join(rules)}, and all")
        outcomes = {
            name: decided(apply, known, inputs.responses) for name, apply in rules.items() if rule in (name, "all")
        }
        if teacher:
            outcomes = {name: judge.settle(known, inputs.responses, found, teacher) for name, found in outcomes.items()}
        asked = {"judge": canonical(teacher), "prompt": judge.prompt_hash()} if teacher else {}
        tallies = {
            name: {"rule": name, **tally(self, known, found), "identity": identity(name, inputs) | asked}
            for name, found in outcomes.items()
        }
        rows: list[dict[str, Any]] = [
            {"id": problem.id, "outcomes": {name: vars(found[place]) for name, found in outcomes.items()}}
            for place, problem in enumerate(known)
        ]
        if rule != "all":
            return Report({"benchmark": self.name, **tallies[rule], "inputs": inputs.counts()}, rows)
        split = [row["id"] for row in rows if len({found["status"] for found in row["outcomes"].values()}) > 1]
        result = {"benchmark": self.name, "rule": "all", "n": len(known), "rules": tallies, "disagreements": split}
        return Report({**result, "inputs": inputs.counts()}, rows)


@dataclass(frozen=True)
class Report:
    """What `mathse.score` prints, and the outcome of each problem."""

    result: dict[str, Any]
    outcomes: list[dict[str, Any]]


@dataclass
class Inputs:
    """The responses of a file by problem id, and what is wrong with the file, as the ids or lines concerned."""

    responses: dict[str, Response]
    problems: dict[str, list[str]]

    def counts(self) -> dict[str, dict[str, Any]]:
        """How many of each, and the first ten."""
        return {kind: {"count": len(names), "first": names[:10]} for kind, names in self.problems.items() if names}


def identity(rule: str, inputs: Inputs) -> dict[str, Any]:
    """What decides a score beside the responses: two scores may be compared where these are the same.

    `judge` and `prompt` (its hash) are those of the judge, if one was asked; how stored responses were made is not known.
    """
    own = next(iter(inputs.responses.values())).own or not rule.startswith("authors")
    extraction = "own" if own else "stored"
    return {"rule": rule, "parser": PARSER, "extraction": extraction, "judge": None, "prompt": None, "decoding": None}


def read_responses(path: Path, benchmark: Scorable, problems: Sequence[Problem]) -> Inputs:
    """The first response to each problem; what is missing, twice, foreign, empty or unreadable is named."""
    known = {problem.id for problem in problems}
    found: dict[str, Response] = {}
    wrong: dict[str, list[str]] = {kind: [] for kind in ("unreadable", "foreign", "duplicate", "empty", "missing")}
    for place, row in _readable(path, wrong["unreadable"]):
        try:
            response = benchmark.response(row)
        except (KeyError, TypeError, AttributeError):
            wrong["unreadable"].append(place)
            continue
        if response.id not in known:
            wrong["foreign"].append(response.id)
        elif response.id in found:
            wrong["duplicate"].append(response.id)
        else:
            found[response.id] = response
            if not response.text.strip():
                wrong["empty"].append(response.id)
    if not found:
        raise ValueError(f"{path}: no response to any of the {len(problems)} problems; is it a file of this benchmark?")
    if any(response.stored for response in found.values()):
        found = {key: replace(response, own=False) for key, response in found.items()}
    wrong["missing"] = [problem.id for problem in problems if problem.id not in found]
    return Inputs(found, wrong)


def _readable(path: Path, unreadable: list[str]) -> Iterable[tuple[str, Row]]:
    """The rows of a file; of one that is torn or in a wrong encoding, those of its lines that can be read."""
    if not path.is_file():
        raise ValueError(f"{path}: there is no such file")
    try:
        return rows_of(path)
    except ValueError:
        rows = []
        for line_number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
            try:
                row = json.loads(line.decode("utf-8-sig")) if line.strip() else None
            except (ValueError, RecursionError):
                unreadable.append(f"line {line_number}")
                continue
            if isinstance(row, dict):
                rows.append((f"line {line_number}", row))
            elif row is not None:
                unreadable.append(f"line {line_number}")
        return rows


def decided(rule: Rule, problems: Sequence[Problem], responses: Mapping[str, Response]) -> list[Outcome]:
    """The outcome of each problem, in order."""
    return [rule(problem, responses[problem.id]) if problem.id in responses else MISSING for problem in problems]


def tally(benchmark: Scorable, problems: Sequence[Problem], outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """n, correct, accuracy and its interval (Wilson's, or a bootstrap by cluster), and n, correct, accuracy by each part."""
    groups: dict[str, dict[str, list[bool]]] = {}
    right = [outcome.status == "correct" for outcome in outcomes]
    for problem, correct in zip(problems, right, strict=True):
        for kind, names in benchmark.parts(problem).items():
            for name in names:
                groups.setdefault(kind, {}).setdefault(name, []).append(correct)
    statuses = [outcome.status for outcome in outcomes]
    return {
        **share(right),
        "ci95": list(_interval(right, [benchmark.cluster(problem) for problem in problems])),
        "missing": statuses.count("missing"),
        "undecided": statuses.count("undecided"),
        "decided": {
            who: sum(o.by == who and o.status in ("correct", "wrong") for o in outcomes) for who in ("rule", "judge")
        },
        "by": {kind: {name: share(group[name]) for name in sorted(group)} for kind, group in sorted(groups.items())},
    }


def _interval(right: Sequence[bool], clusters: Sequence[str]) -> tuple[float, float]:
    """Wilson's interval, or a bootstrap by cluster; where that has nothing to vary, Wilson's with a cluster as one problem."""
    n = len(set(clusters))
    if n == len(right):
        return wilson(sum(right), n)
    if n < 2 or all(right) or not any(right):
        return wilson(round(n * sum(right) / len(right)), n)
    return bootstrap(right, clusters)


def share(right: Sequence[bool]) -> dict[str, Any]:
    """n, correct and accuracy."""
    return {"n": len(right), "correct": sum(right), "accuracy": sum(right) / max(1, len(right))}


def choice_letter(answer: str, choices: Sequence[str]) -> str:
    """The letter of the choice that a reference answer is. Raises ValueError where it is none of them."""
    if not choices:
        return answer
    found = letter(answer, choices)
    if found is None:
        raise ValueError(f"answer {answer!r} is none of the choices {', '.join(choices)}")
    return found
