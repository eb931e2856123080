"""Any model goes through one line: the base, an adapter of the store, a folder from elsewhere; with one try or several."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mathse.config import load
from mathse.evaluate import adapter_of, evaluate, main, result
from mathse.types import Judged, Problem, Solution, Verdict

TINY = ("benchmark.data.size=2", "decoding.max_new_tokens=8", "runtime.threads=1")


def tries(problem: str, *answers: str) -> list[Judged]:
    asked = Problem(problem, "?", (), "5", source="a")
    return [
        Judged(Solution(asked, f"Answer: {said}", "M", index), Verdict("correct" if said == "5" else "wrong"))
        for index, said in enumerate(answers)
    ]


def test_several_tries_give_pass_at_k_and_the_majority_vote() -> None:
    exp = load("decoding.samples=4", "decoding.temperature=0.7")
    rows = [*tries("1", "5", "5.0", "6", "7"), *tries("2", "6", "6", "5", "7"), *tries("3", "6", "7", "8", "9")]
    score = result(exp, rows)
    assert (score["n"], score["correct"], score["tries"]) == (12, 2, 4)
    assert score["pass_at_k"] == {"1": pytest.approx(1 / 6), "2": pytest.approx(1 / 3), "4": pytest.approx(2 / 3)}
    assert score["majority"] == pytest.approx(1 / 3)
    assert score["identity"]["decoding"]["samples"] == 4


def test_one_try_is_an_accuracy_with_wilsons_interval() -> None:
    score = result(load(), [*tries("1", "5"), *tries("2", "6")])
    assert (score["accuracy"], score["by"]["source"]["a"]["n"]) == (0.5, 2)
    assert "pass_at_k" not in score


def test_the_base_is_evaluated_once_and_then_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = evaluate([*TINY, f"store={tmp_path}"])
    assert (first["model"], first["n"], first["benchmark"]) == ("base", 2, "figures")
    outcomes = Path(first["outcomes"])
    stamp = outcomes.stat().st_mtime_ns
    assert evaluate([*TINY, f"store={tmp_path}"]) == first
    assert outcomes.stat().st_mtime_ns == stamp


def test_an_adapter_is_named_by_the_store_or_by_its_weights(tmp_path: Path) -> None:
    theirs, ours = tmp_path / "download", tmp_path / "sft-0123456789ab"
    for folder in (theirs, ours):
        (folder / "adapter").mkdir(parents=True)
        (folder / "adapter" / "adapter_model.safetensors").write_bytes(b"weights")
    (ours / "record.json").write_text(json.dumps({}))
    assert adapter_of(ours).name == ours.name
    name = adapter_of(theirs).name
    (theirs / "adapter" / "adapter_model.safetensors").write_bytes(b"others")
    assert adapter_of(theirs).name.startswith("adapter-")
    assert adapter_of(theirs).name != name


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["adapter=nowhere"], "nowhere: there is no folder adapter/ in it"),
        (["benchmark=none"], "mathvista"),
        (["benchmark=mathvl_test"], "benchmark.data.path=FILE"),
    ],
)
def test_a_wrong_command_is_one_line(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["evaluate", *words, f"store={tmp_path}"])
    assert main() == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert said in error
