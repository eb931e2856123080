"""Which part of a row means what: question, pictures, answer, choices. A row that is no problem is refused, with the reason."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mathse.answers import extract
from mathse.answers.extraction import ANSWER_IS
from mathse.answers.options import LETTERS, letter
from mathse.answers.writing import LONGEST_ANSWER
from mathse.data.files import Row
from mathse.settings import settings

Names = str | tuple[str, ...] | None

PLACEHOLDER = re.compile(r"<image(?:_?\d+)?>\s*")  # pictures are shown before the text
LABEL = re.compile(r"(?:^|(?<=[\s:：,，;；。]))[(（]?([A-H])\s*[)）.:：、．]\s*", re.MULTILINE)
COUNT = re.compile(r"[0-9]{1,9}")
CHOSEN = re.compile(r"故选[:：]?\s*[(（]?([A-H])(?![A-Za-z])")  # how Chinese solutions end
ONE_LETTER = re.compile(r"[(（]?([A-H])[)）.]?")


class Refused(ValueError):
    """Why a row is no problem: one of a few reasons, and what it is about."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason, self.detail = reason, detail


@dataclass(frozen=True)
class Parts:
    """What a row says, before its pictures are looked at. `images`: paths, or bytes."""

    own_id: str
    question: str
    images: tuple[str | bytes, ...]
    answer: str
    choices: tuple[str, ...]
    source: str
    level: int


@settings
class Fields:
    """The names of a row's parts, several where one of them may be there, null for none.

    A name may lead inwards: `conversations.0.value`. `answer_is`: the answer's value (or a choice's letter), a choice's number counted
    from 0, or a text that states it.
    """

    id: Names
    question: Names
    images: Names
    answer: Names
    choices: Names
    source: Names
    level: Names
    answer_is: Literal["value", "index", "stated"]

    def parts(self, row: Row) -> Parts:
        """The parts of a row. Raises Refused."""
        question = PLACEHOLDER.sub("", self._text(row, "question")).strip()
        if not question:
            raise Refused("empty question", self._nothing(row, "question"))
        choices = _choices(_find(row, self.choices))
        said = self._text(row, "answer").strip()
        if not said:
            raise Refused("no answer", self._nothing(row, "answer"))
        within = choices_within(question)
        if self.answer_is == "stated":
            said = _stated(said, choices or within)
        if choices and len(within) != len(choices):
            question += "".join(f"\n({name}) {choice}" for name, choice in zip(LETTERS, choices, strict=False))
        elif not choices and (named := ONE_LETTER.fullmatch(said)) and named[1] in LETTERS[: len(within)]:
            choices = within
        level = self._text(row, "level")
        return Parts(
            self._text(row, "id"),
            question,
            self.pictures(row),
            self._answer(said, choices),
            choices,
            self._text(row, "source"),
            int(level) if COUNT.fullmatch(level) else 0,
        )

    def pictures(self, row: Row) -> tuple[str | bytes, ...]:
        """The pictures that a row names or holds. Raises Refused."""
        value = _listed(_find(row, self.images))
        members = [] if value is None else value if isinstance(value, list) else [value]
        return tuple(_picture(member) for member in members)

    def _answer(self, said: str, choices: tuple[str, ...]) -> str:
        if self.answer_is == "index":
            if not COUNT.fullmatch(said) or int(said) >= len(choices):
                raise Refused("bad answer", f"{said[:80]!r} is no number of one of its {len(choices)} choices")
            return LETTERS[int(said)]
        if len(said) > LONGEST_ANSWER:
            raise Refused("over-long", f"an answer of {len(said)} characters, {LONGEST_ANSWER} are the most")
        if not choices:
            return said
        found = letter(said, choices)
        if found is None:
            raise Refused("bad answer", f"{said[:80]!r} is none of its choices")
        return found

    def _text(self, row: Row, part: str) -> str:
        """A part that is text; numbers are taken as they are written, a list of one for its member."""
        value = _find(row, getattr(self, part))
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if value is None:
            return ""
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return str(value)
        if not isinstance(value, str):
            raise Refused("wrong type", f"{part} should be text, got {type(value).__name__}")
        return _whole(value)

    def _nothing(self, row: Row, part: str) -> str:
        names = getattr(self, part)
        named = [names] if isinstance(names, str) else list(names or ())
        if any(_look(row, name) is not None for name in named):
            return ""
        return f"no {' or '.join(named)} among {', '.join(map(str, list(row)[:12]))}; set data.fields.{part}"


