"""The nouns of the project: Problem, Solution, Verdict, Judged, Model, Problems; chats; JSONL in and out.

Rows are self-contained: a solution carries its problem, so a file can be read (and a row explained) without its ancestors.
Pictures stay files, named by the hash of their content; JSONL holds their paths relative to its own folder.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

if TYPE_CHECKING:
    from PIL.Image import Image

    from mathse.backbones import Backbone
    from mathse.store import Artifact

Status = Literal["correct", "wrong", "unreadable"]


@dataclass(frozen=True)
class Turn:
    """One turn of a chat: who speaks (`user` or `assistant`), the pictures shown first, then the text, made `writable`."""

    role: Literal["user", "assistant"]
    text: str
    images: tuple[str | Image, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", writable(self.text))


Chat = tuple[Turn, ...]


@dataclass(frozen=True)
class Problem:
    """A question with its pictures (paths) and its reference answer; `choices` makes it multiple choice, answered by letter.

    `facts` is what else its benchmark says of it: task, subject, precision …
    """

    id: str
    question: str
    images: tuple[str, ...]
    answer: str
    choices: tuple[str, ...] = ()
    source: str = ""
    level: int = 0
    facts: dict[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Solution:
    """A reasoning path: what `author` (a model's name, or the teacher's) wrote about `problem`; `index` counts its tries."""

    problem: Problem
    text: str
    author: str
    index: int = 0

    @property
    def id(self) -> str:
        return f"{self.problem.id}/{self.author}/{self.index}"


@dataclass(frozen=True)
class Verdict:
    """What a feedback source says of a solution. `unreadable` is neither correct nor wrong: the source could not judge.

    `error_step` counts from 1; `score` is the probability of `correct` where the source has one; `raw` is its own words. `brief`:
    nothing is known of where and why, since the source was asked for the status only, or was overruled by a threshold.
    """

    status: Status
    error_step: int | None = None
    analysis: str = ""
    score: float | None = None
    by: str = ""
    raw: str = ""
    brief: bool = False


@dataclass(frozen=True)
class Judged:
    """A solution and the verdict on it."""

    solution: Solution
    verdict: Verdict


@dataclass(frozen=True)
class Model:
    """A backbone and the adapter that fine-tuning left, or None for the untuned base. `name` is for people: M_0, M_1 …

    To be evaluated, an engine that answers by itself (`mathse.generation.Engine`) may stand in the backbone's place.
    """

    backbone: Backbone
    adapter: Artifact | None = None
    name: str = "base"


class Problems(NamedTuple):
    """The problems that a run learns from, and its test problems, the benchmark's first."""

    train: Artifact
    tests: list[Artifact]


def writable(text: str) -> str:
    """The text with question marks for half characters, which have no bytes and no tokens: JSON can bring them.

    >>> writable("\\ud83d!")
    '?!'
    """
    return text.encode("utf-8", "replace").decode()


def language_of(text: str) -> Literal["en", "zh"]:
    """Chinese where there are Chinese characters among the words, English elsewhere; formulas are neither.

    >>> language_of("如图，AB=3cm，求 △ABC 的面积"), language_of("Name the sides of 口 in cm.")
    ('zh', 'en')
    """
    words, characters = (len(re.findall(pattern, text)) for pattern in (r"[A-Za-z]{3,}", r"[\u4e00-\u9fff]"))
    return "zh" if characters and characters >= words else "en"


class Part(NamedTuple):
    """A stretch of a solution: `head` ("Step 2: ") and `body` as written; `step` counts the steps from 1, None for what is none."""

    head: str
    body: str
    step: int | None


ANSWER = r"(?:the answer to this problem is\b|(?:这道题的|最终)?答案[是为])"
ENDING = re.compile(rf"(?im)^[^\S\n]*+{ANSWER}")
STEP = re.compile(r"(?im)^[ \t#*_>]*+(?:step[ \t]+|步骤[ \t]*|第[ \t]*)(\d+)[ \t]*步?[ \t*_]*+[:.：][ \t*_]*+")
POINT = re.compile(r"(?m)^([ \t]*+)[#*_> ]*+[(（]?(\d{1,3})(?:[.)）][*_]*+(?=\s)|、)[ \t]*+")
BLANK = re.compile(r"\n(?:[^\S\n]*+\n)++")
SENTENCE = re.compile(r"\n|(?<=[.!?])[^\S\n]++(?![a-z]{2})|(?<=[。！？])")


