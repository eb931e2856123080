"""The offline teacher solves, annotates and repairs as a strong model would that sees the picture."""

from __future__ import annotations

import json
import re
from pathlib import Path
from random import Random

import pytest

from mathse.feedback.answer import matches
from mathse.feedback.gold_hint import HINT
from mathse.feedback.teacher import SCHEMA, ask_for_annotation
from mathse.figures import draw, family_names
from mathse.figures.data import save
from mathse.steps.generate import ask
from mathse.steps.reflect import ask_for_reflection
from mathse.teacher.figures import FiguresTeacher, program_of, slip
from mathse.types import Judged, Problem, Solution, Turn, Verdict

HONEST = FiguresTeacher(slip_rate=0.0, find_rate=0.5, seed=0)
CARELESS = FiguresTeacher(slip_rate=1.0, find_rate=0.5, seed=0)


def some(family: str, folder: Path, count: int = 20) -> list[Problem]:
    return [save(draw(family, Random(f"teach/{family}/{i}")), folder) for i in range(count)]


def solve(teacher: FiguresTeacher, problems: list[Problem]) -> list[Solution]:
    texts = teacher([ask(problem) for problem in problems])
    return [Solution(problem, text, "student") for problem, text in zip(problems, texts, strict=True)]


def slipped(problem: Problem, seed: int) -> tuple[Solution, int] | None:
    """A solution with one wrong step that changes the answer, and that step's number."""
    program, rng = program_of(problem.images[0]), Random(seed)
    forced = slip(program, {}, 0, rng)
    if not forced:
        return None
    values = program.values(forced)
    lines = [f"Step {i}: {line}" for i, line in enumerate(program.sentences(values, rng.choice), start=1)]
    solution = Solution(problem, "\n".join([*lines, f"The answer to this problem is {values[-1]}."]), "student")
    return None if matches(solution) else (solution, next(iter(forced)) + 1)


@pytest.mark.parametrize("family", family_names())
def test_it_solves_every_family_in_both_forms(family: str, tmp_path: Path) -> None:
    solutions = solve(HONEST, some(family, tmp_path))
    assert all(matches(solution) for solution in solutions)
    assert {bool(solution.problem.choices) for solution in solutions} == {True, False}


def test_its_wording_varies_and_the_same_call_gives_the_same_answer(tmp_path: Path) -> None:
    problems = some("rectangle", tmp_path)
    assert [s.text for s in solve(HONEST, problems)] == [s.text for s in solve(HONEST, problems)]
    chats = [ask(problem) for problem in problems]
    assert HONEST(chats, index=1) != HONEST(chats, index=2)
    openings = {re.sub(r"\d+", "", s.text.split("\n")[0]) for s in solve(HONEST, problems)}
    assert len(openings) > 1


def test_a_slip_mostly_spoils_the_answer(tmp_path: Path) -> None:
    solutions = [s for family in family_names() for s in solve(CARELESS, some(family, tmp_path, 8))]
    assert sum(matches(solution) for solution in solutions) < 0.25 * len(solutions)


@pytest.mark.parametrize("family", family_names())
def test_annotation_names_the_first_wrong_step_and_never_the_answer(family: str, tmp_path: Path) -> None:
    made = [slipped(problem, i) for i, problem in enumerate(some(family, tmp_path, 24))]
    cases = [case for case in made if case]
    assert len(cases) >= 10
    texts = HONEST([ask_for_annotation(solution) for solution, _ in cases], schema=SCHEMA)
    hits = 0
    for (solution, step), text in zip(cases, texts, strict=True):
        verdict = json.loads(text)
        assert set(verdict) == {"status", "error_step", "error_analysis"}
        assert verdict["status"] == "WRONG"
        problem = solution.problem
        value = problem.choices["ABCD".index(problem.answer)] if problem.choices else problem.answer
        for secret in (problem.answer, value):
            assert not re.search(rf"(?<!\w){re.escape(secret)}(?!\w)", verdict["error_analysis"])
        hits += verdict["error_step"] == f"Step {step}"
    assert hits >= 0.95 * len(cases)


