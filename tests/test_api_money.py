"""What the API teacher's calls cost: counted, held to budgets, and never lost, whatever is killed."""

from __future__ import annotations

import dataclasses
import multiprocessing
import time
from pathlib import Path

import pytest
from asking import PRICES, ask_in_process, charged, right, step, sums, teacher
from endpoint import Endpoint

from mathse.config import load
from mathse.teacher.calls import Calls
from mathse.teacher.openai import ApiTeacher


def test_what_a_step_costs_is_counted_over_all_its_tries(endpoint: Endpoint, tmp_path: Path) -> None:
    asked = teacher(endpoint, tmp_path, prices=PRICES)
    with step("distill-1"):
        asked(sums(5))
        asked(sums(9))
        spent = asked.spent()
    assert spent["calls_paid"] == 9
    assert spent["dollars"] == pytest.approx(charged(endpoint))
    assert (spent["tokens_in"], spent["tokens_cached"]) == (9 * 3, 9 * 1)
    with step("reflect-1"):
        asked(sums(9))
        assert asked.spent()["calls_paid"] == asked.spent()["dollars"] == 0


def test_a_model_without_a_price_costs_tokens_and_no_dollars(endpoint: Endpoint, tmp_path: Path) -> None:
    asked = teacher(endpoint, tmp_path, prices=PRICES, model="my-own")
    with step("distill-1"):
        asked(sums(3))
        assert "dollars" not in asked.spent()
        assert asked.spent()["tokens_out"] > 0


def test_a_budget_is_never_passed_and_the_run_goes_on_when_it_is_raised(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.delay = 0.01
    asked = teacher(endpoint, tmp_path, prices=PRICES, max_tokens=40, concurrency=16)
    for budget in (0.002, 0.004):
        with step("distill-1"), pytest.raises(RuntimeError, match=rf"budget_usd={budget}.*raise teacher.budget_usd"):
            dataclasses.replace(asked, budget_usd=budget)(sums(200))
        assert 0.7 * budget < charged(endpoint) <= budget
    with step("distill-1"):
        assert right(dataclasses.replace(asked, budget_usd=1.0)(sums(200)))
    assert len(endpoint.seen) == 200


def test_a_budget_is_the_runs_and_a_steps_cap_the_steps(endpoint: Endpoint, tmp_path: Path) -> None:
    caps = {"distill": 0.001, "annotate": None, "reflect": None}
    asked = teacher(endpoint, tmp_path, prices=PRICES, max_tokens=40, step_budgets_usd=caps, budget_usd=0.003)
    with step("distill-1"), pytest.raises(RuntimeError, match=r"teacher.step_budgets_usd.distill=0.001"):
        asked(sums(100))
    with step("reflect-1"), pytest.raises(RuntimeError, match=r"teacher.budget_usd=0.003"):
        asked(sums(100))
    before = charged(endpoint)
    assert before <= 0.003
    with step("reflect-1", run="another-run"), pytest.raises(RuntimeError, match=r"teacher.budget_usd"):
        asked(sums(300))
    assert before < charged(endpoint) <= 0.006


@pytest.mark.parametrize("fault", ["cut", "half", "garbled"])
def test_what_may_have_been_charged_counts_against_the_budget(fault: str, endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.faults += [fault]
    asked = teacher(endpoint, tmp_path, prices=PRICES, max_tokens=40, budget_usd=0.0005)
    with step("distill-1"), pytest.raises(RuntimeError, match="budget_usd"):
        asked(sums(100))
    with step("distill-1"):
        assert asked.spent()["dollars_lost"] == pytest.approx((39 * 2.0 + 40 * 8.0) / 1e6, rel=0.2)


@pytest.mark.parametrize("fault", ["no-usage", "odd-usage"])
def test_an_endpoint_that_gives_no_counts_is_taken_to_charge_the_most(
    fault: str, endpoint: Endpoint, tmp_path: Path
) -> None:
    endpoint.faults += [fault]
    asked = teacher(endpoint, tmp_path, prices=PRICES, max_tokens=40)
    with step("distill-1"):
        asked(sums(1))
        assert asked.spent()["dollars"] > 40 * 8.0 / 1e6


def test_what_was_in_flight_when_a_process_died_counts_as_spent(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.delay = 30.0
    asked = teacher(endpoint, tmp_path, prices=PRICES, max_tokens=40, concurrency=3)
    process = multiprocessing.get_context("spawn").Process(target=ask_in_process, args=(asked, 10))
    process.start()
    while len(endpoint.seen) < 3:
        time.sleep(0.05)
    process.kill()
    process.join()
    endpoint.delay = 0.0
    with Calls(tmp_path / "teacher") as calls:
        assert calls.spent(run="")["lost"] == pytest.approx(3 * (39 * 2.0 + 40 * 8.0) / 1e6, rel=0.2)
    assert right(asked(sums(10)))  # and its calls can be asked
    assert len(endpoint.seen) == 13


def test_a_process_killed_half_way_has_its_answers_kept(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.delay = 0.05
    asked = teacher(endpoint, tmp_path, concurrency=8)
    process = multiprocessing.get_context("spawn").Process(target=ask_in_process, args=(asked, 200))
    process.start()
    while len(endpoint.seen) < 100:
        time.sleep(0.01)
    process.kill()
    process.join()
    time.sleep(0.2)
    with Calls(tmp_path / "teacher") as calls:
        kept = calls.count()
    before = len(endpoint.seen)
    assert kept >= 80
    assert right(asked(sums(200)))
    assert len(endpoint.seen) - before == 200 - kept


def test_a_snapshot_has_its_models_price_unless_it_has_its_own() -> None:
    prices = {
        name: price.input if (price := teacher_named(name).price) else None
        for name in ("gpt-4o", "gpt-4o-2024-11-20", "gpt-4o-2024-05-13", "gpt-4o-audio", "llava")
    }
    assert prices == {
        "gpt-4o": 2.5,
        "gpt-4o-2024-11-20": 2.5,
        "gpt-4o-2024-05-13": 5.0,
        "gpt-4o-audio": None,
        "llava": None,
    }


def teacher_named(model: str) -> ApiTeacher:
    made = load("teacher=openai", f"teacher.model={model}").teacher
    assert isinstance(made, ApiTeacher)
    return made


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("teacher.temperature=-1", "ApiTeacher.temperature should be float >= 0 or None"),
        ("teacher.max_tokens=0", "ApiTeacher.max_tokens should be int >= 1"),
        ("teacher.requests_per_minute=-1", "ApiTeacher.requests_per_minute should be int >= 0"),
        ("teacher.timeout=0", "ApiTeacher.timeout should be float > 0"),
        ("teacher.budget_usd=-1", "should be dollars, 0 or more, got -1"),
        ("teacher.budget_usd=nan", "should be dollars, 0 or more, got nan"),
        ("teacher.step_budgets_usd.distill=abc", "should be dollars, 0 or more, got 'abc'"),
        ("teacher.batching.share=0", "Batching.share should be float > 0 and <= 1"),
    ],
)
def test_numbers_that_make_no_sense_are_named(override: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        load("teacher=openai", override)


@pytest.mark.parametrize("override", ["teacher.budget_usd=5", "teacher.step_budgets_usd.reflect=5"])
def test_no_budget_can_be_held_for_a_model_without_a_price(override: str) -> None:
    with pytest.raises(ValueError, match=r"no price of 'llava'"):
        load("teacher=openai", "teacher.model=llava", override)
