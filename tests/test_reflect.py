"""Reflection: which repairs are taken, what is learned of them, and what the report says of their quality."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mathse.figures.data import Figures
from mathse.report.reflection import quality, reflection_table
from mathse.settings import settings
from mathse.steps.reflect import reflect, write_up
from mathse.store import Artifact, Runtime, Store
from mathse.teacher import Ending, Text
from mathse.teacher.figures import FiguresTeacher, first_wrong_step
from mathse.types import Judged, Problem, Solution, Verdict, read_jsonl, steps_of, write_jsonl

EN = Problem("e", "How long is the side AB?", (), "7")
ZH = Problem("z", "如图，求边AB的长。", (), "7")
DRAFT = "Step 1: AB is 3.\nStep 2: 3 + 3 = 6.\nThe answer to this problem is 6."


@settings
class Rehearsed:
    """A teacher that says what it was given, a line a try; `(cut)` and `(refused)` behind it are how it ended."""

    says: tuple[str, ...]

    def __call__(self, chats: Sequence[Any], *, schema: Any = None, index: int = 0) -> list[str]:
        said, _, ended = self.says[index].partition(" (")
        how: dict[str, Ending] = {"": "stop", "cut)": "length", "refused)": "refused"}
        return [Text(said, how[ended]) for _ in chats]


def stored(folder: Path, rows: Sequence[Judged]) -> Artifact:
    folder.mkdir(parents=True)
    write_jsonl(folder / "judged.jsonl", rows)
    return Artifact(folder.name, folder)


def rejected(problem: Problem = EN, step: int | None = 2, analysis: str = "3 + 3 is no side.") -> Judged:
    return Judged(Solution(problem, DRAFT, "M_0"), Verdict("wrong", step, analysis, by="o"))


def repair(text: str, problem: Problem = EN, status: Any = "correct") -> Judged:
    return Judged(Solution(problem, text, "reflection on M_0"), Verdict(status, by="o"))


@pytest.mark.parametrize(
    ("says", "taken"),
    [
        (["3 + 4 = 7. The answer to this problem is 7."], 0),
        (["**Review and correct answer calculation**\n3 + 4 = 7\n$$\\boxed{7}$$"], 0),
        (["I see no mistake.", "So \\boxed{7}."], 1),
        (["The answer to this problem is 7, for (cut)", "The answer to this problem is 7."], 1),
        (["I cannot help with that: \\boxed{7} (refused)", "The answer to this problem is 7."], 1),
        (["I see no mistake.", "I still see none.", "The answer to this problem is 7."], None),
        (["", ""], None),
    ],
)
def test_what_states_no_answer_is_asked_for_once_more_then_dropped_and_counted(
    tmp_path: Path, says: list[str], taken: int | None
) -> None:
    diagnosed = stored(tmp_path / "diagnosed", [rejected()])
    metrics = reflect(tmp_path, diagnosed=diagnosed, teacher=Rehearsed(says=says), retries=1)  # type: ignore[arg-type]
    repairs = read_jsonl(Solution, tmp_path / "solutions.jsonl")
    assert [s.text for s in repairs] == ([] if taken is None else [says[taken].partition(" (")[0]])
    assert (metrics["solutions"], metrics["dropped"]) == (len(repairs), 1 - len(repairs))


def test_without_retries_nothing_is_asked_twice(tmp_path: Path) -> None:
    diagnosed = stored(tmp_path / "diagnosed", [rejected()])
    metrics = reflect(tmp_path, diagnosed=diagnosed, teacher=Rehearsed(says=("No.",)), retries=0)
    assert metrics["dropped"] == 1


def test_unreadable_diagnoses_are_not_sent(tmp_path: Path) -> None:
    rows = [Judged(rejected().solution, Verdict("unreadable", by="o"))]
    metrics = reflect(tmp_path, diagnosed=stored(tmp_path / "d", rows), teacher=Rehearsed(says=("",)), retries=1)
    assert metrics["teacher_calls"] == 0


OUTPUT = "Step 1: AB is 3 + 4.\nThe answer to this problem is 7."


@pytest.mark.parametrize(
    ("problem", "step", "analysis", "said"),
    [
        (EN, 2, "3 + 3 is no side.", "Draft:\n{}\nReflection: Step 2 is wrong. 3 + 3 is no side.\nSolution:\n{}"),
        (EN, None, "", "Draft:\n{}\nReflection: This draft is wrong.\nSolution:\n{}"),
        (ZH, 2, "3+3不是边长。", "初稿：\n{}\n反思：第2步是错的。 3+3不是边长。\n解答：\n{}"),
    ],
)
def test_a_write_up_is_draft_reflection_and_output(
    tmp_path: Path, problem: Problem, step: int | None, analysis: str, said: str
) -> None:
    diagnosed = stored(tmp_path / "diagnosed", [rejected(problem, step, analysis)])
    repaired = stored(tmp_path / "repaired", [repair(OUTPUT, problem)])
    write_up(tmp_path, repaired=repaired, diagnosed=diagnosed)
    (row,) = read_jsonl(Judged, tmp_path / "judged.jsonl")
    assert row.solution.text == said.format("Step 1: AB is 3.\nStep 2: 3 + 3 = 6.", OUTPUT)


def test_a_write_up_whose_answer_would_be_read_as_the_drafts_is_dropped_and_counted(tmp_path: Path) -> None:
    draft = Judged(Solution(EN, "So the answer to this problem is 6.", "M_0"), Verdict("wrong", by="o"))
    diagnosed = stored(tmp_path / "diagnosed", [draft])
    repaired = stored(tmp_path / "repaired", [repair("It is \\boxed{7}.")])
    assert write_up(tmp_path, repaired=repaired, diagnosed=diagnosed) == {"accepted": 0, "dropped": 1}


def test_rejected_repairs_are_not_written_up(tmp_path: Path) -> None:
    diagnosed = stored(tmp_path / "diagnosed", [rejected()])
    repaired = stored(tmp_path / "repaired", [repair(OUTPUT, status="wrong")])
    assert write_up(tmp_path, repaired=repaired, diagnosed=diagnosed) == {"accepted": 0, "dropped": 0}


def test_it_goes_through_the_store(tmp_path: Path, runtime: Runtime) -> None:
    """Names, prompts and settings of a real call have a stable identity."""
    store = Store(tmp_path, runtime)
    teacher = FiguresTeacher(slip_rate=0.0, find_rate=1.0, seed=0)
    diagnosed = stored(tmp_path / "diagnosed-0", [])
    once = store.run(reflect, diagnosed=diagnosed, teacher=teacher, retries=1)
    assert once.name != store.run(reflect, diagnosed=diagnosed, teacher=teacher, retries=0).name


# ---- quality ----


@pytest.fixture
def slipped(tmp_path: Path) -> list[Judged]:
    """Wrong solutions of figures' problems, each with its true first wrong step."""
    problems = Figures(size=40, seed=5, split="train", families=()).write(tmp_path)
    careless = FiguresTeacher(slip_rate=1.0, find_rate=0.0, seed=0)
    from mathse.steps.generate import ask

    texts = careless([ask(problem) for problem in problems])
    solutions = [Solution(problem, text, "M_0") for problem, text in zip(problems, texts, strict=True)]
    steps = [(solution, first_wrong_step(solution)) for solution in solutions]
    rows = [Judged(solution, Verdict("wrong", step, by="o")) for solution, step in steps if step]
    assert len(rows) >= 20
    return rows


