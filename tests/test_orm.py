"""What the ORM is asked, what it learns to write, and how what it writes is read."""

from __future__ import annotations

import pytest

from mathse.backbones.qwen2vl import Qwen2VL
from mathse.config import load
from mathse.feedback import parse_verdict
from mathse.feedback.orm import ask_for_verdict, by_threshold, openings, verdicts_by
from mathse.steps.orm import verdict_text
from mathse.store import Runtime
from mathse.types import Model, Problem, Solution, Status, Verdict

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


@pytest.mark.parametrize("use_reference", [False, True])
@pytest.mark.parametrize("analysis", [False, True])
def test_what_the_orm_learns_to_write_begins_with_one_of_the_openings(analysis: bool, use_reference: bool) -> None:
    correct, wrong = openings(use_reference)
    assert verdict_text(CORRECT, analysis, use_reference).startswith(correct)
    assert verdict_text(WRONG, analysis, use_reference).startswith(wrong)


@pytest.mark.parametrize(
    ("said", "score", "status", "step"),
    [
        ("correct", 0.9, "correct", None),
        ("correct", 0.7, "wrong", None),
        ("wrong", 0.1, "wrong", 2),
        ("wrong", 0.8, "correct", None),
        ("correct", None, "unreadable", None),
        ("unreadable", 0.9, "unreadable", None),
    ],
)
def test_a_threshold_decides_by_the_score(said: Status, score: float | None, status: Status, step: int | None) -> None:
    verdict = by_threshold(Verdict(said, 2 if said == "wrong" else None, score=score), 0.8)
    assert (verdict.status, verdict.error_step) == (status, step)


def test_a_threshold_that_is_no_probability_is_refused() -> None:
    with pytest.raises(ValueError, match="threshold should lie between 0 and 1"):
        load("orm.threshold=1.5")


def test_a_verdict_carries_its_score(backbone: Qwen2VL, problems: list[Problem], runtime: Runtime) -> None:
    solutions = [Solution(problem, "Step 1: It is 3.", "base") for problem in problems[:2]]
    chats = [ask_for_verdict(solution, True) for solution in solutions]
    base = Model(backbone)
    scores = [
        [verdict.score for verdict in verdicts_by(base, chats, solutions, 4, "orm", runtime, begin)]
        for begin in (openings(True), openings(True)[::-1])
    ]
    for score, other in zip(*scores, strict=True):
        assert score is not None
        assert other is not None
        assert score + other == pytest.approx(1)
    assert [verdict.score for verdict in verdicts_by(base, chats, solutions, 4, "self", runtime)] == [None, None]
