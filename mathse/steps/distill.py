"""Stage 1: the teacher solves the seed problems."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mathse.steps.generate import SOLVE, ask
from mathse.steps.shards import in_chunks
from mathse.store import Artifact, means
from mathse.teacher import Teacher, bill, whole
from mathse.types import Problem, Solution, read_jsonl

CHUNK = 4096  # what is paid for is kept call by call


@means(prompts=(SOLVE,))
def distill(out: Path, *, problems: Artifact, teacher: Teacher) -> dict[str, float]:
    """One solution of each problem by the teacher -> solutions.jsonl. Those that it cut short or refused are dropped and counted."""

    def solve(some: Sequence[Problem]) -> list[Solution]:
        texts = teacher([ask(problem) for problem in some])
        return [Solution(problem, text, "teacher") for problem, text in zip(some, texts, strict=True) if whole(text)]

    todo = read_jsonl(Problem, problems.path / "problems.jsonl")
    solutions = in_chunks(
        out, todo, solve, Solution, file="solutions.jsonl", chunk=CHUNK, label="teacher solves", unit="problems"
    )
    dropped = len(todo) - len(solutions)
    return {"solutions": len(solutions), "dropped": dropped, "teacher_calls": len(todo), **bill(teacher)}
