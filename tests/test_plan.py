"""`dry_run=true` says what a run would ask, pay, generate and train, and does none of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from endpoint import Endpoint

from mathse.config import Experiment, load
from mathse.plan import plan
from mathse.steps.generate import ask
from mathse.store import Store
from mathse.types import Problem, read_jsonl

SMALL = ["teacher=openai", "teacher.model=gpt-4o", "data.size=104", "orm_problems=20", "seed_size=30", "K=2"]


def experiment(folder: Path, *overrides: str) -> Experiment:
    return load(*SMALL, "benchmark.data.size=26", f"store={folder}", "teacher.key_env=null", *overrides)


def rows(exp: Experiment, folder: Path) -> dict[tuple[str, str], list[str]]:
    """The lines of the bill by step and what it is for."""
    text = plan(exp, Store(folder, exp.runtime))
    lines = [line.split() for line in text.split("\n\n")[0].splitlines()[2:]]
    return {(line[0], " ".join(line[1:3]) if line[1] == "round" else line[1]): line for line in lines}


def test_calls_texts_and_rows_of_every_stage_are_counted(tmp_path: Path) -> None:
    bill = rows(experiment(tmp_path), tmp_path)
    assert bill["distill", "teacher"][2] == "30"
    assert bill["generate", "M_0"][-1] == str(104 - 20 - 27)
    assert bill["generate", "M_1"][-1] == str(104 - 20 - 27 - 17)
    assert bill["evaluate", "M_final"][-1] == "26"
    assert int(bill["annotate", "orm"][2]) > 0
    assert int(bill["reflect", "reflection"][2]) == 28


def test_what_the_cache_holds_is_not_paid_again(tmp_path: Path) -> None:
    exp = experiment(tmp_path)
    before = rows(exp, tmp_path)
    problems = read_jsonl(Problem, sorted(tmp_path.glob("draw-*/problems.jsonl"), key=lambda p: len(p.read_text()))[-1])
    assert len(problems) == 30
    with Endpoint(answer=lambda body: "7") as endpoint:
        there = experiment(tmp_path, f"teacher.base_url={endpoint.url}").teacher
        there([ask(problem) for problem in problems[:10]])
        assert len(endpoint.seen) == 10
        after = rows(experiment(tmp_path, f"teacher.base_url={endpoint.url}"), tmp_path)
        assert len(endpoint.seen) == 10
    assert after["distill", "teacher"][2:4] == ["30", "10"]
    assert 0 < float(after["distill", "teacher"][-2]) < float(before["distill", "teacher"][-2])


def test_reflection_in_every_round_is_counted_round_by_round(tmp_path: Path) -> None:
    ways = ["reflection.schedule=every_round", "reflection.format=draft_reflect_output"]
    exp = experiment(tmp_path, *ways)
    steps = [line.split()[:2] for line in plan(exp, Store(tmp_path, exp.runtime)).splitlines()]
    assert [step for step, *_ in filter(None, steps)].count("reflect") == 2
    assert ["sft", "M_2"] in steps
    assert ["sft", "M_final"] not in steps


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
