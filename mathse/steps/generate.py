"""A model solves problems. The prompt is the same for teacher, student and evaluation (paper, appendix)."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mathse.generation import Engine, Sampling
from mathse.steps.shards import in_chunks
from mathse.store import Artifact, Runtime, means
from mathse.types import Chat, Model, Problem, Solution, Turn, language_of, read_jsonl, without

if TYPE_CHECKING:
    from mathse.backbones import Loaded
    from mathse.backbones.shared import SharedBase

SOLVE = """You are an excellent mathematics teacher. Look at the picture and solve the problem step by step. \
End with: The answer to this problem is ...
{question}"""

SOLVE_ZH = """你是一位优秀的数学老师。请看图，一步一步地解答这道题，每一步单独写一行。\
最后写：这道题的答案是……
{question}"""


def ask(problem: Problem) -> Chat:
    """The chat that asks for a solution of `problem`, in its language."""
    prompt = {"en": SOLVE, "zh": SOLVE_ZH}[language_of(problem.question)]
    return (Turn("user", prompt.format(question=problem.question), problem.images),)


def loaded(model: Model, runtime: Runtime) -> Loaded:
    """The model in memory, to be used before the next one is asked for.

    Models of one backbone share its 4-bit base, which has the adapter of the one that was asked for last. With `runtime.unfold`
    the adapter is part of float weights, so each model has its own: on a CPU that decodes faster than 4 bits, at tiny scale
    memory is no concern, and the last two stay, since steps that follow each other often ask the same one.
    """
    import torch

    if runtime.threads:
        torch.set_num_threads(runtime.threads)
    if runtime.unfold:
        return _unfolded(model, runtime.device)
    return _shared_base(Model(model.backbone), runtime.device).with_adapter(_stored(model))


@functools.lru_cache(maxsize=2)
def _unfolded(model: Model, device: str) -> Loaded:
    return model.backbone.load(_stored(model), unfolded=True, device=device)


@functools.lru_cache(maxsize=2)  # the student's backbone, and the judge's where it has its own
def _shared_base(base: Model, device: str) -> SharedBase:
    from mathse.backbones.shared import SharedBase

    return SharedBase(base.backbone.load(device=device))


def _stored(model: Model) -> Path | None:
    return model.adapter.path / "adapter" if model.adapter else None


def solve(model: Model, problems: Sequence[Problem], sampling: Sampling, seed: int, runtime: Runtime) -> list[Solution]:
    """`sampling.samples` solutions of each problem, those of one problem together; none of a problem that the backbone cannot take."""
    chats = [ask(problem) for problem in problems]
    if isinstance(model.backbone, Engine):
        completions = model.backbone.complete(chats, sampling)
    else:
        from mathse.generation.torch import complete

        seeds = [f"{seed}/{problem.id}" for problem in problems]
        completions = complete(loaded(model, runtime), chats, sampling, seeds)
    return [
        Solution(problem, completion.text, model.name, index)
        for problem, tries in zip(problems, completions, strict=True)
        for index, completion in enumerate(tries)
        if not completion.refused
    ]


@means(prompts=(SOLVE,))
def generate(
    out: Path, *, model: Model, problems: Artifact, sampling: Sampling, seed: int, runtime: Runtime
) -> dict[str, float]:
    """Solutions of all problems by `model` -> solutions.jsonl. Problems longer than its backbone's `max_length` are left out,
    counted and shown."""
    todo = read_jsonl(Problem, problems.path / "problems.jsonl")
    solutions = in_chunks(
        out,
        todo,
        lambda some: solve(model, some, sampling, seed, runtime),
        Solution,
        file="solutions.jsonl",
        chunk=max(1, runtime.batch_size // sampling.samples),
        label=f"{model.name} solves",
        unit="problems",
    )
    characters = _mean([len(solution.text) for solution in solutions])
    left_out = unsolved(model, todo, solutions)
    return {"problems": len(todo), "solutions": len(solutions), "characters": characters, "too_long": len(left_out)}


def unsolved(model: Model, problems: Sequence[Problem], solutions: Sequence[Solution]) -> list[Problem]:
    """The problems that got no solution, which is said: they are longer than the backbone takes."""
    left_out = without(problems, solutions)
    if left_out:
        print(
            f"  {len(left_out)} of {len(problems)} problems are longer than backbone.max_length={model.backbone.max_length} "
            f"tokens and were not solved, the first one {left_out[0].id}",
            flush=True,
        )
    return left_out


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
