"""MathVision test (MathLLMs/MathVision, 3040 problems, 16 subjects, 5 levels; rule: github.com/mathllm/MATH-V, a1f5cc3).

[a path of numbers with one missing]  Which number should be written in place of the question mark?  -> 60
The authors' rule takes the answer from the raw response (a closing letter, "the answer is", the last box), cleans its LaTeX,
and accepts the letter or the chosen option's text, equal as strings or as numbers rounded to two decimals. They compute
numbers with Python's `eval` on the model's text; here a parser of LaTeX arithmetic does (`answers.values`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mathse.answers.options import LETTERS
from mathse.answers.values import value
from mathse.benchmarks.scoring import Outcome, Response, Rule, Scorable, lenient, outcome, strict
from mathse.benchmarks.stored import Stored
from mathse.data.files import Row
from mathse.settings import settings
from mathse.types import Problem


@settings
class MathVisionProblems(Stored):
    """The rows of the test split. Its authors' prompt stands in their scripts, not in the data; ours is used."""

    def problem(self, row: Row) -> Problem:
        choices = tuple(str(choice) for choice in row["options"])
        if choices and row["answer"] not in LETTERS[: len(choices)]:
            raise ValueError(f"answer {row['answer']!r} is the letter of no choice")
        question = re.sub(r"\s*<image\d+>", "", row["question"]).strip()
        question += "".join(f"\n({name}) {choice}" for name, choice in zip(LETTERS, choices, strict=False))
        return Problem(
            str(row["id"]),
            question,
            (row["image"],),
            str(row["answer"]),
            choices,
            source=row["subject"],
            level=int(row["level"]),
        )


@settings
class MathVision(Scorable):
    """Scored from the raw responses: what the authors keep as `model_answer` is not read."""

    name: str
    data: MathVisionProblems

    def rules(self) -> dict[str, Rule]:
        return {"authors": authors, "strict": strict, "lenient": lenient}

    def parts(self, problem: Problem) -> dict[str, Sequence[str]]:
        return {
            "subject": [problem.source],
            "level": [str(problem.level)],
            "subject and level": [f"{problem.source}, level {problem.level}"],
        }


def authors(problem: Problem, response: Response) -> Outcome:
    """The authors' rule: the letter or the text of the chosen option may match."""
    answer = extracted(response.text)
    references = [problem.answer]
    if problem.choices:
        references.append(problem.choices[LETTERS.index(problem.answer)])
    return outcome(any(same(reference, answer) for reference in references), answer)


PHRASES = ("the final answer is", "the answer is", "the correct answer is", "the answer should be")


def extracted(response: str) -> str:
    """The answer that the authors' rule takes from a response, cleaned and in lower case."""
    text = response.strip()
    for name in "ABCDE":
        if text.endswith((f" {name}.", f" ({name}).")) or text.startswith(
            (f"{name}\n", f"({name})\n", f"({name}) {name}\n")
        ):
            text = name
    tail = text.rpartition("is ")[2].rstrip(".")
    if _is_float(tail):
        text = tail
    boxes = text.split("oxed{")
    if len(boxes) == 1:
        for phrase in PHRASES:
            for form in (phrase, phrase.replace("the", "The")):
                if form in text:
                    text = text.rpartition(form)[2].strip().split("\n")[0].split(". ")[0]
                text = text.strip()
    elif len(boxes) > 2:
        text = "oxed{" + boxes[-1]
    text = cleaned(text)
    for opening, closing in ("()", "{}"):
        for name in "abcde":
            text = text.replace(f"{opening}{name}{closing}", name)
    return text.rstrip(".").lstrip(":").strip()


def _is_float(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


# What is written another way or dropped, in this order.
REWRITES = (
    *((" ", ""), ("\\,", ""), ("∞", "\\infty"), ("+\\infty", "\\infty"), ("\\\\", "\\"), ("\n", "")),
    *(("\\text", ""), ("\\mbox", ""), ("bmatrix", "pmatrix"), ("\\left", ""), ("\\right", "")),
    *(("^{\\circ}", ""), ("^\\circ", ""), ("{m}^3", ""), ("m^3", ""), ("{units}", ""), ("units", "")),
    *(("{km}", ""), ("km", ""), ("\\!", ""), ("\\\\", "\\"), ("tfrac", "frac"), ("dfrac", "frac")),
    *(("\\left", ""), ("\\right", ""), ("^{\\circ}", ""), ("^\\circ", ""), ("\\$", ""), ("$", "")),
    *(("\\%", ""), ("{.", "{0.")),
)


def cleaned(text: str) -> str:
    """What the last box holds, or the text; after its last equals sign; without units, degrees, percent and layout."""
    text = text.lower().replace("{}", "")
    start, end = text.find("oxed{"), text.rfind("}")
    if start >= 0 and start + len("oxed{") <= end:
        text = text[start + len("oxed{") : end]
    closing, opening = text.find("}"), text.find("{")
    if closing >= 0 and not 0 <= opening < closing:
        text = text[:closing]
    text = text.rpartition("=")[2].rpartition("\\approx")[2]
    for old, new in REWRITES:
        text = text.replace(old, new)
    if text.startswith("."):
        text = "0" + text
    return text


def same(reference: str, answer: str) -> bool:
    """Whether two answers are one string, one list of numbers, or one number, to two decimals."""
    reference, answer = reference.lower(), answer.lower()
    if not reference.strip() or not answer.strip():
        return False
    if reference.strip() == answer.strip() or _rounded_list(reference) == _rounded_list(answer):
        return True
    numbers = value(reference), value(answer)
    return numbers[0] is not None and numbers[1] is not None and round(numbers[0], 2) == round(numbers[1], 2)


def _rounded_list(text: str) -> str:
    """A point or an interval with its numbers rounded; any other text as it is."""
    members = text[1:-1].split(",")
    if len(members) < 2 or text[0] + text[-1] not in ("()", "[]"):
        return text
    rounded = []
    for member in members:
        if "infty" in member or member in ("a", "-a"):
            rounded.append(member)
            continue
        found = value(member)
        if found is None:
            return text
        rounded.append(str(round(found, 2)))
    return text[0] + ",".join(rounded) + text[-1]
