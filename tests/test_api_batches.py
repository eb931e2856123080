"""The API teacher by batches: half the price, the same cache, and nothing sent twice."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import time
from pathlib import Path
from typing import Any

import pytest
from asking import PRICES, ask_in_process, charged, graded, right, step, sums, teacher
from endpoint import Endpoint

from mathse.config import load
from mathse.steps.annotate import SCHEMA
from mathse.store import Doing, canonical
from mathse.teacher.calls import Calls
from mathse.teacher.openai import ApiTeacher


def batched(endpoint: Endpoint, folder: Path, **changes: Any) -> ApiTeacher:
    made = teacher(endpoint, folder, way="batch", prices=PRICES, **changes)
    return dataclasses.replace(made, batching=dataclasses.replace(made.batching, poll=0.02, calls=40))


def test_a_batch_answers_in_order_at_half_the_price_into_the_same_cache(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.polls = 3
    asked = batched(endpoint, tmp_path)
    with step("distill-1"):
        assert right(asked(sums(100)))
        assert asked.spent()["dollars"] == pytest.approx(charged(endpoint) / 2)
    assert len(endpoint.batches) == 3  # 40 + 40 + 20
    assert right(teacher(endpoint, tmp_path)(sums(100)))
    assert len(endpoint.seen) == 100


def test_files_are_split_by_size_too(endpoint: Endpoint, tmp_path: Path) -> None:
    asked = batched(endpoint, tmp_path)
    asked = dataclasses.replace(asked, batching=dataclasses.replace(asked.batching, megabytes=0.002))
    assert right(asked(sums(20)))
    assert len(endpoint.batches) > 1
    assert max(len(endpoint.files[batch["input_file_id"]]) for batch in endpoint.batches.values()) <= 2000


@pytest.mark.parametrize("fault", ["some-fail", "expired", "twice", "shuffled", "lost"])
def test_what_a_batch_does_not_answer_goes_into_the_next(fault: str, endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.batch_faults += [fault]
    with step("distill-1"):
        asked = batched(endpoint, tmp_path)
        assert right(asked(sums(30)))
        assert asked.spent()["calls_paid"] == 30
        assert asked.spent()["dollars"] == pytest.approx(charged(endpoint) / 2)
    assert len(endpoint.seen) == 30
    assert len(endpoint.batches) == (2 if fault in ("some-fail", "expired") else 1)


def test_a_batch_that_the_endpoint_does_not_take_ends_the_run_with_its_reason(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    endpoint.batch_faults += ["failed"]
    with pytest.raises(RuntimeError, match=r"batch-0 failed: invalid_json_line"):
        batched(endpoint, tmp_path)(sums(3))
    assert right(batched(endpoint, tmp_path)(sums(3)))


def test_batches_that_never_answer_end_the_run(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.answer = lambda body: "7"
    endpoint.batch_faults += ["nothing"] * 9
    with pytest.raises(RuntimeError, match="batches without an answer"):
        batched(endpoint, tmp_path, retries=2)(sums(3))


@pytest.mark.parametrize("way", ["batch", "call"])
def test_a_killed_run_waits_for_the_batches_that_it_sent(way: str, endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.polls = 10**6
    asked = batched(endpoint, tmp_path)
    process = multiprocessing.get_context("spawn").Process(target=ask_in_process, args=(asked, 60))
    process.start()
    while not (len(endpoint.batches) == 2 and endpoint.batches["batch-1"]["polls"] < 10**6 - 1):
        time.sleep(0.05)
    process.kill()
    process.join()
    for batch in endpoint.batches.values():
        batch["polls"] = 1
    assert right(dataclasses.replace(asked, way=way)(sums(60)))
    assert len(endpoint.batches) == 2
    assert len(endpoint.seen) == 60


def test_a_batch_whose_id_was_lost_is_found_again(endpoint: Endpoint, tmp_path: Path) -> None:
    """Killed between sending a batch and writing down its id, or before it was sent."""
    asked = batched(endpoint, tmp_path)
    calls = {call.key: 0.0 for call in asked.calls(sums(4))}
    for name in ("sent-1", "never-1"):
        with Calls(tmp_path / "teacher") as known:
            part = dict(list(calls.items())[:2] if name == "sent-1" else list(calls.items())[2:])
            known.pack(name, endpoint.url, part, Doing(), asked.limits(Doing()))
    lines = [
        {"custom_id": call.key, "body": call.body(limit_as="max_tokens", json_schema=True)}
        for call in asked.calls(sums(2))
    ]
    endpoint.files["file-a"] = "".join(json.dumps(line) + "\n" for line in lines).encode()
    endpoint._start("file-a", {"mathse": "sent-1"})
    assert right(asked(sums(4)))
    assert len(endpoint.batches) == 2
    assert len(endpoint.seen) == 4


def test_a_batch_whose_results_are_gone_is_given_up_when_that_is_said(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.lose_files = True
    asked = batched(endpoint, tmp_path, max_tokens=40)
    with (
        step("distill-1"),
        pytest.raises(RuntimeError, match=r"has no batch batch-0.*teacher.batching.give_up=\[batch-0\]"),
    ):
        asked(sums(5))
    endpoint.lose_files = False
    given_up = dataclasses.replace(asked, batching=dataclasses.replace(asked.batching, give_up=("batch-0",)))
    with step("distill-1"):
        assert right(given_up(sums(5)))
        assert given_up.spent()["dollars_lost"] > given_up.spent()["dollars"] > 0
    assert len(endpoint.batches) == 2


def test_a_batch_without_structured_output_is_asked_for_the_form(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.schemas = False
    texts = batched(endpoint, tmp_path)(graded(5), schema=SCHEMA)
    assert [json.loads(text)["status"] for text in texts] == ["WRONG"] * 5
    assert len(endpoint.batches) == 2


def test_a_batch_too_holds_the_budget(endpoint: Endpoint, tmp_path: Path) -> None:
    asked = batched(endpoint, tmp_path, max_tokens=40, budget_usd=0.002)
    with step("distill-1"), pytest.raises(RuntimeError, match=r"raise teacher.budget_usd"):
        asked(sums(200))
    assert 0.5 * 0.002 < charged(endpoint) / 2 <= 0.002
    with step("distill-1"):
        assert right(dataclasses.replace(asked, budget_usd=1.0)(sums(200)))
    assert len(endpoint.seen) == 200


def test_one_way_or_the_other_is_the_same_recipe() -> None:
    assert canonical(load("teacher=batch").teacher) == canonical(load("teacher=openai").teacher)
