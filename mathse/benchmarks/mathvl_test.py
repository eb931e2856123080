"""MathVL-test, the paper's own benchmark: 2000 Chinese K12 problems. Neither its files nor its protocol have been released.

What is read here is what its papers describe (arXiv 2409.13729, 2511.06805), so that it can be scored the day it is out:
{"id": "1", "question": "如图，求∠A 的度数。", "image": "1.png", "answer": "50°", "choices": [], "type": "几何", "level": 0}
`choices` may be missing, `type` (algebra, geometry, statistics …) is what the score is split by. The authors' rule is not
known; the first rule is `lenient`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from mathse.benchmarks.jsonl import JsonlProblems
from mathse.benchmarks.scoring import Scorable
from mathse.data.files import Row
from mathse.settings import settings
from mathse.types import Problem


@settings
class MathVLProblems(JsonlProblems):
    """Rows of the format above."""

    def problem(self, row: Row) -> Problem:
        return dataclasses.replace(super().problem(row), source=str(row.get("type", "")))


@settings
class MathVLTest(Scorable):
    """`data.path` names the file; there is none on the hub."""

    name: str
    data: MathVLProblems

    def parts(self, problem: Problem) -> dict[str, Sequence[str]]:
        return {"type": [problem.source]}