def test_a_right_solution_is_called_correct(tmp_path: Path) -> None:
    solutions = solve(HONEST, [p for family in family_names() for p in some(family, tmp_path, 3)])
    texts = HONEST([ask_for_annotation(solution) for solution in solutions], schema=SCHEMA)
    assert {json.loads(text)["status"] for text in texts} == {"CORRECT"}


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("", "Step 1"),
        ("The answer to this problem is 999.", "Step 1"),
        ("Step 1: I like cats.\nThe answer to this problem is 999.", "Step 1"),
        ("no form at all", "Step 1"),
    ],
)
def test_a_solution_without_sense_is_wrong_from_its_first_step(text: str, step: str, tmp_path: Path) -> None:
    (problem,) = some("rectangle", tmp_path, 1)
    (annotation,) = HONEST([ask_for_annotation(Solution(problem, text, "student"))], schema=SCHEMA)
    assert json.loads(annotation)["error_step"] == step


def repaired(problems: list[Problem], shift: int | None, *, hint: bool = False) -> float:
    """The share of slipped solutions that are right after a reflection told the true wrong step, plus `shift`; None: told no step."""
    cases = [case for i, problem in enumerate(problems) if (case := slipped(problem, i))]
    if shift:
        cases = [(s, step) for s, step in cases if step + shift <= len(program_of(s.problem.images[0]).steps)]

    def words(solution: Solution) -> str:
        return HINT.format(answer=solution.problem.answer) if hint else "look again"

    rows = [Judged(s, Verdict("wrong", None if shift is None else step + shift, words(s))) for s, step in cases]
    texts = HONEST([ask_for_reflection(row) for row in rows])
    right = [matches(Solution(row.solution.problem, text, "teacher")) for row, text in zip(rows, texts, strict=True)]
    return sum(right) / len(right)


def test_feedback_decides_whether_a_repair_succeeds(tmp_path: Path) -> None:
    """The right place repairs, a later place keeps the mistake, no place leaves it to chance; the answer as a hint repairs."""
    problems = [p for family in family_names() for p in some(family, tmp_path, 10)]
    right, later, nothing = repaired(problems, 0), repaired(problems, 1), repaired(problems, None)
    assert right > 0.97
    assert later < 0.15
    assert later + 0.2 < nothing < right - 0.05
    assert repaired(problems, None, hint=True) > 0.97


def test_another_order_of_terms_and_more_spaces_are_no_mistake(tmp_path: Path) -> None:
    solutions = solve(HONEST, [p for family in family_names() for p in some(family, tmp_path, 5)])
    rewritten = [re.sub(r"(\w+) ([*+]) (\w+) =", r"\3  \2 \1  =", solution.text) for solution in solutions]
    chats = [ask_for_annotation(Solution(s.problem, text, "s")) for s, text in zip(solutions, rewritten, strict=True)]
    assert any(s.text != text for s, text in zip(solutions, rewritten, strict=True))
    assert {json.loads(text)["status"] for text in HONEST(chats, schema=SCHEMA)} == {"CORRECT"}


@pytest.mark.parametrize("value", ["0", "-3", "abc", "9" * 5000])
def test_a_reflection_stands_any_value_that_a_student_claims(value: str, tmp_path: Path) -> None:
    rows = []
    for problem in (p for family in family_names() for p in some(family, tmp_path, 4)):
        program = program_of(problem.images[0])
        sentences = program.sentences([value] * len(program.steps), lambda says: says[0])
        text = "\n".join(f"Step {i}: {sentence}" for i, sentence in enumerate(sentences, start=1))
        rows += [Judged(Solution(problem, text, "s"), Verdict("wrong", i)) for i in range(1, len(sentences) + 1)]
    for teacher in (HONEST, CARELESS):
        assert len(teacher([ask_for_reflection(row) for row in rows])) == len(rows)


def test_a_problem_that_no_program_drew_is_refused_with_what_to_do() -> None:
    with pytest.raises(ValueError, match="teacher=openai"):
        HONEST([(Turn("user", "What is 1 + 1?"),)])
