"""The final answer out of a solution: where it is stated, else where one may guess that it stands."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mathse.answers.formulas import is_formula
from mathse.answers.numbers import DIGITS, number
from mathse.answers.options import SENTENCE, Asked, last_letter, last_value, letter, nearest_in_words, undecided
from mathse.answers.writing import LONGEST_ANSWER, bare, boxed, plain

SENTINEL = re.compile(r"the answer to this problem is|(?:这道题的|最终)?答案(?:是|为)", re.IGNORECASE)
FINAL_ANSWER = re.compile(r"\bfinal answer\**\s*[:：]", re.IGNORECASE)
ANSWER = re.compile(r"\banswer\**\s*[:：]|答案\s*[:：]", re.IGNORECASE)
ANSWER_IS = re.compile(
    r"\b(?:answer|result|option|choice)\s+(?:is|are|would be|should be|must be|equals)\b", re.IGNORECASE
)

OPENING = re.compile(r"(?:[\s:：$*`]|\\[(\[])*")  # may span lines: an answer is often displayed under its sentence
# A full stop ends an answer, a decimal point does not; a Chinese comma does, unless it stands between two numbers.
ENDING = re.compile(r"\n|\.(?=\s)|[。；]|，(?!\s*[-\d])")


def extract(text: str, problem: Asked | None = None, *, only_stated: bool = False) -> str | None:
    """The final answer of a solution, or None if there is none.

    With choices it is the letter of the choice meant, or what was said where that is none of them. `only_stated` takes
    what is said in a form that a solver can be asked for (the sentinel, a box, "Answer:") and nothing else.
    """
    choices = problem.choices if problem else ()
    answer = _after(SENTINEL, text) or boxed(text) or _after(FINAL_ANSWER, text) or _after(ANSWER, text)
    if only_stated:
        return (answer and letter(answer, choices)) or answer
    text = END_OF_TEXT.split(text)[0]
    if answer is None and PROGRAM.search(text):
        return None
    answer = _said(answer or _after(ANSWER_IS, text)) or (bare(text) if _is_value(text) else None)
    if not choices:
        return answer or _last_value(text)
    if answer is not None:
        return letter(answer, choices) or _choice(answer, choices) or answer
    return _choice(text, choices) or _last_value(text)


def _choice(text: str, choices: Sequence[str]) -> str | None:
    """The letter of the choice that a text comes to, by letter, by value or in other words."""
    if undecided(text):
        return None
    if found := last_letter(text, choices):
        return found
    if all(number(plain(choice)) for choice in choices):  # what comes out counts, not the values on the way
        value = _last_value(text)
        return value and letter(value, choices)
    return last_value(text, choices) or nearest_in_words(text, choices)


def _after(phrase: re.Pattern[str], text: str) -> str | None:
    """What follows the last `phrase` that anything follows."""
    for match in reversed(list(phrase.finditer(text))):
        opening = OPENING.match(text, match.end())
        assert opening, "OPENING matches the empty string"
        ending = ENDING.search(text, opening.end())
        said = text[opening.end() : ending.start() if ending else len(text)]
        if answer := boxed(said) or bare(said):
            return answer
    return None


COPULA = re.compile(r".*\b(?:is|are|equals)\b[\s:]*(?=\S)", re.DOTALL)


def _said(answer: str | None) -> str | None:
    """An answer without the sentence around it: of "The volume is $120$" the 120."""
    if answer is None or len(answer) > LONGEST_ANSWER or _is_value(answer):
        return answer
    said = bare(COPULA.sub("", answer, count=1))
    return said if _is_value(said) else answer


def _is_value(text: str) -> bool:
    """Whether a text is a number or a formula and nothing else."""
    if len(text) > LONGEST_ANSWER:
        return False
    written = plain(text)
    return number(written) is not None or is_formula(written)


PROGRAM = re.compile(r"^print\(", re.MULTILINE)  # its answer is what it would print: see `programs`
WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
END_OF_TEXT = re.compile(r"</s>|<\|(?:im_start|im_end|endoftext|eot_id)\|>")
# the markers are matched one by one: a megabyte of dollars costs a megabyte of steps
MATH = re.compile(
    rf"\$\$?([^$]{{1,{LONGEST_ANSWER}}})\$|\\\(([^$]{{1,{LONGEST_ANSWER}}}?)\\\)|\\\[([^$]{{1,{LONGEST_ANSWER}}}?)\\\]"
)
VALUE = re.compile(rf"(?<![\w.])[-−]?\$?{DIGITS}(?:/[0-9]+)?(?: ?(?:%|°|percent\b))?")
COMPUTED = re.compile(r"[^=<>≤≥]*(?:[0-9)}]|[A-Z]{2,}|\\text\{[^{}]*\}|\b(?:is|of)\b)\s*(?:=|\\approx|≈)\s*(?=[^=]+$)")


THERE_ARE = re.compile(
    rf"\bthere (?:is|are|was|were|will be|would be) (?:only |about |exactly |a total of )?({DIGITS}|{'|'.join(WORDS)})\b",
    re.IGNORECASE,
)


def _last_value(text: str) -> str | None:
    """The last number or formula of a text that states no answer; of "5 * 6 = 30" what comes out."""
    counted = list(THERE_ARE.finditer(text))
    if counted and not SENTENCE.search(text.rstrip(), counted[-1].end()):
        count = counted[-1][1].lower()  # "There are 3 bars with values below 40."
        return str(WORDS.index(count)) if count in WORDS else count
    formulas = [(match.end(), next(filter(None, match.groups()))) for match in MATH.finditer(text)]
    values = [(match.end(), match.group()) for match in VALUE.finditer(text)]
    if not formulas and not values:
        return None
    last = max(formulas[-1:] + values[-1:])[1]
    return bare(last.rpartition("=")[2] if COMPUTED.match(last) else last) or None