def parts_of(text: str) -> list[Part]:
    """The whole solution in order, divided into its steps and what stands before and behind them.

    Steps are, in this order of preference: the parts headed "Step n:"; the points of a list numbered 1, 2, 3 …; paragraphs
    between blank lines; sentences, which also end with their line. The final-answer line and all behind it are no step.
    """
    ending = ENDING.search(text)
    body, rest = (text[: ending.start()], text[ending.start() :]) if ending else (text, "")
    starts = _starts(body)
    ends = [*(start for start, _ in starts[1:]), len(body)]
    parts, count = [Part("", body[: starts[0][0]], None)], 0
    for (start, words), end in zip(starts, ends, strict=True):
        said = body[words:end].strip()
        answers = start == words and ENDING.match(said)  # on one line with the last step
        is_step = bool(said) and not answers
        count += is_step
        parts.append(Part(body[start:words], body[words:end], count if is_step else None))
    return [part for part in (*parts, Part("", rest, None)) if (part.head + part.body).strip()]


def _starts(body: str) -> list[tuple[int, int]]:
    """Where each step begins, and where its words do, behind the "Step 2:" that it may begin with."""
    if headed := [match.span() for match in STEP.finditer(body)]:
        return headed
    points: list[re.Match[str]] = []
    for match in POINT.finditer(body):  # what is indented otherwise, or not the next number, is within a point
        if int(match[2]) == len(points) + 1 and (not points or match[1] == points[0][1]):
            points.append(match)
    if len(points) > 1:
        return [match.span() for match in points]
    gaps = BLANK if BLANK.search(body.strip()) else SENTENCE
    return [(at, at) for at in (0, *(gap.end() for gap in gaps.finditer(body)))]


def steps_of(text: str) -> list[str]:
    """The steps of a solution without their heads, as `parts_of` finds them.

    >>> steps_of("Step 1: The width is 7.\\nStep 2: 7 * 4 = 28.\\nThe answer to this problem is 28.")
    ['The width is 7.', '7 * 4 = 28.']
    """
    return [part.body.strip() for part in parts_of(text) if part.step]


Row = TypeVar("Row", Problem, Solution, Judged)


def _problem(data: dict[str, Any], folder: Path) -> Problem:
    images = tuple(os.path.normpath(folder / image) for image in data["images"])
    return Problem(**{**data, "images": images, "choices": tuple(data["choices"])})


def _solution(data: dict[str, Any], folder: Path) -> Solution:
    return Solution(**{**data, "problem": _problem(data["problem"], folder)})


def row_from_json(kind: type[Row], data: dict[str, Any], folder: Path) -> Row:
    """The row that `row_to_json` wrote; picture paths become absolute again, from the file's `folder`."""
    if kind is Problem:
        return _problem(data, folder)  # type: ignore[return-value]
    if kind is Solution:
        return _solution(data, folder)  # type: ignore[return-value]
    return Judged(_solution(data["solution"], folder), Verdict(**data["verdict"]))  # type: ignore[return-value]


def row_to_json(row: Problem | Solution | Judged, folder: Path) -> dict[str, Any]:
    """The row as plain data, its pictures' paths relative to `folder`, so that a store can be moved."""
    data = dataclasses.asdict(row)
    problem = (
        data
        if isinstance(row, Problem)
        else data["problem"]
        if isinstance(row, Solution)
        else data["solution"]["problem"]
    )
    problem["images"] = [os.path.relpath(image, folder) for image in problem["images"]]
    return data


def read_jsonl(kind: type[Row], path: Path) -> list[Row]:
    """All rows of a JSONL file. Raises ValueError naming file and line where a line is not such a row."""
    rows = []
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                rows.append(row_from_json(kind, json.loads(line), path.parent))
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(
                    f"{path}, line {number}: not a {kind.__name__} ({error}); the file was changed"
                ) from error
    return rows


def write_jsonl(path: Path, rows: Iterable[Problem | Solution | Judged]) -> None:
    """Write the rows, one JSON object a line. Half characters, which UTF-8 does not have, become question marks."""
    with path.open("w", encoding="utf-8", errors="replace") as out:
        for row in rows:
            out.write(json.dumps(row_to_json(row, path.parent), ensure_ascii=False) + "\n")


def without(problems: Sequence[Problem], solved: Iterable[Judged | Solution]) -> list[Problem]:
    """The problems that none of `solved` is about, in their order."""
    ids = {(row.solution if isinstance(row, Judged) else row).problem.id for row in solved}
    return [problem for problem in problems if problem.id not in ids]
