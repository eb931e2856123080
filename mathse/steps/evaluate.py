"""Evaluation: a model answers a benchmark's problems, and the benchmark's own rule scores the answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mathse.benchmarks import Benchmark
from mathse.generation import Sampling
from mathse.shards import in_chunks
from mathse.steps.generate import SOLVE, solve
from mathse.store import Artifact, Runtime, means
from mathse.types import Judged, Model, Problem, Verdict, read_jsonl


@means(prompts=(SOLVE,))
def evaluate(
    out: Path, *, model: Model, benchmark: Benchmark, problems: Artifact, sampling: Sampling, runtime: Runtime
) -> dict[str, float]:
    """A scored solution for each problem -> judged.jsonl; nothing of how the model was trained plays a part."""

    def work(some: Sequence[Problem]) -> list[Judged]:
        solutions = solve(model, some, sampling, 0, runtime)
        return [
            Judged(
                solution,
                Verdict("correct" if benchmark.score(solution.problem, solution.text) else "wrong", by=benchmark.name),
            )
            for solution in solutions
        ]

    todo = read_jsonl(Problem, problems.path / "problems.jsonl")
    judged = in_chunks(
        out,
        todo,
        work,
        Judged,
        file="judged.jsonl",
        chunk=runtime.batch_size,
        label=f"evaluating {model.name}",
        unit="problems",
    )
    correct = sum(row.verdict.status == "correct" for row in judged)
    return {"n": len(judged), "correct": correct, "accuracy": correct / max(1, len(judged))}