def test_the_program_knows_the_first_wrong_step(slipped: list[Judged]) -> None:
    assert all(1 <= (row.verdict.error_step or 0) <= len(steps_of(row.solution.text)) for row in slipped)
    right = FiguresTeacher(slip_rate=0.0, find_rate=0.0, seed=0)
    from mathse.steps.generate import ask

    problem = slipped[0].solution.problem
    assert first_wrong_step(Solution(problem, right([ask(problem)])[0], "teacher")) == 0
    assert first_wrong_step(rejected().solution) is None


def test_quality_tells_right_steps_from_wrong_ones_and_counts_what_slips_through(slipped: list[Judged]) -> None:
    def diagnosed(i: int) -> Judged:
        row = slipped[i]
        step = row.verdict.error_step if i < 6 else 99 if i < 10 else None
        return Judged(row.solution, Verdict("wrong", step, by="o"))

    def repaired(i: int, *, right: bool, status: Any) -> Judged:
        problem = slipped[i].solution.problem
        answer = problem.answer if right else "nothing"
        return repair(f"The answer to this problem is {answer}.", problem, status)

    sent = [diagnosed(i) for i in range(12)]
    repairs = [
        *(repaired(i, right=True, status="correct") for i in range(5)),
        repaired(5, right=True, status="wrong"),
        *(repaired(i, right=False, status="correct") for i in (6, 7)),
        repaired(8, right=False, status="unreadable"),
    ]
    rows = {row["named"]: row for row in quality(sent, repairs)}
    counts = ("sent", "dropped", "repaired", "accepted", "accepted_wrong")
    assert {kind: [row[count] for count in counts] for kind, row in rows.items()} == {
        "all": [12, 3, 6, 7, 2],
        "right": [6, 0, 6, 5, 0],
        "wrong": [4, 1, 0, 2, 2],
        "none": [2, 2, 0, 0, 0],
    }
    assert rows["all"]["repaired_ci95"] == pytest.approx([0.254, 0.746], abs=1e-3)  # Wilson, 6 of 12
    assert json.dumps(list(rows.values()))


def test_where_no_program_knows_the_steps_they_are_called_unknown() -> None:
    rows = quality([rejected()], [repair(OUTPUT)])
    assert [(row["named"], row["repaired"]) for row in rows] == [("all", 1), ("unknown", 1)]


def test_the_table_names_the_source_and_indents_its_parts() -> None:
    table = reflection_table(quality([rejected(), rejected(ZH, None)], [repair(OUTPUT)]))
    assert [row[0] for row in table[1:]] == ["o", "  step named, truth unknown", "  no step"]
    assert {len(row) for row in table} == {len(table[0])}
