"""Algorithm 1 as sentences. The steps that need a model are replaced by toys; everything else is the real thing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from conftest import loaded

from mathse.algorithm import mathse
from mathse.config import Experiment
from mathse.settings import settings
from mathse.steps.data import accepted, judged_rows, rejected
from mathse.steps.generate import generate
from mathse.steps.sft import distinct, sft
from mathse.store import Artifact, Runtime, Store
from mathse.types import Judged, Model, Problem, Problems, Solution, Verdict, read_jsonl, write_jsonl

SIZE, KEPT, SEED = 60, 10, 12


@settings
class ToyProblems:
    """Numbered problems: number n has the answer n; n % 3 says in which round a toy model can solve it."""

    size: int

    def write(self, out: Path) -> list[Problem]:
        return [Problem(f"p{n}", f"What is {n}?", (), str(n), source="ab"[n % 2]) for n in range(self.size)]


@settings
class ToyTeacher:
    """Knows every answer, except that it is wrong about numbers that end in 7."""

    def __call__(self, chats: Sequence[Any], *, schema: Any = None, index: int = 0) -> list[str]:
        numbers = [chat[0].text.split("What is ")[1].split("?")[0] for chat in chats]
        return [f"The answer to this problem is {'0' if n.endswith('7') else n}." for n in numbers]


@settings
class ToyJudge:
    """Right or wrong by the answer; what is said about numbers that end in 9 cannot be read."""

    @property
    def by(self) -> str:
        return "toy"

    def prepare(self, run: Any, taught: Artifact, kept: Artifact, model: Model) -> ToyJudge:
        return self

    def __call__(self, solutions: Sequence[Solution], runtime: Runtime, *, why: bool = True) -> list[Verdict]:
        def verdict(solution: Solution) -> Verdict:
            if solution.problem.answer.endswith("9"):
                return Verdict("unreadable", by="toy")
            right = f"is {solution.problem.answer}." in solution.text
            return Verdict("correct" if right else "wrong", None if right else 1, by="toy")

        return [verdict(solution) for solution in solutions]


@settings
class ToyCritic:
    """Signs with the name of the model that was current when it was prepared."""

    by: str

    def prepare(self, run: Any, taught: Artifact, kept: Artifact, model: Model) -> ToyCritic:
        return ToyCritic(by=model.name)

    def __call__(self, solutions: Sequence[Solution], runtime: Runtime, *, why: bool = True) -> list[Verdict]:
        return [Verdict(verdict.status, verdict.error_step, by=self.by) for verdict in ToyJudge()(solutions, runtime)]


def toy_sft(out: Path, *, data: list[Artifact], **rest: Any) -> dict[str, float]:
    write_jsonl(out / "judged.jsonl", distinct(accepted(data)))
    return {}


def toy_generate(out: Path, *, model: Any, problems: Artifact, **rest: Any) -> dict[str, float]:
    """M_0 can solve a third of the problems, M_1 two thirds."""
    able = int(model.name.removeprefix("M_")) + 1
    todo = read_jsonl(Problem, problems.path / "problems.jsonl")
    texts = [f"The answer to this problem is {p.answer if int(p.answer) % 3 < able else 'unknown'}." for p in todo]
    write_jsonl(out / "solutions.jsonl", [Solution(p, text, model.name) for p, text in zip(todo, texts, strict=True)])
    return {}


TOYS: dict[Callable[..., Any], Callable[..., Any]] = {sft: toy_sft, generate: toy_generate}


class Lab:
    """A store that remembers the calls, with toys in the places of models."""

    def __init__(self, root: Path) -> None:
        self.store = Store(root, loaded().runtime)
        self.calls: list[tuple[str, dict[str, Any], Artifact]] = []

    def run(self, step: Callable[..., Any], /, **inputs: Any) -> Artifact:
        artifact = self.store.run(TOYS.get(step, step), **inputs)
        self.calls.append((step.__name__, inputs, artifact))
        return artifact

    def all(self, step: str) -> list[tuple[dict[str, Any], Artifact]]:
        return [(inputs, artifact) for name, inputs, artifact in self.calls if name == step]


def run(
    root: Path, schedule: Any = "never", how: Mapping[str, Any] = MappingProxyType({}), **changes: Any
) -> tuple[Lab, list[Any]]:
    """Algorithm 1 with toys; `how`: other settings of reflection."""
    toys: dict[str, Any] = {"teacher": ToyTeacher(), "judge": ToyJudge(), "feedback": ToyJudge()}
    sizes: dict[str, Any] = {"data": ToyProblems(size=SIZE), "seed_size": SEED, "orm_problems": KEPT}
    reflection = dataclasses.replace(loaded().reflection, schedule=schedule, **how)
    exp: Experiment = dataclasses.replace(loaded(), **{**toys, **sizes, "reflection": reflection, **changes})
    lab = Lab(root)
    from mathse.steps.data import load as load_problems

    return lab, list(mathse(exp, Problems(lab.store.run(load_problems, data=exp.data), []), lab.run))


def problems(artifact: Artifact) -> set[str]:
    return {problem.id for problem in read_jsonl(Problem, artifact.path / "problems.jsonl")}


def learned(artifact: Artifact) -> set[str]:
    return {row.solution.problem.id for row in read_jsonl(Judged, artifact.path / "judged.jsonl")}


def solved(artifact: Artifact) -> set[str]:
    return {row.solution.problem.id for row in accepted([artifact])}


def test_there_is_one_model_a_stage_and_round(tmp_path: Path) -> None:
    _, models = run(tmp_path, K=2, schedule="final")
    assert [model.name for model in models] == ["M_0", "M_1", "M_2", "M_final"]


def test_K_0_without_reflection_is_plain_distillation(tmp_path: Path) -> None:
    lab, models = run(tmp_path, K=0, schedule="never")
    assert [model.name for model in models] == ["M_0"]
    assert not lab.all("generate")
    assert not lab.all("reflect")


def test_K_0_has_nothing_to_reflect_on(tmp_path: Path) -> None:
    _, models = run(tmp_path, K=0, schedule="final")
    assert [model.name for model in models] == ["M_0"]


def test_the_teacher_is_asked_about_the_seed_problems_only(tmp_path: Path) -> None:
    lab, _ = run(tmp_path, K=2, schedule="never")
    ((inputs, _),) = lab.all("distill")
    assert len(problems(inputs["problems"])) == SEED


def test_problems_kept_for_the_orm_are_never_solved_nor_trained_on(tmp_path: Path) -> None:
    lab, _ = run(tmp_path, K=2, schedule="final")
    kept = problems(lab.all("draw")[0][1])
    assert len(kept) == KEPT
    for inputs, _ in [*lab.all("generate"), *lab.all("distill")]:
        assert not kept & problems(inputs["problems"])
    for _, artifact in lab.all("sft"):
        assert not kept & learned(artifact)


def test_each_model_is_trained_on_all_that_was_accepted_before_it(tmp_path: Path) -> None:
    lab, _ = run(tmp_path, K=2, schedule="final")
    accepted_so_far: set[str] = set()
    judged = [artifact for _, artifact in lab.all("judge")]
    for (_, adapter), verdicts in zip(lab.all("sft"), judged, strict=True):
        accepted_so_far |= solved(verdicts)
        assert learned(adapter) == accepted_so_far


def test_each_model_starts_from_the_base_unless_told_otherwise(tmp_path: Path) -> None:
    lab, _ = run(tmp_path / "base", K=1, schedule="never")
    assert [inputs["start"] for inputs, _ in lab.all("sft")] == [None, None]
    lab, models = run(tmp_path / "previous", K=1, schedule="never", init_from="previous")
    assert [inputs["start"] for inputs, _ in lab.all("sft")] == [None, models[0].adapter]


def test_a_solved_problem_is_not_asked_again(tmp_path: Path) -> None:
    lab, _ = run(tmp_path, K=3, schedule="never")
    done: set[str] = set()
    for judged, (inputs, _) in zip([a for _, a in lab.all("judge")], lab.all("generate"), strict=False):
        done |= solved(judged)
        assert not done & problems(inputs["problems"])


def test_every_problem_is_kept_solved_or_remaining_and_none_is_lost(tmp_path: Path) -> None:
    lab, _ = run(tmp_path, K=2, schedule="never")
    kept = problems(lab.all("draw")[0][1])
    done = set().union(*(solved(artifact) for _, artifact in lab.all("judge")))
    left = problems(lab.all("remaining")[-1][1])
    assert kept | done | left == {f"p{n}" for n in range(SIZE)}
    assert not done & left


def test_a_wrong_solution_of_the_teacher_is_rejected_and_its_problem_returns(tmp_path: Path) -> None:
    lab, _ = run(tmp_path, K=1, schedule="never", seed_size=50)
    ((first, _),) = lab.all("generate")
    assert {"p7", "p17", "p27", "p37", "p47", "p57"} & problems(first["problems"])


def test_the_teacher_reflects_on_rejected_solutions_with_the_feedback(tmp_path: Path) -> None:
    lab, _ = run(tmp_path, K=2, schedule="final")
    ((inputs, reflected),) = lab.all("reflect")
    wrong = {row.solution.problem.id for _, a in lab.all("judge")[1:3] for row in rejected([a])}
    diagnosed = rejected([inputs["diagnosed"]])
    assert {row.solution.problem.id for row in diagnosed} <= wrong
    assert all(row.verdict.error_step == 1 for row in diagnosed)
    assert len(read_jsonl(Solution, reflected.path / "solutions.jsonl")) == len(diagnosed)


def test_a_judge_is_prepared_with_the_base_and_the_feedback_with_the_last_round(tmp_path: Path) -> None:
    lab, _ = run(tmp_path, K=2, schedule="final", judge=ToyCritic(by=""), feedback=ToyCritic(by=""))
    assert {row.verdict.by for _, artifact in lab.all("judge") for row in judged_rows([artifact])} == {"base"}
    assert {row.verdict.by for _, artifact in lab.all("diagnose") for row in judged_rows([artifact])} == {"M_2"}


def test_rejected_reflections_are_dropped(tmp_path: Path) -> None:
    lab, _ = run(tmp_path, K=2, schedule="final")
    repaired = lab.all("judge")[-1][1]
    final = learned(lab.all("sft")[-1][1])
    dropped = {row.solution.problem.id for row in rejected([repaired])}
    assert dropped, "the toy teacher is wrong about some"
    assert not dropped & final
    assert solved(repaired) <= final


def test_unreadable_verdicts_go_nowhere(tmp_path: Path) -> None:
    lab, _ = run(tmp_path, K=2, schedule="final")
    unreadable = {
        row.solution.problem.id
        for _, a in lab.all("judge")
        for row in judged_rows([a])
        if row.verdict.status == "unreadable"
    }
    assert unreadable
    assert not unreadable & learned(lab.all("sft")[-1][1])
    ((inputs, _),) = lab.all("reflect")
    assert not unreadable & {row.solution.problem.id for row in judged_rows([inputs["diagnosed"]])}


@pytest.mark.parametrize(("repeated", "most"), [("latest", 1), ("all", 2)])
def test_a_problem_that_failed_twice_is_reflected_on_once_or_twice(tmp_path: Path, repeated: str, most: int) -> None:
    lab, _ = run(tmp_path, K=2, schedule="final", how={"repeated": repeated})
    ((inputs, _),) = lab.all("reflect")
    counts: dict[str, int] = {}
    for row in judged_rows([inputs["diagnosed"]]):
        counts[row.solution.problem.id] = counts.get(row.solution.problem.id, 0) + 1
    assert max(counts.values()) == most


@pytest.mark.parametrize("policy", ["drop", "keep"])
def test_a_problem_that_failed_and_was_solved_later_follows_the_setting(tmp_path: Path, policy: str) -> None:
    lab, _ = run(tmp_path, K=2, schedule="final", how={"solved_later": policy})
    ((inputs, _),) = lab.all("reflect")
    late = solved(lab.all("judge")[2][1])
    sent = {row.solution.problem.id for row in judged_rows([inputs["diagnosed"]])}
    assert bool(late & sent) == (policy == "keep")


def test_reflection_in_every_round_leaves_no_final_model(tmp_path: Path) -> None:
    lab, models = run(tmp_path, K=2, schedule="every_round")
    assert [model.name for model in models] == ["M_0", "M_1", "M_2"]
    assert len(lab.all("reflect")) == 2


def test_in_every_round_each_rounds_own_failures_are_repaired(tmp_path: Path) -> None:
    lab, _ = run(tmp_path, K=2, schedule="every_round")
    judged = [artifact for _, artifact in lab.all("judge")]  # the teacher's, then each round's and its repairs'
    for of_round, (inputs, _) in zip(judged[1::2], lab.all("reflect"), strict=True):
        wrong = {row.solution.problem.id for row in rejected([of_round])}
        assert wrong, "the toy model fails"
        assert {row.solution.problem.id for row in judged_rows([inputs["diagnosed"]])} == wrong


def test_in_every_round_accepted_repairs_are_learned_before_the_next_and_not_asked_again(tmp_path: Path) -> None:
    lab, _ = run(tmp_path, K=2, schedule="every_round")
    repaired = solved(lab.all("judge")[2][1])
    assert repaired, "the toy teacher repairs"
    assert repaired <= learned(lab.all("sft")[1][1])
    assert not repaired & problems(lab.all("generate")[1][0]["problems"])


def test_in_every_round_the_feedback_is_prepared_with_the_model_that_failed(tmp_path: Path) -> None:
    lab, _ = run(tmp_path, K=2, schedule="every_round", feedback=ToyCritic(by=""))
    by = [{row.verdict.by for row in judged_rows([artifact])} for _, artifact in lab.all("diagnose")]
    assert by == [{"M_0"}, {"M_1"}]


@pytest.mark.parametrize("schedule", ["final", "every_round"])
def test_the_repair_alone_is_learned_unless_the_draft_and_the_reflection_are_asked_for(
    tmp_path: Path, schedule: str
) -> None:
    def texts(form: str) -> dict[str, str]:
        lab, _ = run(tmp_path, K=1, schedule=schedule, how={"format": form})
        rows = judged_rows([lab.all("sft")[-1][1]])
        return {row.solution.id: row.solution.text for row in rows if row.solution.author.startswith("reflection")}

    plain, told = texts("plain"), texts("draft_reflect_output")
    assert plain
    assert set(plain) == set(told)
    for repair, text in plain.items():
        assert told[repair] == f"Draft:\n\nReflection: Step 1 is wrong.\nSolution:\n{text}"


def test_a_larger_K_only_adds_rounds(tmp_path: Path) -> None:
    two, _ = run(tmp_path, K=2, schedule="never")
    three, _ = run(tmp_path, K=3, schedule="never")
    names = [artifact.name for _, _, artifact in three.calls]
    assert [artifact.name for _, _, artifact in two.calls] == names[: len(two.calls)]


def test_another_feedback_changes_nothing_before_the_reflection(tmp_path: Path) -> None:
    plain, _ = run(tmp_path, K=2, schedule="final")
    other, _ = run(tmp_path, K=2, schedule="final", feedback=ToyCritic(by="nobody"))
    pairs = list(zip(plain.calls, other.calls, strict=True))
    new = [name for (name, _, before), (_, _, after) in pairs if before.name != after.name]
    assert new == ["diagnose", "reflect", "judge", "sft"]


def test_more_seed_problems_contain_the_fewer(tmp_path: Path) -> None:
    few, _ = run(tmp_path, K=0, schedule="never", seed_size=10)
    many, _ = run(tmp_path, K=0, schedule="never", seed_size=20)
    assert problems(few.all("draw")[1][1]) < problems(many.all("draw")[1][1])


def test_asking_for_more_seed_problems_than_there_are_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="seed_size"):
        run(tmp_path, K=0, schedule="never", seed_size=SIZE)
