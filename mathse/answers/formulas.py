"""What goes to math-verify: which texts are formulas, and the LaTeX that it reads."""

from __future__ import annotations

import re

from mathse.answers.writing import plain

FUNCTIONS = "arcsin|arccos|arctan|sin|cos|tan|cot|sec|csc|log|ln|exp|pi"
COMMAND = re.compile(
    rf"{FUNCTIONS}|d?t?frac|sqrt|cdot|times|div|pm|left|right|leq?|geq?|neq?|lt|gt|infty|cup|cap|in|or|and"
    "|begin|end|[bp]?matrix|alpha|beta|gamma|delta|theta|lambda|mu|phi|omega"
)
# No integrals, sums or limits: an answer is a value, and they are the cheapest way to keep sympy busy.
FORMULA = re.compile(r"[0-9A-Za-z\s+\-*/^_=<>()\[\]{}|.,;!&\\°π√×÷·≤≥≠±∞]+")


def is_formula(text: str) -> bool:
    """Whether a plain text has to do with calculating: allowed characters, no words, no names of points."""
    # math-verify would read a word as a product of letters, and so find "red" equal to "der" and AB to BA
    return bool(
        FORMULA.fullmatch(text)
        and not re.search(r"[0-9] [0-9]", text)  # "1 2" it would read as 1 + 2
        and re.search(r"[0-9+\-*/^=<>√π]|\\[a-z]", text)
        and all(
            len(word) == 1 or COMMAND.fullmatch(word) or (len(word) <= 3 and word.islower())
            for word in re.findall(r"[A-Za-z]+", text)
        )
    )


def latex(text: str) -> str:
    """A formula in the LaTeX that math-verify reads."""
    text = plain(text).replace("**", "^").replace("°", r"^\circ ")
    text = re.sub(r"(?:√|(?<![A-Za-z])\\?sqrt)\s*([0-9]+|[a-z])", r"\\sqrt{\1}", text)
    text = re.sub(r"(?:√|(?<![A-Za-z])\\?sqrt)\s*\(", "sqrt(", text)  # math-verify reads sqrt(3), not \sqrt(3)
    return re.sub(rf"(?<![\\A-Za-z])({FUNCTIONS})(?![A-Za-z])", r"\\\1 ", text)
