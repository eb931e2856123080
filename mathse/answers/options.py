"""Which choice a text means: by its letter or by its value."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

from mathse.answers.exact import decide
from mathse.answers.writing import LONGEST_ANSWER, plain

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Asked(Protocol):
    """What is asked, as far as answers to it are concerned: a Problem, or a figure's Program."""

    @property
    def choices(self) -> Sequence[str]: ...


OPTION = re.compile(
    r"(?:(?:the\s+)?(?:correct\s+)?(?:choice|option|answer)\s*(?:is\s*)?|选项?\s*)?"
    r"(?:[(（\[](?P<bracketed>[a-z])[)）\]](?:[\w\s.:：、].*)?|(?P<bare>[a-z])(?:[.):：、].*)?)",
    re.IGNORECASE | re.DOTALL,
)
MENTION = re.compile(r"(?:(?i:choice|option)|选项?)\s*[(（]?([A-Z])(?![A-Za-z0-9])")


def letter(text: str, choices: Sequence[str]) -> str | None:
    """The letter of the choice that `text` names or whose value it is."""
    if not choices or len(text) > LONGEST_ANSWER:
        return None
    letters = LETTERS[: len(choices)]
    named = OPTION.fullmatch(plain(text))
    if named:
        found = named["bracketed"] or named["bare"]
        # "b" may be a side of the triangle and a choice's value; the letters of choices are capitals
        if found.upper() in letters and (found.isupper() or text not in choices):
            return found.upper()
    for name, choice in zip(letters, choices, strict=False):
        if plain(choice) == plain(text):
            return name
    for name, choice in zip(letters, choices, strict=False):
        if decide(choice, text):
            return name
    mentioned = set(MENTION.findall(text)) & set(letters)
    return mentioned.pop() if len(mentioned) == 1 else None


BRACKETED = re.compile(
    r"[(（\[]\s*([A-Z])\s*[)）\]]|(?:^|\n|[:：]\s*|\bis\s+)([A-Z])(?:[.):：、](?=\s|$)|\s*$)", re.MULTILINE
)
SENTENCE = re.compile(r"(?<=[.!?。！？\n])\s+")


def last_mentioned(text: str, choices: Sequence[str]) -> str | None:
    """The letter of the choice that a text mentions last: as "(B)", "B." on its own line, "option B", or by its value."""
    letters = LETTERS[: len(choices)]
    found = [
        (match.start(), name)
        for pattern in (BRACKETED, MENTION)
        for match in pattern.finditer(text)
        if (name := next(filter(None, match.groups()))) in letters
    ]
    if found:
        return max(found)[1]
    for sentence in reversed(SENTENCE.split(text.strip())):
        # of two that end at one place, "quarter past" and "past", the longer
        places = [
            (place.end(), len(choice), name)
            for name, choice in zip(letters, choices, strict=False)
            if choice
            for place in re.finditer(rf"(?<![\w.]){re.escape(choice)}(?![\w]|\.\d)", sentence, re.IGNORECASE)
        ]
        if places:
            return max(places)[2]
    return None
