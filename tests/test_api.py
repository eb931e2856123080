"""The teacher behind an API, over a real socket: tests/endpoint.py answers, and misbehaves on demand."""

from __future__ import annotations

import base64
import dataclasses
import json
import multiprocessing
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from endpoint import Endpoint, usage
from PIL import Image

from mathse.config import load
from mathse.steps.annotate import SCHEMA
from mathse.store import DOING, Doing, canonical
from mathse.teacher import Text, whole
from mathse.teacher.calls import Calls
from mathse.teacher.openai import ApiTeacher
from mathse.teacher.pace import take
from mathse.types import Chat, Turn

KEY = "sk-test-0123456789abcdefghij"


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint(key=KEY) as running:
        yield running


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEACHER_KEY", KEY)


def teacher(endpoint: Endpoint, folder: Path, **changes: Any) -> ApiTeacher:
    made = load("teacher=openai").teacher
    assert isinstance(made, ApiTeacher)
    reached = {"base_url": endpoint.url, "key_env": "TEACHER_KEY", "cache": str(folder / "teacher")}
    return dataclasses.replace(made, **{**reached, "backoff": 0.01, "retries": 3, "requests_per_minute": 0, **changes})


def sums(count: int) -> list[Chat]:
    return [(Turn("user", f"What is {n} + {n + 1}?"),) for n in range(count)]


def right(texts: list[str]) -> bool:
    return all(text.endswith(f"is {2 * n + 1}.") for n, text in enumerate(texts))


def test_it_answers_in_order(endpoint: Endpoint, tmp_path: Path) -> None:
    assert right(teacher(endpoint, tmp_path)(sums(100)))
    assert len(endpoint.seen) == 100


def test_what_was_answered_is_never_asked_again(endpoint: Endpoint, tmp_path: Path) -> None:
    first = teacher(endpoint, tmp_path)(sums(10))
    again = teacher(endpoint, tmp_path)(sums(12))
    assert again[:10] == first
    assert len(endpoint.seen) == 12


# ---- what comes back ----


