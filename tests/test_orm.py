"""What the ORM is asked, what it learns to write, and how what it writes is read."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from mathse.backbones.qwen2vl import Qwen2VL
from mathse.config import load
from mathse.feedback import parse_verdict
from mathse.feedback.asking import ask_for_verdict, openings, verdicts_by
from mathse.feedback.orm import by_threshold
from mathse.settings import settings
from mathse.steps.annotate import annotate, chosen
from mathse.steps.data import remaining
from mathse.steps.orm import verdict_text
from mathse.store import Artifact, Runtime, name_of, recipe_of
from mathse.teacher import Text
from mathse.types import Chat, Judged, Model, Problem, Solution, Status, Verdict, read_jsonl, write_jsonl

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
    assert verdict.brief == ((said, status) == ("correct", "wrong")), "it has no reason to give"


def test_a_threshold_that_is_no_probability_is_refused() -> None:
    with pytest.raises(ValueError, match="threshold should be float > 0 and < 1"):
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


# ---- its data ----


class Bench:
    """Remembers which step was run with what, and names each artifact by its recipe."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.calls: list[tuple[str, dict[str, Any], Artifact]] = []

    def __call__(self, step: Callable[..., Any], /, **inputs: Any) -> Artifact:
        name = name_of(recipe_of(step, inputs))
        self.calls.append((step.__name__, inputs, Artifact(name, self.root / name)))
        return self.calls[-1][2]

    def all(self, step: str) -> list[dict[str, Any]]:
        return [inputs for name, inputs, _ in self.calls if name == step]


def prepared(root: Path, *overrides: str) -> Bench:
    bench = Bench(root)
    orm = load(*overrides).orm
    taught, kept = Artifact("distill-00", root), Artifact("draw-00", root)
    orm.prepare(bench, taught, kept, Model(load().backbone))
    return bench


SECOND = (  # as conf/orm/full.yaml says
    "+backbone@orm.data.students.other.backbone=internvl25",
    "+orm.data.students.other={_target_:mathse.feedback.orm.Student,fit:${fit},lora:${lora},rounds:0}",
)


@pytest.mark.parametrize(
    ("overrides", "authors"),
    [
        ((), ["student"]),
        (("orm.data.students.student.rounds=2",), ["student", "student_1", "student_2"]),
        (SECOND, ["student", "other"]),
    ],
)
def test_the_orm_learns_from_every_student_and_each_of_its_rounds(
    overrides: tuple[str, ...], authors: list[str], tmp_path: Path
) -> None:
    bench = prepared(tmp_path, *overrides)
    assert [inputs["model"].name for inputs in bench.all("generate")] == authors
    (annotated,) = bench.all("annotate")
    assert len(set(annotated["judged"])) == len(authors)
    assert {inputs["problems"].name for inputs in bench.all("generate")} == {"draw-00"}
    families = [inputs["model"].backbone.family for inputs in bench.all("generate")]
    assert families[-1] == ("internvl25" if "other" in authors else "qwen2vl")


def test_a_later_round_learns_from_what_was_right_in_the_earlier_ones(tmp_path: Path) -> None:
    first, second = prepared(tmp_path, "orm.data.students.student.rounds=1").all("sft")
    assert len(first["data"]) == 1
    assert second["data"][:1] == first["data"]
    assert len(second["data"]) == 2
    assert second["start"] is None


def drafts(root: Path, counts: dict[tuple[str, str], tuple[int, int]]) -> Artifact:
    """Judged solutions: for each source and language so many right and wrong ones."""
    rows = []
    for (source, language), (right, wrong) in counts.items():
        for i in range(right + wrong):
            question = "图中的长度是多少？" if language == "zh" else "How long is it?"
            problem = Problem(f"{source}{language}{i}", question, (), "7", source=source)
            rows.append(Judged(Solution(problem, f"Step 1: {i}.", "student"), CORRECT if i < right else WRONG))
    root.mkdir(exist_ok=True)
    write_jsonl(root / "judged.jsonl", rows)
    return Artifact("judge-00", root)


COUNTS = {("a", "en"): (40, 40), ("b", "en"): (20, 40), ("a", "zh"): (8, 9)}


