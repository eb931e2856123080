"""What the ORM is asked, what it learns to write, and how what it writes is read."""

from __future__ import annotations

import pytest

from mathse.feedback import parse_verdict
from mathse.feedback.orm import ask_for_verdict
from mathse.steps.orm import verdict_text
from mathse.types import Problem, Solution, Verdict

PROBLEM = Problem("p", "How wide is it?", (), "28")
WRONG = Verdict("wrong", 2, "The sum is wrong.")
CORRECT = Verdict("correct")


@pytest.mark.parametrize("use_reference", [False, True])
@pytest.mark.parametrize("analysis", [False, True])
@pytest.mark.parametrize("verdict", [WRONG, CORRECT])
def test_what_the_orm_learns_to_write_is_read_as_what_was_meant(
    verdict: Verdict, analysis: bool, use_reference: bool
) -> None:
    read = parse_verdict(verdict_text(verdict, analysis, use_reference))
    assert read.status == verdict.status
    if analysis:
        assert (read.error_step, read.analysis) == (verdict.error_step, verdict.analysis)
    else:
        assert (read.error_step, read.analysis) == (None, "")


def test_shown_the_reference_answer_the_orm_first_says_whether_the_answers_are_the_same() -> None:
    assert verdict_text(WRONG, True, True).startswith("Different. {")
    assert verdict_text(CORRECT, True, True).startswith("The same. {")
    assert verdict_text(WRONG, True, False).startswith("{")


@pytest.mark.parametrize("use_reference", [False, True])
def test_the_reference_answer_is_in_the_prompt_only_where_it_is_asked_for(use_reference: bool) -> None:
    (turn,) = ask_for_verdict(Solution(PROBLEM, "Step 1: 7 + 7 = 14.", "M_0"), use_reference)
    assert ("28" in turn.text) == use_reference
    assert PROBLEM.question in turn.text
    assert "7 + 7 = 14" in turn.text
