"""The teacher behind an API, over a real socket: tests/endpoint.py answers, and misbehaves on demand."""

from __future__ import annotations

import json
import traceback
from pathlib import Path

import pytest
from asking import graded, right, sums, teacher
from conftest import KEY
from endpoint import Endpoint

from mathse.config import load
from mathse.steps.annotate import SCHEMA
from mathse.teacher import Text, whole
from mathse.teacher.calls import Calls


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
    [
        *("429", "429+0.05", "500", "503+0.05", "cut", "half", "garbled", "deep", "surrogate", "empty", "slow"),
        *("finish error", "finish abort", "finish insufficient_system_resource"),
    ],
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


@pytest.mark.usefixtures("key")
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
    ("fault", "ended"),
    [
        ("finish length", "length"),
        ("finish model_length", "length"),
        ("refusal", "refused"),
        ("filtered", "refused"),
        ("finish content_filter", "refused"),
        ("", "stop"),
        ("finish eos", "stop"),
    ],
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


# ---- structured output ----


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
