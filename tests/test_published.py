"""The authors' own numbers come out of the responses and tables that they stored."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mathse.benchmarks.mathvista import MathVista
from mathse.benchmarks.responses import read_responses
from mathse.benchmarks.tables import decided, tally
from mathse.config import load
from mathse.score import score


def test_mathvistas_published_accuracies_come_out_of_the_stored_extractions(
    tmp_path: Path, beside: Callable[[str], Path]
) -> None:
    folder = beside("data/mathvista-outputs")
    expected = json.loads((folder / "expected.json").read_text())
    for model, numbers in expected.items():
        words = [f"problems={folder}/problems.jsonl", f"responses={folder}/outputs/{model}.jsonl", f"out={tmp_path}"]
        published = json.loads((folder / "scores" / f"scores_{model}.json").read_text())["average"]
        result = score(["benchmark=mathvista", *words]).result
        assert result["n"] == 1000
        assert f"{100 * result['accuracy']:.1f}" == f"{float(published['accuracy']):.1f}"
        assert result["correct"] == numbers["rule_int"]
        assert (
            score(["benchmark=mathvista", "rule=authors-today", *words]).result["correct"] == numbers["rule_int_float"]
        )
        for part in ("task", "context", "grade", "source", "language"):
            assert {name: [cell["correct"], cell["n"]] for name, cell in result["by"][part].items()} == (
                numbers["breakdown_int"][part]
            )


def test_mathvistas_leaderboard_columns_are_reproduced(tmp_path: Path, beside: Callable[[str], Path]) -> None:
    folder = beside("data/mathvista-outputs")
    published = json.loads((folder / "published_leaderboard.json").read_text())["minigpt4_llama2"]
    words = [
        f"problems={folder}/problems.jsonl",
        f"responses={folder}/outputs/minigpt4_llama2.jsonl",
        f"out={tmp_path}",
    ]
    cells = score(["benchmark=mathvista", *words]).result["by"]["leaderboard"]
    assert {name: round(100 * cell["accuracy"], 1) for name, cell in cells.items()} == published


def test_our_extraction_from_mathvistas_raw_responses_scores_as_the_stored_one(beside: Callable[[str], Path]) -> None:
    folder = beside("data/mathvista-outputs")
    benchmark = load("benchmark=mathvista").benchmark
    assert isinstance(benchmark, MathVista)
    problems = benchmark.stored_problems(folder / "problems.jsonl")
    for path in sorted((folder / "outputs").glob("*.jsonl")):
        responses = read_responses(path, benchmark, problems).responses
        raw = {key: dataclasses.replace(r, stored=None, own=True) for key, r in responses.items()}
        rule = benchmark.rules()["authors-2023"]
        theirs, ours = (tally(benchmark, problems, decided(rule, problems, some)) for some in (responses, raw))
        assert abs(theirs["accuracy"] - ours["accuracy"]) <= 0.015, path.stem


def test_mathvisions_published_counts_come_out_of_the_raw_responses(
    tmp_path: Path, beside: Callable[[str], Path]
) -> None:
    folder = beside("data/mathvision-outputs")
    for model, numbers in json.loads((folder / "expected.json").read_text()).items():
        words = [f"problems={folder}/test.jsonl", f"responses={folder}/outputs/{model}.jsonl", f"out={tmp_path}"]
        started = time.monotonic()
        result = score(["benchmark=mathvision", *words]).result
        assert result["identity"]["extraction"] == "own"
        assert time.monotonic() - started < 30
        assert (result["n"], result["correct"]) == (3040, numbers["stored_correct"])


def test_dynamaths_tables_give_their_average_worst_case_and_always_wrong(
    tmp_path: Path, beside: Callable[[str], Path]
) -> None:
    folder = beside("data/dynamath-tables")
    for model, numbers in json.loads((folder / "expected.json").read_text()).items():
        result = score(["benchmark=dynamath", f"responses={folder}/{model}.csv", f"out={tmp_path}"]).result
        for key, number in numbers.items():
            assert result[key] == pytest.approx(number, abs=5e-5), (model, key)
