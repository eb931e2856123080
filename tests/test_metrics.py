"""Scores of first wrong steps, against hand-made tables and published labels."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable
from pathlib import Path

import pytest

from mathse.feedback import parse_verdict
from mathse.metrics import macro_f1, processbench, step_label
from mathse.types import Verdict


@pytest.mark.parametrize(
    ("verdict", "label"),
    [
        (Verdict("correct"), 0),
        (Verdict("wrong", 3), 3),
        (Verdict("wrong"), None),
        (Verdict("unreadable"), None),
    ],
)
def test_a_verdict_gives_a_label(verdict: Verdict, label: int | None) -> None:
    assert step_label(verdict) == label


@pytest.mark.parametrize(
    ("predicted", "labelled", "error", "correct", "f1"),
    [
        ([1, 2, 0, 0], [1, 2, 0, 0], 1.0, 1.0, 1.0),
        ([1, 3, 0, 0], [1, 2, 0, 0], 0.5, 1.0, 2 / 3),
        ([0, 0, 0, 0], [1, 2, 0, 0], 0.0, 1.0, 0.0),
        ([1, 1, 1, 1], [1, 2, 0, 0], 0.5, 0.0, 0.0),
        ([None, 2, None, 0], [1, 2, 0, 0], 0.5, 0.5, 0.5),
        ([0, 1, 4], [0, 1, 2], 0.5, 1.0, 2 / 3),
    ],
)
def test_processbench_is_the_harmonic_mean_of_exact_hits_on_both_kinds(
    predicted: list[int | None], labelled: list[int], error: float, correct: float, f1: float
) -> None:
    score = processbench(predicted, labelled)
    assert (score.error, score.correct, score.f1) == pytest.approx((error, correct, f1))


@pytest.mark.parametrize("labelled", [[], [0, 0], [1, 2]])
def test_processbench_needs_both_kinds(labelled: list[int]) -> None:
    with pytest.raises(ValueError, match="needs solutions with a wrong step and without"):
        processbench(labelled, labelled)


@pytest.mark.parametrize(
    ("predicted", "labelled", "f1"),
    [
        ("ccww", "ccww", 1.0),
        ("cccc", "ccww", (2 * 2 / (4 + 2) + 0) / 2),
        ("cwww", "ccww", (2 * 1 / (1 + 2) + 2 * 2 / (3 + 2)) / 2),
        ("cuww", "ccww", (2 * 1 / (1 + 2) + 1) / 2),  # unreadable is no class of its own
        ([1, 2, 2, None], [1, 2, 3, 0], (1 + 2 / 3 + 0 + 0) / 4),
    ],
)
def test_macro_f1_is_the_mean_over_the_labelled_classes(
    predicted: list[Hashable], labelled: list[Hashable], f1: float
) -> None:
    assert macro_f1(predicted, labelled) == pytest.approx(f1)


def test_macro_f1_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        macro_f1([], [])


def test_published_labels_plus_one_are_ours(beside: Callable[[str], Path]) -> None:
    """ProcessBench, GSM8K part: 207 solutions with a wrong step and 193 without, as in the paper's table 1."""
    rows = json.loads(beside("data/processbench/gsm8k.json").read_text())
    labels = [row["label"] + 1 for row in rows]
    assert all(label <= len(row["steps"]) for label, row in zip(labels, rows, strict=True))
    perfect, credulous = processbench(labels, labels), processbench([0] * len(rows), labels)
    assert (perfect.n_error, perfect.n_correct, perfect.f1) == (207, 193, 1.0)
    assert (credulous.error, credulous.correct, credulous.f1) == (0.0, 1.0, 0.0)


def test_critics_that_found_the_wrong_step_are_scored_as_having_found_it(beside: Callable[[str], Path]) -> None:
    """The rows of MR-GSM8K beside the project are those whose first wrong step, by human label, the critic named."""
    predicted: list[int | None] = []
    labelled: list[int] = []
    for line in beside("data/mr-gsm8k-critics/GPT3_5.jsonl").read_text().splitlines():
        row = json.loads(line)
        solution = "\n".join(row["model_output_steps"])
        predicted.append(step_label(parse_verdict(row["critic_output"]["response"], solution=solution)))
        labelled.append(int(row["model_output_solution_first_error_step"]))
    correct = [0]  # every solution there is wrong
    assert processbench([*predicted, *correct], [*labelled, *correct]).f1 == 1.0
    assert macro_f1(predicted, labelled) == 1.0
