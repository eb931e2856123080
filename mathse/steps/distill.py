"""Stage 1: the teacher solves the seed problems."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mathse.shards import in_chunks
from mathse.steps.generate import SOLVE, ask
from mathse.store import Artifact, means
from mathse.teacher import Teacher
from mathse.types import Problem, Solution, read_jsonl

CHUNK = 64


@means(prompts=(SOLVE,))
def distill(out: Path, *, problems: Artifact, teacher: Teacher) -> dict[str, float]:
    """One solution of each problem by the teacher -> solutions.jsonl."""

    def solve(some: Sequence[Problem]) -> list[Solution]:
        texts = teacher([ask(problem) for problem in some])
        return [Solution(problem, text, "teacher") for problem, text in zip(some, texts, strict=True)]

    todo = read_jsonl(Problem, problems.path / "problems.jsonl")
    solutions = in_chunks(
        out, todo, solve, Solution, file="solutions.jsonl", chunk=CHUNK, label="teacher solves", unit="problems"
    )
    return {"solutions": len(solutions), "teacher_calls": len(todo)}
