"""Prompts are chosen by the problem's language, and Chinese solutions are read as English ones are."""

from __future__ import annotations

import hashlib

import pytest

from mathse.answers import extract
from mathse.feedback.teacher import ANNOTATE_ZH, ask_for_annotation
from mathse.steps.generate import SOLVE_ZH, ask
from mathse.steps.reflect import REFLECT_ZH, WRITE_UP_ZH, WRONG, ask_for_reflection
from mathse.types import Judged, Problem, Solution, Verdict, language_of, steps_of

EN = Problem("e", "How long is the side AB?", (), "7")
ZH = Problem("z", "如图，AB=3cm，求△ABC的面积。", (), "7")


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (EN.question, "en"),
        (ZH.question, "zh"),
        ("计算 sin 30° + cos 60°", "zh"),
        ("What does the character 口 mean here?", "en"),
        ("若 AB=3cm，BC=4cm，求 AC", "zh"),
        ("3 + 4 = ?", "en"),
        ("", "en"),
    ],
)
def test_the_language_is_that_of_the_words(text: str, language: str) -> None:
    assert language_of(text) == language


@pytest.mark.parametrize(("problem", "language"), [(EN, "en"), (ZH, "zh")])
def test_the_teacher_is_asked_in_the_problems_language(problem: Problem, language: str) -> None:
    solution = Solution(problem, "1 + 2 = 3", "M_0")
    chats = [ask(problem), ask_for_annotation(solution), ask_for_reflection(Judged(solution, Verdict("wrong", 1, "")))]
    for (turn,) in chats:
        assert problem.question in turn.text
        assert language_of(turn.text.replace(problem.question, "")) == language


@pytest.mark.parametrize(
    "text",
    [
        "步骤1：AB=3。\n步骤2：3+4=7。\n这道题的答案是7。",
        "第1步：AB=3。\n第2步：3+4=7。\n答案是7。",
        "AB=3。\n3+4=7。\n这道题的答案是7。",
        "Step 1: AB=3。\nStep 2: 3+4=7。\nThe answer to this problem is 7.",
    ],
)
def test_a_chinese_solution_has_steps_and_an_answer(text: str) -> None:
    assert steps_of(text) == ["AB=3。", "3+4=7。"]
    assert extract(text, ZH) == "7"


@pytest.mark.parametrize(
    ("prompt", "pinned"),
    [
        (SOLVE_ZH, "2e9eeee5c3d6"),
        (ANNOTATE_ZH, "99fbe5bd9125"),
        (REFLECT_ZH, "f573453a50d2"),
        (WRITE_UP_ZH + "".join(WRONG["zh"]), "a78cb3582836"),
    ],
    ids=["solve", "annotate", "reflect", "write_up"],
)
def test_a_chinese_prompt_is_pinned(prompt: str, pinned: str) -> None:
    """Recipes hold the English prompt. Whoever changes the Chinese one raises the version of the steps that use it, and this pin."""
    assert hashlib.sha256(prompt.encode()).hexdigest()[:12] == pinned