@pytest.mark.parametrize(
    "fault",
    ["429", "429+0.05", "500", "503+0.05", "cut", "half", "garbled", "deep", "surrogate", "empty", "slow"],
)
def test_what_passes_is_tried_again(fault: str, endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.faults += [fault] * 3
    assert right(teacher(endpoint, tmp_path, timeout=1.0)(sums(8)))
    assert len(endpoint.seen) == 11


def test_retry_after_holds_every_call(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.faults += ["429+1"]
    assert right(teacher(endpoint, tmp_path, concurrency=1)(sums(5)))
    first, *rest = (seen.at for seen in endpoint.seen)
    assert min(rest) - first >= 1.0


def test_an_endpoint_that_asks_to_wait_for_hours_stops_the_run(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.faults += ["429+7200"]
    with pytest.raises(RuntimeError, match=r"asks to wait 2\.0 hours.*run the same command"):
        teacher(endpoint, tmp_path)(sums(1))


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("401", ["401", "$TEACHER_KEY"]),
        ("403", ["403", "$TEACHER_KEY", "gpt-4o-2024-11-20"]),
        ("404", ["404", "gpt-4o-2024-11-20", "teacher.model", "teacher.base_url"]),
        ("quota", ["quota", "insufficient_quota"]),
        ("400", ["400", "temperature is not supported"]),
        ("other-model", ["small-and-cheap", "teacher.served_as=small-and-cheap"]),
    ],
)
def test_what_does_not_pass_stops_at_once_in_one_line_with_everything_kept(
    fault: str, words: list[str], endpoint: Endpoint, tmp_path: Path
) -> None:
    asked = teacher(endpoint, tmp_path, concurrency=2)
    asked(sums(6))
    endpoint.faults += [fault] * 2
    with pytest.raises(RuntimeError) as error:
        asked(sums(40))
    for word in words:
        assert word in str(error.value)
    assert "\n" not in str(error.value)
    assert len(endpoint.seen) <= 8
    assert right(asked(sums(40)))
    assert sorted(endpoint.asked()) == sorted(set(endpoint.asked())) or fault == "other-model"


def test_a_call_that_keeps_failing_ends_the_run_after_its_tries(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.faults += ["500"] * 4
    with pytest.raises(RuntimeError, match=r"status 500, 4 times for one call.*kept"):
        teacher(endpoint, tmp_path)(sums(1))


def test_an_endpoint_that_is_not_there_is_named(tmp_path: Path) -> None:
    nobody = teacher(Endpoint(port=9), tmp_path, retries=1)
    with pytest.raises(RuntimeError, match=r"http://127.0.0.1:9/v1: it cannot be reached, 2 times"):
        nobody(sums(1))


def test_what_is_in_flight_comes_home_when_another_call_stops_the_run(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.delay = 0.3
    endpoint.faults += ["", "", "", "401"]
    with pytest.raises(RuntimeError, match="401"):
        teacher(endpoint, tmp_path, concurrency=4)(sums(20))
    with Calls(tmp_path / "teacher") as calls:
        assert calls.count() == len(endpoint.asked()) >= 3


@pytest.mark.parametrize(
    ("fault", "ended"), [("length", "length"), ("refusal", "refused"), ("filtered", "refused"), ("", "stop")]
)
def test_a_cut_or_refused_answer_is_kept_as_what_it_is(
    fault: str, ended: str, endpoint: Endpoint, tmp_path: Path
) -> None:
    endpoint.faults += [fault]
    for _ in range(2):
        (text,) = teacher(endpoint, tmp_path)(sums(1))
        assert isinstance(text, Text)
        assert text.ended == ended
        assert whole(text) == (ended == "stop")
    assert len(endpoint.seen) == 1


def test_ids_that_repeat_confuse_nothing(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.faults += ["same-id"] * 10
    assert right(teacher(endpoint, tmp_path)(sums(10)))


def test_a_model_may_answer_under_another_name_if_that_was_said(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.faults += ["other-model"]
    assert right(teacher(endpoint, tmp_path, served_as="small-and-cheap")(sums(1)))


# ---- what makes a call another call ----


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


def ask_in_process(made: ApiTeacher, count: int) -> None:
    assert right(made(sums(count)))


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


# ---- money ----

PRICES = {"gpt-4o": {"input": 2.0, "cached": 1.0, "output": 8.0, "picture": 100}}


@contextmanager
def step(name: str, run: str = "a-run") -> Iterator[None]:
    """As the store does while it computes a step."""
    token = DOING.set(Doing(run, name))
    try:
        yield
    finally:
        DOING.reset(token)


def charged(endpoint: Endpoint) -> float:
    """What the endpoint would write on its bill at PRICES."""
    total = 0.0
    for seen in endpoint.seen:
        counts = usage(seen.body, endpoint.answer(seen.body))
        read, cached, wrote = counts["prompt_tokens"], counts["prompt_tokens"] // 2, counts["completion_tokens"]
        total += seen.answered * ((read - cached) * 2.0 + cached * 1.0 + wrote * 8.0) / 1e6
    return total


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


# ---- structured output ----


def graded(n: int = 1) -> list[Chat]:
    return [(Turn("user", f"Is {i} + {i} = {3 * i} right?"),) for i in range(n)]


def test_a_schema_is_sent_where_the_endpoint_has_it(endpoint: Endpoint, tmp_path: Path) -> None:
    texts = teacher(endpoint, tmp_path)(graded(3), schema=SCHEMA)
    assert [json.loads(text)["status"] for text in texts] == ["WRONG"] * 3
    assert endpoint.seen[0].body["response_format"]["json_schema"]["schema"] == SCHEMA
    assert "JSON schema" not in endpoint.seen[0].text


def test_where_it_has_none_the_chat_asks_for_the_form_and_every_later_call_does(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    endpoint.schemas = False
    asked = teacher(endpoint, tmp_path, concurrency=1)
    for n in (3, 5):
        assert [json.loads(text)["status"] for text in asked(graded(n), schema=SCHEMA)] == ["WRONG"] * n
    assert ["response_format" in seen.body for seen in endpoint.seen] == [True] + [False] * 5
    assert "error_analysis" in endpoint.seen[1].text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("I think that it is wrong.", "no JSON"),
        ('{"status": "WRONG"}', "error_step is missing"),
        ('{"status": "MAYBE", "error_step": null, "error_analysis": null}', "one of CORRECT, WRONG"),
        ('{"status": "WRONG", "error_step": 2, "error_analysis": null}', "error_step should be string or null"),
        ("[1]", "no JSON object"),
    ],
)
def test_what_does_not_fit_is_sent_back_once(text: str, problem: str, endpoint: Endpoint, tmp_path: Path) -> None:
    good = '{"status": "WRONG", "error_step": "Step 1", "error_analysis": "No."}'
    endpoint.answer = lambda body: good if len(body["messages"]) == 3 else text
    for _ in range(2):
        assert teacher(endpoint, tmp_path)(graded(), schema=SCHEMA) == [good]
    assert len(endpoint.seen) == 2
    assert endpoint.seen[1].body["messages"][1] == {"role": "assistant", "content": text}
    assert problem in endpoint.seen[1].text


def test_what_does_not_fit_a_second_time_is_the_callers_to_judge(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.answer = lambda body: "Never."
    assert teacher(endpoint, tmp_path)(graded(), schema=SCHEMA) == ["Never."]
    assert len(endpoint.seen) == 2


def test_json_in_a_fence_is_json(endpoint: Endpoint, tmp_path: Path) -> None:
    good = '{"status": "CORRECT", "error_step": null, "error_analysis": null}'
    endpoint.answer = lambda body: f"Here it is:\n```json\n{good}\n```"
    assert teacher(endpoint, tmp_path)(graded(), schema=SCHEMA) == [good]
    assert len(endpoint.seen) == 1


# ---- keys ----


def test_without_a_key_the_variable_is_named_and_what_is_known_needs_none(
    endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = teacher(endpoint, tmp_path)
    asked(sums(3))
    monkeypatch.delenv("TEACHER_KEY")
    assert right(asked(sums(3)))
    with pytest.raises(ValueError, match=r"set \$TEACHER_KEY .*or teacher.key_env=null"):
        asked(sums(4))


@pytest.mark.parametrize(
    "override",
    [
        f"teacher.key_env={KEY}",
        f"teacher.base_url=https://user:{KEY}@host/v1",
        f"teacher.base_url='https://host/v1?api-key={KEY}'",
    ],
)
def test_a_key_in_the_settings_is_refused_and_not_repeated(override: str) -> None:
    with pytest.raises(ValueError, match="environment") as error:
        load("teacher=openai", override)
    assert KEY not in str(error.value)


@pytest.mark.parametrize("fault", ["401", "echo"])
def test_an_error_that_repeats_the_key_is_told_without_it(fault: str, endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.faults += [fault]
    with pytest.raises(RuntimeError) as error:
        teacher(endpoint, tmp_path)(sums(1))
    assert KEY not in "".join(traceback.format_exception(error.value))


def test_an_answer_that_repeats_the_key_is_kept_without_it(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.answer = lambda body: f"The key is {KEY}."
    assert teacher(endpoint, tmp_path)(sums(1)) == ["The key is [key]."]
    assert not [path for path in (tmp_path / "teacher").glob("calls*") if KEY.encode() in path.read_bytes()]


# ---- batches ----


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
