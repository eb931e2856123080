"""Equality that needs no algebra: strings, numbers with units, lists of numbers."""

from __future__ import annotations

import re

from mathse.answers.formulas import is_formula
from mathse.answers.numbers import number, same_number
from mathse.answers.values import value
from mathse.answers.writing import LONGEST_ANSWER, plain

ASSIGNED = re.compile(r"(?:\\?angle\s*|[∠△])?[A-Za-z]{1,4}\s*=\s*(?=[^=]+$)")

APPROXIMATELY = re.compile(r"(?<=[^≈])≈.*", re.DOTALL)  # of "1/3 ≈ 0.33" the exact part counts

BRACKETED = re.compile(r"(\\\{|[(\[])[^()\[\]{}]+,[^()\[\]{}]+(\\\}|[)\]])")


def decide(reference: str, answer: str) -> bool | None:
    """Whether the two are equal as strings or numbers, or None if it takes algebra to know."""
    if len(reference) > LONGEST_ANSWER or len(answer) > LONGEST_ANSWER:
        return reference.split() == answer.split()
    left, right = (APPROXIMATELY.sub("", plain(text)) for text in (reference, answer))
    if bool(ASSIGNED.match(left)) != bool(ASSIGNED.match(right)):  # "x = 5" answers "5", but not "y = 5"
        left, right = ASSIGNED.sub("", left), ASSIGNED.sub("", right)
    if not left or not right:
        return False
    if left.casefold() == right.casefold():
        return True
    numbers = number(left), number(right)
    if numbers[0] and numbers[1]:
        return same_number(*numbers[0], *numbers[1])
    brackets = BRACKETED.fullmatch(left), BRACKETED.fullmatch(right)
    if brackets[0] and brackets[1] and brackets[0].groups() != brackets[1].groups():
        return False  # math-verify would find the set {3, 1} equal to the point (3, 1)
    if not (is_formula(left) and is_formula(right)):
        return False
    return False if _differ_as_numbers(left, right) else None


MIXED = re.compile(r"[0-9]\\frac")  # 1\frac{1}{2}: one and a half, or a half


def _differ_as_numbers(left: str, right: str) -> bool:
    """Whether both are numbers, and not the same one: what floats tell apart needs no algebra."""
    if MIXED.search(left) or MIXED.search(right):
        return False
    a, b = value(left), value(right)
    return a is not None and b is not None and abs(a - b) > 1e-9 * max(1.0, abs(a), abs(b))
