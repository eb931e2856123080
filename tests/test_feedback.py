"""Every feedback source prepares, says who it is, and judges by its own rule."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import loaded

from mathse.backbones.qwen2vl import Qwen2VL
from mathse.config import CONF, load
from mathse.feedback import Feedback, Source, parse_verdict
from mathse.feedback.asking import ask_for_verdict
from mathse.feedback.both import Both
from mathse.feedback.completions import Completer, Completions, begun_after_each_step
from mathse.feedback.prm import ProcessReward, Scores, StepJudge, verdict_of
from mathse.feedback.self import SelfCritic, SelfCritique, ask_for_critique
from mathse.feedback.teacher import TeacherCritic, ask_for_annotation, reveals
from mathse.generation import Sampling
from mathse.settings import settings
from mathse.steps.generate import ask
from mathse.steps.reflect import ask_for_reflection
from mathse.store import Artifact, Runtime, canonical, name_of, recipe_of, restore
from mathse.teacher import Ending, Text
from mathse.teacher.figures import FiguresTeacher
from mathse.types import Chat, Judged, Model, Problem, Solution, Status, Verdict, steps_of

SOURCES = sorted(path.stem for path in (CONF / "feedback").glob("*.yaml"))
JUDGES = sorted(path.stem for path in (CONF / "judge").glob("*.yaml"))
PROBLEM = Problem("p", "How large is it?", (), "28")
RIGHT = Solution(PROBLEM, "Step 1: The width is 7.\nStep 2: 7 * 4 = 28.\nThe answer to this problem is 28.", "M_0")
WRONG = Solution(PROBLEM, "Step 1: The width is 7.\nStep 2: 7 * 4 = 30.\nThe answer to this problem is 30.", "M_0")


class Bench:
    """Runs no step, but names what each would leave, as the store does."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.inputs: dict[str, dict[str, Any]] = {}

    def __call__(self, step: Callable[..., Any], /, **inputs: Any) -> Artifact:
        name = name_of(recipe_of(step, inputs))
        self.inputs[name] = inputs
        folder = self.root / name
        folder.mkdir(exist_ok=True)
        (folder / "record.json").write_text(json.dumps({"metrics": {}}))
        return Artifact(name, folder)

    def prepare(self, feedback: Feedback) -> Source:
        taught, kept, adapter = (self(step) for step in (taught_, kept_, sft_))
        return feedback.prepare(self, taught, kept, Model(loaded().backbone, adapter, "M_2"))


def taught_() -> None: ...
def kept_() -> None: ...
def sft_() -> None: ...


def source(name: str, bench: Bench) -> Source:
    return bench.prepare(loaded(f"feedback={name}").feedback)


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_prepares_and_can_be_part_of_a_recipe(name: str, tmp_path: Path) -> None:
    ready = source(name, Bench(tmp_path))
    assert restore(json.loads(json.dumps(canonical(ready))), tmp_path) == ready
    assert ready.by


