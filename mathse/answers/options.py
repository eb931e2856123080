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


ALTERNATIVES = re.compile(r"(?<![A-Za-z])[A-Z][)）]?\s*(?:or|and|或|和|/)\s*[(（]?[A-Z](?![A-Za-z])[)）.。\s]*$")


def undecided(text: str) -> bool:
    """Whether a text ends in two letters instead of one: "B or E"."""
    return bool(ALTERNATIVES.search(text[-LONGEST_ANSWER:]))


def last_letter(text: str, choices: Sequence[str]) -> str | None:
    """The letter that a text mentions last: as "(B)", "B." on its own line, "option B"."""
    letters = LETTERS[: len(choices)]
    found = [
        (match.start(), name)
        for pattern in (BRACKETED, MENTION)
        for match in pattern.finditer(text)
        if (name := next(filter(None, match.groups()))) in letters
    ]
    return max(found)[1] if found else None


SENTENCE = re.compile(r"(?<=[.!?。！？\n])\s+")


def last_value(text: str, choices: Sequence[str]) -> str | None:
    """The letter of the choice whose value stands last in a text."""
    for sentence in reversed(SENTENCE.split(text.strip())):
        # of two that end at one place, "quarter past" and "past", the longer
        places = [
            (place.end(), len(choice), name)
            for name, choice in zip(LETTERS, choices, strict=False)
            if choice
            for place in re.finditer(rf"(?<![\w.]){re.escape(choice)}(?![\w]|\.\d)", sentence, re.IGNORECASE)
        ]
        if places:
            return max(places)[2]
    return None


DENIAL = re.compile(r"\b(?:no|not|never|none|neither|cannot|unable|impossible)\b|n[’']t\b", re.IGNORECASE)
WORD = re.compile(r"[^\W\d_]{2,}")
ENDING = re.compile(r"(?:e?s|e?d|ing|e)$")


def nearest_in_words(text: str, choices: Sequence[str]) -> str | None:
    """The letter of the choice that a text comes to in other words, or None if that is not one.

    "The food is half eaten." is Yes where the choices are Yes and No; else the words that tell the choices apart are counted.
    """
    simple = {choice.strip().casefold(): name for name, choice in zip(LETTERS, choices, strict=False)}
    if set(simple) == {"yes", "no"}:
        return (simple["no"] if DENIAL.search(text) else simple["yes"]) if text.strip() else None
    words = [_stems(choice) for choice in choices]
    common = set.intersection(*words)
    said = _stems(" ".join(SENTENCE.split(text.strip())[-2:]))
    shares = [len((own - common) & said) / max(1, len(own - common)) for own in words]
    best = max(shares)
    return LETTERS[shares.index(best)] if best and shares.count(best) == 1 else None


def _stems(text: str) -> set[str]:
    return {ENDING.sub("", word) for word in WORD.findall(text.casefold())}
