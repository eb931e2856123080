"""Any model goes through one line: the base, an adapter of the store, a folder from elsewhere, an API; with one try or several."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from endpoint import Endpoint

from mathse.benchmarks.tables import Report
from mathse.benchmarks.tries import together
from mathse.config import load
from mathse.evaluate import evaluate, main, model_of, result, tries_of
from mathse.steps.adopt import AdapterFolder
from mathse.steps.evaluate import TOO_LONG
from mathse.store import Store
from mathse.types import Judged, Problem, Solution, Verdict

TINY = ("benchmark.data.size=2", "decoding.max_new_tokens=8", "runtime.threads=1")


def tries(problem: str, *answers: str) -> list[Judged]:
    asked = Problem(problem, "?", (), "5", source="a")
    return [
        Judged(Solution(asked, f"Answer: {said}", "M", index), Verdict("correct" if said == "5" else "wrong"))
        for index, said in enumerate(answers)
    ]


def scored(rows: Sequence[Judged], *overrides: str) -> Report:
    problems = list({row.solution.problem.id: row.solution.problem for row in rows}.values())
    return result(load(*overrides), problems, rows)


def test_several_tries_give_pass_at_k_and_the_majority_vote() -> None:
    rows = [*tries("1", "5", "5.0", "6", "7"), *tries("2", "6", "6", "5", "7"), *tries("3", "6", "7", "8", "9")]
    score = scored(rows, "decoding.samples=4", "decoding.temperature=0.7").result
    assert (score["n"], score["correct"], score["tries"]) == (12, 3, 4)
    assert score["pass_at_k"] == {"1": pytest.approx(1 / 4), "2": pytest.approx(4 / 9), "4": pytest.approx(2 / 3)}
    assert (score["majority"]["n"], score["majority"]["correct"]) == (3, 1)
    assert score["identity"]["decoding"]["samples"] == 4


def test_the_best_of_n_is_the_try_with_the_orms_highest_score() -> None:
    exp = load("decoding.samples=2", "decoding.temperature=0.7")
    rows = [*tries("1", "5", "6"), *tries("2", "6", "5"), *tries("3", "5", "6")]
    problems = [Problem(str(n), "?", (), "5") for n in (1, 2, 3)]
    scores = [{"1": 0.9, "2": 0.8, "3": None}, {"1": 0.2, "2": 0.7, "3": 0.1}]
    responses, _ = tries_of(rows, 2)
    best = together(problems, responses, exp.benchmark.rules()["strict"], scores)["best_of_n"]  # type: ignore[attr-defined]
    assert (best["n"], best["correct"]) == (3, 1)


def test_one_try_is_an_accuracy_with_wilsons_interval() -> None:
    found = scored([*tries("1", "5"), *tries("2", "6")])
    assert (found.result["accuracy"], found.result["by"]["source"]["a"]["n"]) == (0.5, 2)
    assert "pass_at_k" not in found.result
    assert [row["id"] for row in found.outcomes] == ["1", "2"]


def test_a_problem_that_was_too_long_to_be_asked_is_missing_and_named() -> None:
    long = Judged(Solution(Problem("9", "?", (), "5"), "", "M"), Verdict("wrong", analysis=TOO_LONG))
    found = scored([*tries("1", "5"), long])
    assert (found.result["n"], found.result["correct"], found.result["missing"]) == (2, 1, 1)
    assert found.result["inputs"] == {"too long": {"count": 1, "first": ["9"]}}


def test_the_base_is_evaluated_once_and_then_found(tmp_path: Path) -> None:
    first = evaluate([*TINY, f"store={tmp_path}"])
    assert (first.result["model"], first.result["n"], first.result["benchmark"]) == ("base", 2, "figures")
    solutions = Path(first.result["solutions"])
    stamp = solutions.stat().st_mtime_ns
    assert evaluate([*TINY, f"store={tmp_path}"]).result == first.result
    assert solutions.stat().st_mtime_ns == stamp
    out = Path(first.result["out"])
    assert json.loads((out / "score.json").read_text()) == first.result
    assert len((out / "outcomes.jsonl").read_text().splitlines()) == 2


# ---- an API ---------------------------------------------------------------------------------------------------------


PROBLEMS = [{"id": str(n), "question": f"What is {n} + 1?", "answer": f"{n + 1}"} for n in range(1, 6)]


def solver(body: dict[str, Any]) -> str:
    """Solves sums, but says "many" for what is more than 4; as judge it takes that for 5."""
    content = body["messages"][-1]["content"]
    if "Is the answer the same" in content:
        return json.dumps({"same": "Reference: 5" in content})
    total = int(re.findall(r"(\d+) \+ 1", content)[-1]) + 1
    return f"The answer to this problem is {total if total < 5 else 'many'}."


def words(tmp_path: Path, endpoint: Endpoint, group: str) -> list[str]:
    path = tmp_path / "problems.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in PROBLEMS))
    reached = [
        f"{group}.base_url={endpoint.url}",
        f"{group}.key_env=null",
        f"{group}.backoff=0.01",
        f"{group}.model=m-{group}",
    ]
    return [
        "benchmark=jsonl",
        f"benchmark.data.path={path}",
        f"store={tmp_path / 'runs'}",
        f"{group}={OPTION[group]}",
        *reached,
    ]


OPTION = {"engine": "server", "teacher": "openai"}


def test_an_api_model_goes_through_the_same_line_and_is_asked_once(tmp_path: Path) -> None:
    with Endpoint(answer=solver) as endpoint:
        endpoint.faults += ["500", "429"]
        first = evaluate(words(tmp_path, endpoint, "engine"))
        sent = len(endpoint.seen)
        assert evaluate(words(tmp_path, endpoint, "engine")).result == first.result
        assert len(endpoint.seen) == sent == 7
    assert (first.result["model"], first.result["n"], first.result["correct"]) == ("m-engine", 5, 3)
    assert first.result["undecided"] == 2  # in words, which no rule knows
    assert endpoint.seen[-1].body["temperature"] == 0.0


def test_tries_of_an_api_model_are_asked_apart(tmp_path: Path) -> None:
    with Endpoint(answer=solver) as endpoint:
        score = evaluate(
            [*words(tmp_path, endpoint, "engine"), "decoding.samples=2", "decoding.temperature=0.7"]
        ).result
        assert len(endpoint.seen) == 10
    assert (score["n"], score["pass_at_k"]["2"]) == (10, 0.6)


def test_a_judge_decides_what_the_rule_cannot_and_both_are_counted(tmp_path: Path) -> None:
    with Endpoint(answer=solver) as endpoint:
        asked = [*words(tmp_path, endpoint, "engine"), *words(tmp_path, endpoint, "teacher")[3:]]
        score = evaluate([*asked, "rule=all"]).result["rules"]["lenient"]
        assert len(endpoint.seen) == 7
    assert (score["correct"], score["decided"], score["undecided"]) == (4, {"rule": 3, "judge": 2}, 0)
    judge = score["identity"]["judge"]
    assert (judge["model"], judge["temperature"], len(judge["prompt"])) == ("m-teacher", 0.7, 12)


# ---- adapters -------------------------------------------------------------------------------------------------------


def adapter(folder: Path, weights: bytes = b"weights", base: str = "here") -> Path:
    folder.mkdir(parents=True)
    (folder / "adapter_model.safetensors").write_bytes(weights)
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "base_model_name_or_path": base}))
    return folder


def test_an_adapter_of_others_is_copied_into_the_store_and_named_by_what_is_in_it(tmp_path: Path) -> None:
    exp, store = load(), Store(tmp_path / "runs", load().runtime)
    bare = model_of(exp, store, str(adapter(tmp_path / "bare")))
    below = model_of(exp, store, str(adapter(tmp_path / "below" / "adapter", base="elsewhere").parent))
    other = model_of(exp, store, str(adapter(tmp_path / "other", b"others")))
    assert bare.adapter
    assert bare.adapter == below.adapter != other.adapter
    assert (bare.adapter.path / "adapter" / "adapter_model.safetensors").read_bytes() == b"weights"
    assert (bare.name, bare.adapter.path.parent) == ("bare", store.root)


def test_an_adapter_for_another_checkpoint_is_refused(tmp_path: Path) -> None:
    exp = load("scale=small")
    with pytest.raises(ValueError, match=r"made for Qwen/Qwen2-VL-7B-Instruct.*give backbone\.checkpoint=Qwen"):
        model_of(exp, Store(tmp_path, exp.runtime), str(adapter(tmp_path / "a", base="Qwen/Qwen2-VL-7B-Instruct")))


def test_an_adapter_that_is_a_pickle_is_not_opened(tmp_path: Path) -> None:
    (adapter(tmp_path / "a") / "adapter_model.safetensors").rename(tmp_path / "a" / "adapter_model.bin")
    with pytest.raises(ValueError, match=r"no adapter_model\.safetensors in it"):
        AdapterFolder(path=str(tmp_path / "a"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["adapter=nowhere"], "nowhere: there is no adapter_config.json in it"),
        (["benchmark=none"], "mathvista"),
        (["benchmark=mathvl_test"], "benchmark.data.path=FILE"),
        (["rule=fair"], "figures has the rules answer match, strict, lenient, and all"),
        (["engine=vllm"], "server"),
        (["engine=server", "adapter=x"], "takes no adapter"),
        (["engine=server", "engine.key_env=sk-12"], "engine.key_env should be the NAME"),
        (["orm=runs/train_orm-0"], "orm=runs/train_orm-0: no step of a run left this folder"),
        (["decoding.samples=2"], "samples > 1 at temperature 0"),
    ],
)
def test_a_wrong_command_is_one_line(
    given: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["evaluate", *given, f"store={tmp_path}"])
    assert main() == 2
    error = capsys.readouterr().err
    assert error.startswith("mathse: ")
    assert error.count("\n") == 1
    assert said in error
