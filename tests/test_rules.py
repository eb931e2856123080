"""The rules that score a response: each benchmark's authors', the strict and the lenient one."""

from __future__ import annotations

import random
from typing import Any

import pytest

from mathse.answers.values import value
from mathse.benchmarks.mathvision import extracted, same
from mathse.benchmarks.mathvista import authors, distance, nearest
from mathse.benchmarks.scoring import Response, lenient, strict
from mathse.types import Problem


def vista(**facts: Any) -> Problem:
    choices = facts.pop("choices", ())
    return Problem("1", "?", (), "A" if choices else facts["answer"], choices, facts={"precision": None, **facts})


SHADES = ("light blue", "blue", "red")


@pytest.mark.parametrize(
    ("extraction", "choice"),
    [
        ("(b) light blue", "blue"),
        ("C", "red"),
        ("c", "red"),
        ("blues", "blue"),
        ("", "red"),
        ("Z", "red"),
        ("(Z) blue", "red"),
    ],
)
def test_mathvista_takes_a_letters_choice_or_the_nearest(extraction: str, choice: str) -> None:
    assert nearest(extraction, SHADES) == choice


@pytest.mark.parametrize(
    ("kind", "answer", "extraction", "in_2023", "today"),
    [
        ("integer", "10", "10", "correct", "correct"),
        ("integer", "10", "10.0", "wrong", "correct"),
        ("integer", "10", "10 cm", "wrong", "wrong"),
        ("integer", "10", "inf", "wrong", "wrong"),
        ("integer", "10", "9" * 10_000, "wrong", "wrong"),
        ("float", "1.2", "1.249", "correct", "correct"),
        ("list", "[1, 2]", "[1, 2]", "correct", "correct"),
        ("list", "[1, 2]", "[1,2]", "wrong", "wrong"),
    ],
)
def test_mathvistas_numbers_by_the_rule_of_2023_and_of_today(
    kind: str, answer: str, extraction: str, in_2023: str, today: str
) -> None:
    problem = vista(answer=answer, answer_type=kind, precision=1)
    response = Response("1", "", extraction, own=False)
    assert authors(problem, response, integer=2023).status == in_2023
    assert authors(problem, response, integer="today").status == today


def test_the_edit_distance_is_levenshteins() -> None:
    def slow(a: str, b: str) -> int:
        row = list(range(len(b) + 1))
        for i, x in enumerate(a, start=1):
            above, row = row, [i]
            for j, y in enumerate(b, start=1):
                row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (x != y)))
        return row[-1]

    dice = random.Random(0)
    for _ in range(300):
        a, b = ("".join(dice.choice("abc ") for _ in range(dice.randrange(12))) for _ in range(2))
        assert distance(a, b) == slow(a, b), (a, b)


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        ("So the answer is (C).", "c"),
        ("B\nbecause", "b"),
        ("The answer is 12. It follows", "12"),
        ("the sum is 7.", "7"),
        (r"First \boxed{3}, so \boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{x = 5 \text{ units}}", "5"),
        (r"\boxed{90^\circ}", "90"),
        ("nothing", "nothing"),
        ("", ""),
    ],
)
def test_mathvisions_rule_takes_its_answer(response: str, answer: str) -> None:
    assert extracted(response) == answer


@pytest.mark.parametrize(
    ("reference", "answer", "equal"),
    [
        ("C", "c", True),
        ("8.0", "8", True),
        (r"$\frac{10}{91}$", r"\frac{1}{9}", True),
        ("3: 2", r"\frac{3}{2}", True),
        ("(3,-4)", "(3.001,-4)", True),
        (r"$\frac{3^{1008}-1}{3^{1009}}$", r"\frac{1}{3}", True),
        ("(3,-4)", "(3,4)", False),
        ("5", "5cm", False),
        ("5", "", False),
        ("9", "9**9**9", False),
        ("0", "__import__('os').system('true')", False),
    ],
)
def test_mathvision_compares_strings_lists_and_numbers_to_two_decimals(
    reference: str, answer: str, equal: bool
) -> None:
    assert same(reference, answer) is equal


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("60", 60),
        ("1,234.5", 1234.5),
        (r"\frac12", 0.5),
        (r"\frac{\sqrt3}{2}", 0.8660254),
        (r"2\sqrt{3}\cdot\pi", 10.8827962),
        (r"\sqrt[3]{-8}", None),
        (r"\sqrt[3]{8}", 2),
        (r"-2^2", -4),
        (r"\sin(\frac{\pi}{6})", 0.5),
        (r"|{-3}| + 4!", 27),
        (r"25\%", 0.25),
        ("5)", 5),
        ("2x", None),
        ("1/0", None),
        ("9^9^9", None),
        ("9^{9^{9^9}}", None),
        ("(" * 100 + "1" + ")" * 100, None),
        ("1" * 300, None),
        ("-" * 199 + "1", -1),
        ("", None),
        ("(1).__class__", None),
    ],
)
def test_a_latex_number_has_its_value_and_nothing_else_has_one(text: str, number: float | None) -> None:
    found = value(text)
    assert found is None if number is None else found == pytest.approx(number)


@pytest.mark.parametrize(
    ("reference", "text", "by_strict", "by_lenient"),
    [
        ("12", "The answer to this problem is 12", "correct", "correct"),
        ("12", "So we get 12", "wrong", "correct"),
        (r"2\sqrt{3}", r"\boxed{\sqrt{12}}", "wrong", "correct"),
        ("6.28", r"\boxed{2\pi}", "wrong", "correct"),
        ("6.28", r"\boxed{2}", "wrong", "wrong"),
        ("12", "no idea", "wrong", "wrong"),
        ("a square", r"\boxed{square}", "wrong", "undecided"),
    ],
)
def test_the_strict_and_the_lenient_rule(reference: str, text: str, by_strict: str, by_lenient: str) -> None:
    problem = Problem("1", "?", (), reference)
    assert strict(problem, Response("1", text)).status == by_strict
    assert lenient(problem, Response("1", text)).status == by_lenient
