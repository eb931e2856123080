"""Whether two answers are equal: by letter, exactly, and where that does not decide, by math-verify."""

from __future__ import annotations

from mathse.answers.exact import decide
from mathse.answers.formulas import latex
from mathse.answers.options import LETTERS, Asked, letter
from mathse.answers.worker import Grader

_shared = Grader()


def equal(reference: str, answer: str, problem: Asked | None = None, *, grader: Grader | None = None) -> bool:
    """Whether `answer` says the same as `reference`; with choices each may be a letter or a choice's value.

    Units count where both have one. A percentage is its value or its number: "50%" equals "0.5" and "50".
    A comparison that outlives the grader's limit is not equal. `grader` is one shared by the process unless given.
    """
    return compare(reference, answer, problem, grader=grader) is True


def compare(reference: str, answer: str, problem: Asked | None = None, *, grader: Grader | None = None) -> bool | None:
    """`equal`, but None where the comparison outlived the grader's limit: undecided is not wrong."""
    choices = problem.choices if problem else ()
    letters = letter(reference, choices), letter(answer, choices)
    if letters[0] and letters[1]:  # two choices may have one value
        return letters[0] == letters[1] or len({choices[LETTERS.index(name)] for name in letters if name}) == 1
    # one of the two is a choice's value in a writing that only math-verify may know: compare values
    reference, answer = (
        choices[LETTERS.index(name)] if name else text for name, text in zip(letters, (reference, answer), strict=True)
    )
    decided = decide(reference, answer)
    return (grader or _shared).compare(latex(reference), latex(answer)) if decided is None else decided
