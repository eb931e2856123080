"""Evaluation: a model answers a benchmark's problems, and the benchmark's own rule scores the answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mathse.benchmarks import Benchmark
from mathse.generation import Sampling
from mathse.steps.generate import SOLVE, solve, unsolved
from mathse.steps.shards import in_chunks
from mathse.store import Artifact, Runtime, means
from mathse.types import Judged, Model, Problem, Solution, Verdict, read_jsonl, without

TOO_LONG = "the problem is longer than the backbone takes"


@means(prompts=(SOLVE,))
def evaluate(
    out: Path, *, model: Model, benchmark: Benchmark, problems: Artifact, sampling: Sampling, runtime: Runtime
) -> dict[str, float]:
    """A scored solution for each problem -> judged.jsonl; nothing of how the model was trained plays a part.

    A problem longer than the model's backbone takes is not solved: its solution is empty, and it is counted and shown.
    """

    def work(some: Sequence[Problem]) -> list[Judged]:
        place = {problem.id: i for i, problem in enumerate(some)}
        solutions = solve(model, some, sampling, 0, runtime)
        empty = [
            Solution(problem, "", model.name, i)
            for problem in without(some, solutions)
            for i in range(sampling.samples)
        ]
        scored = [
            Judged(
                solution,
                Verdict("correct" if benchmark.score(solution.problem, solution.text) else "wrong", by=benchmark.name),
            )
            for solution in solutions
        ]
        scored += [Judged(solution, Verdict("wrong", analysis=TOO_LONG, by=benchmark.name)) for solution in empty]
        return sorted(scored, key=lambda row: place[row.solution.problem.id])

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
    solved = [row.solution for row in judged if row.verdict.analysis != TOO_LONG]
    too_long = len(unsolved(model, todo, solved))
    return {"n": len(judged), "correct": correct, "accuracy": correct / max(1, len(judged)), "too_long": too_long}