@dataclass(frozen=True)
class _Asked:
    choices: Sequence[str]


def _stated(text: str, choices: Sequence[str]) -> str:
    """The answer that a text states in so many words; what one might guess is no reference."""
    asked = _Asked(choices)
    found = extract(text, asked, only_stated=True) or (extract(text, asked) if ANSWER_IS.search(text) else None)
    if found is None and choices and (chosen := CHOSEN.findall(text)):
        found = chosen[-1]
    if found is None:
        raise Refused("no answer", f"the text states none: {text[:80]!r}")
    return found


def _find(row: Row, names: Names) -> Any:
    """The first of the parts named that is there and not empty."""
    for name in (names,) if isinstance(names, str) else names or ():
        value = _look(row, name)
        if (
            value is not None
            and value != ""
            and value != []
            and not (isinstance(value, float) and not math.isfinite(value))
        ):
            return value
    return None


def _look(row: Row, name: str) -> Any:
    if name in row:
        return row[name]
    value: Any = row
    for step in name.split("."):
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def _whole(text: str) -> str:
    """The text, if any file can hold it."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Refused("not UTF-8", f"{text[:40]!r}") from error
    return text


def _listed(value: Any) -> Any:
    """A list out of a cell of a table: JSON."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _picture(value: Any) -> str | bytes:
    """A path or the bytes of a picture; as `datasets` keeps it, an object with either."""
    if isinstance(value, Mapping):
        value = value.get("bytes") or value.get("path")
    if isinstance(value, bytes):
        return value
    if isinstance(value, str) and value.strip():
        return _whole(value.strip())
    raise Refused("wrong type", f"a picture should be a path or bytes, got {type(value).__name__}")


def _choices(value: Any) -> tuple[str, ...]:
    value = _listed(value)
    if value is None:
        return ()
    if isinstance(value, Mapping):
        value = [value[key] for key in sorted(value)]
    if not isinstance(value, list) or any(not isinstance(choice, (str, int, float)) for choice in value):
        raise Refused("wrong type", f"choices should be a list of texts, got {type(value).__name__}")
    texts = [_whole(str(choice)).strip() for choice in value]
    labels = [LABEL.match(text) for text in texts]
    if all(label and label[1] == LETTERS[i] for i, label in enumerate(labels)):
        texts = [text[label.end() :].strip() for text, label in zip(texts, labels, strict=True) if label]
    if len(texts) > len(LETTERS) or not all(texts):
        raise Refused("bad choices", f"{len(texts)} choices, {texts.count('')} of them empty")
    return tuple(texts)


def choices_within(question: str) -> tuple[str, ...]:
    """The choices that stand at the end of a question, "(A) yes (B) no"; none where there are not two or more, in order.

    >>> choices_within("Is it? Choices: (A) yes (B) no")
    ('yes', 'no')
    """
    labels = list(LABEL.finditer(question))
    starts = [i for i, label in enumerate(labels) if label[1] == "A"]
    if not starts:
        return ()
    run = labels[starts[-1] :]
    if len(run) < 2 or any(label[1] != LETTERS[i] for i, label in enumerate(run)):
        return ()
    ends = [*(label.start() for label in run[1:]), len(question)]
    choices = tuple(question[label.end() : end].strip(" \n,;，；") for label, end in zip(run, ends, strict=True))
    return choices if all(choices) else ()
