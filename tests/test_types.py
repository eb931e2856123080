"""How a solution is divided into steps."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mathse.types import parts_of, steps_of


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("Step 1: a\nStep 2: b\nThe answer to this problem is 3.", ["a", "b"]),
        ("Let us see.\nStep 1. a\nmore of it\nStep 2: b", ["a\nmore of it", "b"]),
        ("Step 1: One. Two.\n\nThree.\nStep 2: 1. b\n2. c", ["One. Two.\n\nThree.", "1. b\n2. c"]),
        ("**Step 1:** a\n### Step 2: b\n**Step 3**: c", ["a", "b", "c"]),
        ("步骤1：甲\n第2步：乙", ["甲", "乙"]),
        ("Step 1:\nStep 2: b", ["b"]),
        ("So:\n1. a\n   1. within\n   2. within\n2. b\n\n(3) c", ["a\n   1. within\n   2. within", "b", "c"]),
        ("1. a\n\nmore\n\n2. b", ["a\n\nmore", "b"]),
        ("1) a\n2) b", ["a", "b"]),
        ("We have 1. Only one point.\n3.5 is more.", ["We have 1.", "Only one point.", "3.5 is more."]),
        ("One. Two.\n\nThree.\nFour.", ["One. Two.", "Three.\nFour."]),
        (
            "The side is 3.5 cm, e.g. here. x = 4! So?\nYes.",
            ["The side is 3.5 cm, e.g. here.", "x = 4!", "So?", "Yes."],
        ),
        ("边长是3.5。面积是7。", ["边长是3.5。", "面积是7。"]),
        ("One. The answer to this problem is 3.", ["One."]),
        ("One.\nThe answer to this problem is 3.\nStep 1: no more", ["One."]),
        ("no form at all", ["no form at all"]),
        ("The answer to this problem is 3.", []),
        (" \n\n ", []),
        ("", []),
    ],
)
def test_steps_are_headed_parts_else_points_else_paragraphs_else_sentences(text: str, steps: list[str]) -> None:
    assert steps_of(text) == steps
    whole = "".join(part.head + part.body for part in parts_of(text))
    assert whole.split() == text.split()


@pytest.mark.parametrize(
    "piece",
    ["\n", " ", "\n \n", "#", "1. \n", "Step 1: ", "Step 1:\n", ". ", "*_ ", "(1", "the answer ", "\0", "Step "],
)
def test_a_long_text_is_divided_in_bounded_time(piece: str) -> None:
    begun = time.process_time()
    steps_of(piece * (100_000 // len(piece)))
    assert time.process_time() - begun < 2


def test_paragraphs_are_what_processbench_numbers_as_steps(beside: Callable[[str], Path]) -> None:
    """Its solutions are divided at blank lines; three of them also have a "Step n:" in some paragraphs, which we prefer."""
    rows = json.loads(beside("data/processbench/gsm8k.json").read_text())
    same = sum(steps_of("\n\n".join(row["steps"])) == [step.strip() for step in row["steps"]] for row in rows)
    assert (same, len(rows)) == (397, 400)
