"""What makes a call of the API teacher another call, and what all processes together may ask at a time."""

from __future__ import annotations

import base64
import dataclasses
import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from asking import PRICES, ask_in_process, charged, right, step, sums, teacher
from endpoint import Endpoint
from PIL import Image

from mathse.steps.annotate import SCHEMA
from mathse.teacher.openai import ApiTeacher
from mathse.teacher.pace import take
from mathse.types import Chat, Turn


def picture(folder: Path, name: str, colour: str) -> str:
    Image.new("RGB", (8, 8), colour).save(folder / name)
    return str(folder / name)


def test_calls_differ_by_model_words_pictures_decoding_schema_and_try(endpoint: Endpoint, tmp_path: Path) -> None:
    red, blue = picture(tmp_path, "red.png", "red"), picture(tmp_path, "blue.png", "blue")
    plain = (Turn("user", "What is 1 + 2?", (red,)),)
    asked = teacher(endpoint, tmp_path)
    calls: list[tuple[ApiTeacher, Chat, dict[str, Any]]] = [
        (asked, plain, {}),
        (asked, plain, {"index": 1}),
        (asked, plain, {"schema": SCHEMA}),
        (asked, (Turn("user", "What is 1 + 3?", (red,)),), {}),
        (asked, (Turn("user", "What is 1 + 2?", (blue,)),), {}),
        (asked, (Turn("user", "What is 1 + 2?", (red, blue)),), {}),
        (dataclasses.replace(asked, model="gpt-4o"), plain, {}),
        (dataclasses.replace(asked, temperature=0.1), plain, {}),
        (dataclasses.replace(asked, top_p=0.9), plain, {}),
        (dataclasses.replace(asked, max_tokens=100), plain, {}),
        (dataclasses.replace(asked, seed=1), plain, {}),
    ]
    for _ in range(2):
        for by, chat, how in calls:
            by([chat], **how)
    assert len(endpoint.seen) == len(calls)


def test_calls_do_not_differ_by_where_a_picture_lies_or_how_the_endpoint_is_reached(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    asked = teacher(endpoint, tmp_path)
    asked([(Turn("user", "What is 1 + 2?", (picture(tmp_path, "a.png", "red"),)),)])
    other = dataclasses.replace(asked, concurrency=1, base_url="http://127.0.0.1:9/v1", budget_usd=5.0, retries=0)
    other([(Turn("user", "What is 1 + 2?", (picture(tmp_path, "b.png", "red"),)),)])
    assert len(endpoint.seen) == 1


def test_pictures_are_sent_as_they_are(endpoint: Endpoint, tmp_path: Path) -> None:
    path = picture(tmp_path, "a.png", "red")
    teacher(endpoint, tmp_path)([(Turn("user", "What is 1 + 2?", (path,)),)])
    shown, text = endpoint.seen[0].body["messages"][0]["content"]
    assert base64.b64decode(shown["image_url"]["url"].removeprefix("data:image/png;base64,")) == Path(path).read_bytes()
    assert text == {"type": "text", "text": "What is 1 + 2?"}


def test_a_picture_that_is_missing_is_named(endpoint: Endpoint, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"picture .*gone\.png"):
        teacher(endpoint, tmp_path)([(Turn("user", "What is 1 + 2?", (str(tmp_path / "gone.png"),)),)])


def test_equal_calls_at_the_same_time_are_asked_once(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.delay = 0.1
    assert right(teacher(endpoint, tmp_path)(sums(1) * 20)[:1])
    assert len(endpoint.seen) == 1


# ---- limits, for all processes together ----


def spend_in_process(made: ApiTeacher, start: int) -> None:
    with step("distill-1"), pytest.raises(RuntimeError, match="budget_usd"):
        made(sums(start + 300)[start:])


def together(work: Callable[[ApiTeacher, int], None], made: ApiTeacher, numbers: list[int]) -> None:
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=work, args=(made, number)) for number in numbers]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * len(workers)


def test_two_processes_ask_each_call_once_and_share_the_limit_of_concurrency(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    endpoint.delay = 0.05
    together(ask_in_process, teacher(endpoint, tmp_path, concurrency=6), [60, 60])
    assert len(endpoint.seen) == 60
    assert endpoint.most_at_once <= 6


def test_two_processes_share_a_budget(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.delay = 0.02
    made = teacher(endpoint, tmp_path, prices=PRICES, max_tokens=40, budget_usd=0.006, concurrency=8)
    together(spend_in_process, made, [0, 300])
    assert 0.7 * 0.006 < charged(endpoint) <= 0.006


def test_two_processes_share_what_a_minute_allows(endpoint: Endpoint, tmp_path: Path) -> None:
    """Of requests: 60 of 600 may go at once, nine a second after that."""
    together(ask_in_process, teacher(endpoint, tmp_path, requests_per_minute=600), [60, 80])
    times = sorted(seen.at for seen in endpoint.seen)
    assert len(times) == 80
    assert times[-1] - times[0] >= 20 / 9 - 0.5  # the first call is allowed a moment before it arrives


def test_tokens_a_minute_hold_and_what_was_not_used_is_given_back(endpoint: Endpoint, tmp_path: Path) -> None:
    """A call is taken for 48 tokens or so, 3,000 may go at once, 450 a second after that."""
    seconds = []
    for name, faults in (("all", ["no-usage"] * 80), ("few", [])):
        endpoint.faults, begun = faults, time.monotonic()
        asked = teacher(endpoint, tmp_path / name, max_tokens=40, tokens_per_minute=30_000)
        assert right(asked(sums(80)))
        seconds.append(time.monotonic() - begun)
    assert seconds[0] >= (80 * 46 - 3000) / 450
    assert seconds[1] < seconds[0]


def test_calls_begin_one_after_another(endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that begin at once end at once, and keep each other waiting ever after (experiments/speed/teacher.py)."""
    monkeypatch.setattr("mathse.teacher.client.RAMP", 0.1)  # half a millisecond could not be told from chance
    endpoint.delay = 1.5
    teacher(endpoint, tmp_path, concurrency=10)(sums(10))
    times = sorted(seen.at for seen in endpoint.seen)
    assert times[-1] - times[0] >= 0.7  # 0.9, and the first may be received late


def test_requests_a_minute_hold_from_one_asking_to_the_next(endpoint: Endpoint, tmp_path: Path) -> None:
    asked = teacher(endpoint, tmp_path, requests_per_minute=600)
    begun = time.monotonic()
    asked(sums(60))  # what may go at once
    asked(sums(80))
    assert time.monotonic() - begun >= 20 / 9 - 0.01  # nine a second after that


def test_no_minute_sees_more_than_its_allowance() -> None:
    for amount, per_minute in ((1, 60), (1, 500), (900, 30_000), (5_000, 30_000)):
        bucket, now, sent = None, 0.0, []
        while now < 300:
            bucket, wait = take(bucket, amount, per_minute, now)
            sent += [now] * (not wait)
            now += wait
        most = max(sum(start <= at < start + 60 for at in sent) for start in sent)
        assert 0.85 * per_minute - amount <= most * amount <= per_minute + amount