@pytest.mark.parametrize(
    ("size", "mix", "language", "pairs", "of_a"),
    [
        (None, {}, "any", 68, 48),
        (20, {}, "any", 10, None),
        (21, {}, "any", 10, None),
        (24, {"a": 1.0, "b": 1.0}, "any", 12, 6),
        (24, {"a": 2.0, "b": 1.0}, "any", 12, 8),
        (None, {"b": 1.0}, "any", 20, 0),
        (None, {}, "zh", 8, 8),
        (1000, {}, "en", 60, 40),
    ],
)
def test_size_mix_and_language_are_kept_in_halves_of_right_and_wrong(
    size: int | None, mix: dict[str, float], language: Any, pairs: int, of_a: int | None, tmp_path: Path
) -> None:
    wrong, right = chosen([drafts(tmp_path / "d", COUNTS)], size, mix, language, seed=0)
    assert (len(wrong), len(right)) == (pairs, pairs)
    assert {row.verdict.status for row in wrong} == {"wrong"}
    if of_a is not None:
        assert sum(row.solution.problem.source == "a" for row in right) == of_a
    assert chosen([drafts(tmp_path / "d", COUNTS)], size, mix, language, seed=0) == (wrong, right)


@pytest.mark.parametrize(
    ("mix", "language", "words"),
    [
        ({"c": 1.0}, "any", "no problem kept for the ORM has the source 'c'; there are a, b"),
        ({"a": 1.0, "c": 1.0}, "any", "source 'c'"),
        ({"b": 1.0}, "zh", "0 right and 0 wrong solutions that orm.data.mix and orm.data.language leave"),
    ],
)
def test_what_leaves_the_orm_nothing_to_learn_is_named(
    mix: dict[str, float], language: Any, words: str, tmp_path: Path
) -> None:
    judged = [drafts(tmp_path / "d", COUNTS)]
    with pytest.raises(ValueError, match=words):
        annotate(tmp_path, judged=judged, teacher=Sloppy(), size=None, mix=mix, language=language, seed=0)


@settings
class Sloppy:
    """An annotator that breaks the schema about problems 0 and 1, about 1 the second time too, gives away the answer of 2, and is cut off
    within its analysis of 4."""

    def __call__(self, chats: Sequence[Chat], *, schema: Any = None, index: int = 0) -> list[str]:
        def words(text: str) -> str:
            i = int(text.split("Step 1: ")[1].split(".")[0])
            if i == 1 or (i == 0 and index == 0):
                return "Well, well."
            said = {"status": "WRONG", "error_step": "Step 1", "error_analysis": "It is 7." if i == 2 else "No."}
            return Text(json.dumps(said)[:-3], "length") if i == 4 else json.dumps(said)

        return [words(chat[0].text) for chat in chats]


def test_an_annotation_that_cannot_be_used_is_asked_for_once_more_then_dropped_and_counted(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    judged = [drafts(tmp_path / "right", {("r", "en"): (9, 0)}), drafts(tmp_path / "wrong", {("w", "en"): (0, 5)})]
    counts = annotate(tmp_path / "out", judged=judged, teacher=Sloppy(), size=None, mix={}, language="any", seed=0)
    assert counts == {"wrong": 2, "right": 2, "dropped": 3, "teacher_calls": 5}
    written = read_jsonl(Judged, tmp_path / "out" / "judged.jsonl")
    assert Counter(row.verdict.status for row in written) == {"wrong": 2, "correct": 2}
    assert {row.solution.problem.id for row in written if row.verdict.status == "wrong"} == {"wen0", "wen3"}


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("orm.data.size=1", "orm.data.size should be at least 2"),
        ("orm.data.language=fr", "OrmData.language"),
        ("+orm.data.mix.a=0", "weights above 0"),
        ("~orm.data.students.student", "at least one Student"),
    ],
)
def test_a_mistake_about_the_data_names_the_setting(override: str, words: str) -> None:
    with pytest.raises((ValueError, TypeError), match=words):
        load(override)


def test_a_problem_that_asks_the_same_as_one_kept_for_the_orm_leaves_D(tmp_path: Path) -> None:
    def stored(name: str, problems: list[Problem]) -> Artifact:
        (tmp_path / name).mkdir()
        write_jsonl(tmp_path / name / "problems.jsonl", problems)
        return Artifact(name, tmp_path / name)

    for name, color in (("one.png", b"1"), ("same.png", b"1"), ("other.png", b"2")):
        (tmp_path / name).write_bytes(color)

    def problem(id: str, question: str, picture: str) -> Problem:
        return Problem(id, question, (str(tmp_path / picture),), "7")

    kept = problem("kept", "How long is it?", "one.png")
    others = [
        problem("twin", "how long  is it?", "same.png"),
        problem("other picture", "How long is it?", "other.png"),
        problem("other question", "How wide is it?", "one.png"),
    ]
    (tmp_path / "rest").mkdir()
    counts = remaining(tmp_path / "rest", problems=stored("all", [kept, *others]), solved=[stored("draw", [kept])])
    assert counts == {"problems": 2, "twins": 1}
    left = read_jsonl(Problem, tmp_path / "rest" / "problems.jsonl")
    assert [problem.id for problem in left] == ["other picture", "other question"]