def test_each_source_signs_with_a_name_of_its_own(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert len({source(name, bench).by for name in SOURCES}) == len(SOURCES)


def test_a_judge_is_the_source_of_the_same_name_and_only_the_blind_ones_are_none() -> None:
    assert sorted(set(SOURCES) - set(JUDGES)) == ["gold_hint", "none"]
    for name in set(JUDGES) - {"unfiltered"}:  # who accepts all has nothing to say of what is rejected
        exp = load(f"judge={name}", f"feedback={name}")
        assert exp.judge == exp.feedback


def test_without_a_filter_everything_is_accepted(runtime: Runtime, tmp_path: Path) -> None:
    ready = Bench(tmp_path).prepare(load("judge=unfiltered").judge)
    empty = Solution(PROBLEM, "", "M_0")
    assert [verdict.status for verdict in ready([RIGHT, WRONG, empty], runtime)] == ["correct"] * 3
    assert restore(json.loads(json.dumps(canonical(ready))), tmp_path) == ready


def test_the_binary_orm_shares_all_but_its_training_with_the_full_one(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    full = source("orm", bench)
    before = set(bench.inputs)
    binary = source("binary", bench)
    made = {name.split("-")[0]: bench.inputs[name] for name in set(bench.inputs) - before}
    assert set(made) == {"train_orm", "test_orm"}
    theirs = next(inputs for name, inputs in bench.inputs.items() if name == full.by)
    assert {key for key in theirs if theirs[key] != made["train_orm"][key]} == {"analysis"}
    assert source("binary", bench) == binary
    assert load("feedback=binary", "orm.fit.epochs=7").feedback.orm.fit.epochs == 7  # type: ignore[attr-defined]


@settings
class ToyOrm:
    """Says of every solution what it was made to say."""

    says: str
    step: int | None

    @property
    def by(self) -> str:
        return "toy"

    def prepare(self, run: Any, taught: Artifact, kept: Artifact, model: Model) -> ToyOrm:
        return self

    def __call__(self, solutions: Sequence[Solution], runtime: Runtime, *, why: bool = True) -> list[Verdict]:
        return [Verdict(self.says, self.step, "why", by=self.by) for _ in solutions]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("says", "step", "solution", "status"),
    [
        ("correct", None, RIGHT, "correct"),
        ("correct", None, WRONG, "wrong"),
        ("wrong", 2, RIGHT, "wrong"),
        ("wrong", 2, WRONG, "wrong"),
        ("unreadable", None, RIGHT, "unreadable"),
        ("unreadable", None, WRONG, "wrong"),
    ],
)
def test_both_accept_only_together_and_the_orm_says_where(
    says: str, step: int | None, solution: Solution, status: Status, runtime: Runtime, tmp_path: Path
) -> None:
    ready = Bench(tmp_path).prepare(Both(orm=ToyOrm(says=says, step=step)))
    (verdict,) = ready([solution], runtime)
    assert (verdict.status, verdict.error_step, verdict.by) == (status, step, "both/toy")


def test_neither_who_solves_nor_who_repairs_is_told_the_answer() -> None:
    for (turn,) in (ask(PROBLEM), ask_for_reflection(Judged(WRONG, Verdict("wrong", 2, "It is not 30.")))):
        assert PROBLEM.question in turn.text
        assert PROBLEM.answer not in turn.text


def test_a_hint_reaches_the_reflection_and_names_no_step(runtime: Runtime, tmp_path: Path) -> None:
    (verdict,) = source("gold_hint", Bench(tmp_path))([WRONG], runtime)
    assert (verdict.status, verdict.error_step) == ("wrong", None)
    (turn,) = ask_for_reflection(Judged(WRONG, verdict))
    assert "<error_step></error_step>" in turn.text
    assert "The correct answer is 28." in turn.text


@settings
class ToyTeacher:
    """Answers each chat with the same words."""

    words: str

    def __call__(self, chats: Sequence[Chat], *, schema: Any = None, index: int = 0) -> list[str]:
        return [self.words] * len(chats)


@pytest.mark.parametrize(
    ("words", "verdict"),
    [
        ('{"status": "CORRECT", "error_step": null, "error_analysis": null}', ("correct", None, "")),
        ('{"status": "WRONG", "error_step": "7 * 4 = 30", "error_analysis": "Not 30."}', ("wrong", 2, "Not 30.")),
        ('{"status": "WRONG", "error_step": "Step 2", "error_analysis": "It is 28."}', ("wrong", 2, "")),
        ("I am sorry, I cannot judge that.", ("unreadable", None, "")),
    ],
)
def test_the_teacher_is_read_and_does_not_give_the_answer_away(
    words: str, verdict: tuple[str, int | None, str], runtime: Runtime
) -> None:
    (said,) = TeacherCritic(teacher=ToyTeacher(words=words))([WRONG], runtime)
    assert (said.status, said.error_step, said.analysis) == verdict
    assert (said.by, said.raw) == ("teacher", words)


@pytest.mark.parametrize(
    ("words", "ended", "verdict"),
    [
        ('{"status": "CORRECT", "error_st', "length", ("unreadable", None, "")),
        ('{"status": "CORRECT", "error_step": null, "error_ana', "length", ("correct", None, "")),
        (
            '{"status": "WRONG", "error_step": "Step 2", "error_analysis": "The product',
            "length",
            ("wrong", 2, "The product"),
        ),
        ('{"status": "CORRECT", "error_step": null, "error_analysis": null}', "refused", ("unreadable", None, "")),
    ],
)
def test_of_a_teachers_words_that_are_not_whole_a_settled_status_counts_and_of_a_refusal_nothing(
    words: str, ended: Ending, verdict: tuple[str, int | None, str], runtime: Runtime
) -> None:
    (said,) = TeacherCritic(teacher=ToyTeacher(words=Text(words, ended)))([WRONG], runtime)
    assert (said.status, said.error_step, said.analysis) == verdict


@pytest.mark.parametrize(
    "ask", [ask_for_annotation, ask_for_critique, lambda solution: ask_for_verdict(solution, True)]
)
def test_a_judge_that_only_repeats_what_it_was_asked_has_said_nothing(ask: Callable[[Solution], Chat]) -> None:
    (turn,) = ask(WRONG)
    assert parse_verdict(turn.text, solution=WRONG.text).status == "unreadable"


@pytest.mark.parametrize(
    ("answer", "choices", "analysis", "says"),
    [
        ("28", (), "It should be 28.", True),
        ("28", (), "It should not be 280 or 1.285.", False),
        ("B", ("12", "28"), "The right choice is B.", True),
        ("B", ("12", "28"), "7 times 4 is 28.", True),
        ("28", ("12", "28"), "7 times 4 is 28.", True),
        ("B", ("12", "28"), "7 times 4 is not 12.", False),
        ("B", ("red", "dark blue"), "The bar is dark blue.", True),
        ("B", ("red", "dark blue"), "The bar is blue.", False),
        ("", (), "Look at the width.", False),
    ],
)
def test_an_analysis_reveals_the_answer_by_its_letter_or_by_the_words_of_the_choice(
    answer: str, choices: tuple[str, ...], analysis: str, says: bool
) -> None:
    solution = Solution(Problem("p", "How large is it?", (), answer, choices), "Step 1: It is 3.", "M_0")
    assert reveals(Verdict("wrong", 1, analysis), solution) == says


def test_the_offline_teacher_judges_real_problems(problems: list[Problem], runtime: Runtime) -> None:
    critic = TeacherCritic(teacher=FiguresTeacher(slip_rate=0.0, find_rate=0.5, seed=0))
    nonsense = [Solution(p, "Step 1: I like cats.\nThe answer to this problem is 999.", "M_0") for p in problems]
    assert {(verdict.status, verdict.error_step) for verdict in critic(nonsense, runtime)} == {("wrong", 1)}


def test_the_model_criticises_itself_without_the_reference_answer(
    backbone: Qwen2VL, problems: list[Problem], runtime: Runtime, tmp_path: Path
) -> None:
    assert "28" not in ask_for_critique(Solution(PROBLEM, "Step 1: It is 3.", "M_0"))[0].text
    ready = Bench(tmp_path).prepare(SelfCritique(max_new_tokens=8))
    assert isinstance(ready, SelfCritic)
    assert ready.model.name == "M_2"
    base = SelfCritic(model=Model(backbone), max_new_tokens=8)
    verdicts = base([Solution(problem, "Step 1: It is 3.", "base") for problem in problems[:2]], runtime)
    assert [(verdict.status, verdict.by) for verdict in verdicts] == [("unreadable", "self/base")] * 2


@pytest.mark.parametrize(
    ("solution", "shares", "status", "step", "score"),
    [
        (RIGHT, [1.0, 0.5], "correct", None, 0.5),
        (RIGHT, [0.5, 0.0], "wrong", 2, 0.0),
        (WRONG, [0.0, 0.0], "wrong", 1, 0.0),
        (WRONG, [0.5, 0.25], "wrong", None, 0.25),
        (Solution(PROBLEM, "", "M_0"), [], "unreadable", None, None),
    ],
)
def test_the_first_step_under_the_threshold_is_the_wrong_one(
    solution: Solution, shares: list[float], status: Status, step: int | None, score: float | None
) -> None:
    assert len(begun_after_each_step(solution)) == len(shares)
    verdict = verdict_of(Scores(shares, ends_wrong=solution is WRONG), 0.25, "prm")
    assert (verdict.status, verdict.error_step, verdict.score) == (status, step, score)


def test_completions_go_on_from_the_end_of_each_step_and_do_not_see_the_answer() -> None:
    assert begun_after_each_step(WRONG) == [
        "Step 1: The width is 7.\n",
        "Step 1: The width is 7.\nStep 2: 7 * 4 = 30.\n",
    ]


def test_steps_are_scored_alike_in_any_batch(backbone: Qwen2VL, problems: list[Problem], runtime: Runtime) -> None:
    completions = Completions(sampling=Sampling(temperature=1.0, top_p=1.0, samples=2, max_new_tokens=4), seed=0)
    judge = StepJudge(scorer=Completer(model=Model(backbone), completions=completions), threshold=0.5)
    begun = "Step 1: So. The answer to this problem is {}.\nStep 2: Well."  # even what an untaught model adds leaves it right
    solutions = [Solution(p, begun.format(p.answer), "base") for p in problems[:2]]
    solutions.append(Solution(problems[2], "Step 1: It is so.", "base"))
    verdicts = judge(solutions, runtime)
    assert verdicts == [verdict for solution in solutions for verdict in judge([solution], runtime)]
    assert [(verdict.status, verdict.error_step) for verdict in verdicts] == [("correct", None)] * 2 + [("wrong", 1)]


@settings
class ByLength:
    """A scorer that likes short steps, and is blind to the answer."""

    @property
    def by(self) -> str:
        return "length"

    def prepare(self, run: Any, taught: Artifact, kept: Artifact, model: Model) -> ByLength:
        return self

    def __call__(self, solutions: Sequence[Solution], runtime: Runtime) -> list[Scores]:
        return [Scores([min(1.0, 4 / len(step)) for step in steps_of(solution.text)]) for solution in solutions]


def test_any_scorer_of_steps_can_judge(runtime: Runtime, tmp_path: Path) -> None:
    judge = Bench(tmp_path).prepare(ProcessReward(scorer=ByLength(), threshold=0.5))
    solutions = [
        Solution(PROBLEM, f"Step 1: 3.\nStep 2: {step}\nThe answer to this problem is 30.", "M_0")
        for step in ("5.", "5 + 5 + 5.")
    ]
    short, long = judge(solutions, runtime)
    assert (short.status, short.error_step, short.by) == ("correct", None, "prm/length")
    assert (long.status, long.error_step, long.score) == ("wrong", 2, 0.4)


def test_a_threshold_that_no_step_could_miss_is_refused() -> None:
    with pytest.raises(ValueError, match="threshold should be float > 0 and <= 1"):
        load("feedback=prm", "feedback.threshold=0")
