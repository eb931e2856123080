"""`dry_run=true` says what a run would ask, pay, generate and train, and does none of it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from endpoint import Endpoint
from test_preflight import SEVEN

from mathse.config import Experiment, load
from mathse.plan.bill import counted, plan
from mathse.plan.lines import Line
from mathse.report import run_name
from mathse.steps.data import load as load_problems
from mathse.steps.generate import ask
from mathse.store import Store
from mathse.types import Problem, read_jsonl

SMALL = ["teacher=openai", "teacher.model=gpt-4o", "data.size=104", "orm_problems=20", "seed_size=30", "K=2"]


def experiment(folder: Path, *overrides: str) -> Experiment:
    return load(*SMALL, "benchmark.data.size=26", f"store={folder}", "teacher.key_env=null", *overrides)


def lines(exp: Experiment, folder: Path) -> dict[tuple[str, str], Line]:
    """The lines of the bill by step and what it is for."""
    return {(line.step, line.role): line for line in counted(exp, Store(folder, exp.runtime)).lines}


def test_calls_texts_and_rows_of_every_stage_are_counted(tmp_path: Path) -> None:
    bill = lines(experiment(tmp_path), tmp_path)
    assert bill["distill", "teacher"].calls == 30
    assert bill["generate", "M_0"].texts == 104 - 20 - 27
    assert bill["generate", "M_1"].texts == 104 - 20 - 27 - 17
    assert bill["evaluate", "M_final"].texts == 26
    assert bill["annotate", "orm"].calls > 0
    assert bill["reflect", "reflection"].calls == 28


def test_what_the_cache_holds_is_not_paid_again(tmp_path: Path) -> None:
    exp = experiment(tmp_path)
    before = lines(exp, tmp_path)
    problems = read_jsonl(Problem, sorted(tmp_path.glob("draw-*/problems.jsonl"), key=lambda p: len(p.read_text()))[-1])
    assert len(problems) == 30
    with Endpoint(answer=lambda body: "7") as endpoint:
        there = experiment(tmp_path, f"teacher.base_url={endpoint.url}").teacher
        there([ask(problem) for problem in problems[:10]])
        assert len(endpoint.seen) == 10
        after = lines(experiment(tmp_path, f"teacher.base_url={endpoint.url}"), tmp_path)
        assert len(endpoint.seen) == 10
    assert (after["distill", "teacher"].calls, after["distill", "teacher"].kept) == (30, 10)
    assert 0 < after["distill", "teacher"].dollars < before["distill", "teacher"].dollars


def test_reflection_in_every_round_is_counted_round_by_round(tmp_path: Path) -> None:
    exp = experiment(tmp_path, "reflection.schedule=every_round", "reflection.format=draft_reflect_output")
    steps = [(line.step, line.role) for line in counted(exp, Store(tmp_path, exp.runtime)).lines]
    assert [step for step, _ in steps].count("reflect") == 2
    assert ("sft", "M_2") in steps
    assert ("sft", "M_final") not in steps


# ---- before anything is here ----


@pytest.mark.parametrize("backbone", ["qwen2vl", "internvl25", "cogvlm2"])
def test_the_papers_run_is_billed_for_each_backbone_without_weights_or_data(
    backbone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    ways = ["scale=paper", f"backbone={backbone}", "teacher=openai", "teacher.model=gpt-4o", f"store={tmp_path}"]
    exp = load(*ways, "data=jsonl", "data.path=not/here.jsonl", "benchmark=mathvista")
    found = counted(exp, Store(tmp_path, exp.runtime))
    bill = {(line.step, line.role): line for line in found.lines}
    assert bill["distill", "teacher"].calls == 100_000
    assert bill["annotate", "orm"].calls == 30_000
    learned = [bill["sft", f"M_{k}"].rows / 2 / 0.995 for k in ("0", "1", "2", "final")]
    assert learned == pytest.approx([100_000, 170_000, 240_000, 280_000], rel=0.002), "the paper's sizes, two epochs"
    stages = {line.step: line for line in found.stages()}
    assert list(stages) == ["stage 1", "ORM", "stage 2", "stage 3", "evaluation", "all"]
    assert all(line.hours and line.hours > 0 for line in stages.values())
    assert stages["all"].hours == pytest.approx(sum(line.hours or 0 for line in found.lines))
    assert stages["stage 1"].dollars > 0
    assert not list(tmp_path.glob("*-*")), "nothing was read or computed"
    said = plan(exp, Store(tmp_path, exp.runtime))
    assert "341,346 problems" in said
    assert "one H100 SXM of 989 TFLOPS" in said
    assert "not known" not in said.replace("where it is not known yet", "")


def test_the_papers_problems_are_assumed_whatever_the_store_holds(tmp_path: Path) -> None:
    exp = load("scale=paper", "data.size=52", "benchmark.data.size=26")
    store = Store(tmp_path, exp.runtime)
    before = plan(exp, store)
    for data in (exp.data, exp.benchmark.data):
        store.run(load_problems, data=data)
    assert plan(exp, store) == before
    assert "341,346 problems" in before


def test_the_shipped_sizes_are_those_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(SEVEN))
    exp = load("scale=paper")
    known = exp.plan.member(exp.backbone, 64)
    fetched = exp.plan.member(dataclasses.replace(exp.backbone, checkpoint=str(tmp_path)), 64)  # type: ignore[type-var]
    assert known == fetched


def test_gpu_hours_follow_from_throughputs_that_are_settings(tmp_path: Path) -> None:
    def hours(*overrides: str) -> dict[tuple[str, str], float]:
        found = lines(load("scale=paper", *overrides), tmp_path)
        return {name: line.hours or 0.0 for name, line in found.items()}

    h100, half, slow = hours(), hours("plan.learning=0.125"), hours("plan.decode=1000")
    assert 1.8 < half["sft", "M_1"] / h100["sft", "M_1"] < 2, "pictures are read, not learned from"
    assert half["generate", "M_0"] == h100["generate", "M_0"]
    assert h100["generate", "M_0"] < slow["generate", "M_0"] < 2 * h100["generate", "M_0"]
    assert slow["sft", "M_1"] == h100["sft", "M_1"]
    assert hours("plan=a100")["sft", "M_1"] > h100["sft", "M_1"]
    exp = load("scale=paper", "backbone=cogvlm2", "plan=rtx4090")
    assert "RTX 4090" in plan(exp, Store(tmp_path, exp.runtime))


def test_an_unknown_checkpoint_is_counted_without_gpu_hours(tmp_path: Path) -> None:
    exp = load("scale=paper", "backbone.checkpoint=nobody/nothing")
    said = plan(exp, Store(tmp_path, exp.runtime))
    assert "GPU hours of diagnose, evaluate, generate, judge, sft, test_orm, train_orm are not known" in said
    assert counted(exp, Store(tmp_path, exp.runtime)).stages()[-1].hours is None


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["plan.learning=2"], "learning should be float > 0 and <= 1"),
        (["plan.accepted.distill=-1"], "plan.accepted should give a number"),
        (["+plan.written.essay=3"], "plan.written should give a number"),
        (["plan.problems=0"], "problems should be int >= 1"),
    ],
)
def test_assumptions_that_make_no_sense_are_named(overrides: list[str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        load(*overrides)


def test_what_is_assumed_is_no_identity() -> None:
    assert run_name(load("plan=a100", "plan.decode=1")) == run_name(load())


def test_more_problems_than_there_will_be_are_refused(tmp_path: Path) -> None:
    exp = load("scale=paper", "plan.problems=1000")
    with pytest.raises(ValueError, match=r"only \d+ are there; .*plan\.problems"):
        counted(exp, Store(tmp_path, exp.runtime))


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["teacher.model=my-own"], "There is no price of 'my-own'"),
        (["teacher.budget_usd=0.5"], "teacher.budget_usd=0.5 would stop the run"),
        (["teacher=figures"], "offline and costs nothing"),
        ([], "Assumed where it is not known yet: the judge accepts 90%"),
    ],
)
def test_it_says_what_it_rests_on(overrides: list[str], words: str, tmp_path: Path) -> None:
    small = [word for word in SMALL if "teacher" not in word or overrides != ["teacher=figures"]]
    exp = load(*small, "benchmark.data.size=26", f"store={tmp_path}", *overrides)
    assert words in plan(exp, Store(tmp_path, exp.runtime))
