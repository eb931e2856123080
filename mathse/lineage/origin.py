"""Backwards: who wrote a solution and how, what it repairs, and what the teacher's call cost. Plain facts, which are columns too."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mathse.lineage import Steps, Written, kind_of
from mathse.steps.generate import ask
from mathse.steps.reflect import ON, ask_for_reflection
from mathse.teacher.calls import DATABASE, Calls
from mathse.teacher.prices import price_of
from mathse.teacher.wire import Answer, Call, Decoding
from mathse.types import Chat, Judged, Solution

API = "mathse.teacher.openai.ApiTeacher"


@dataclass(frozen=True)
class Asked:
    """A call of the teacher: who was asked, and where it was paid and its answer is still kept, the call and what it took."""

    teacher: str
    answer: Answer | None = None
    key: str | None = None
    dollars: float | None = None


@dataclass(frozen=True)
class Draft:
    """What a repair repairs: the rejected solution, where the feedback was given, and what it said."""

    written: Written
    diagnosed_in: str
    row: Judged


def stage_of_row(written: Written) -> tuple[int, int | None]:
    """(stage, round) that a solution was written in; the round is None outside of stage 2, the stage 0 in an evaluation."""
    match kind_of(written.step):
        case "distill":
            return 1, None
        case "generate":
            model = re.fullmatch(r"M_(\d+)", written.solution.author)
            return (2, int(model[1]) + 1) if model else (1, None)
        case "reflect" | "write_up":
            return 3, None
    return 0, None


def author(steps: Steps, written: Written) -> dict[str, Any]:
    """Model, adapter, checkpoint and decoding of a solution by a model; all None for the teacher's."""
    inputs = steps.inputs(written.step)
    model: Mapping[str, Any] = inputs.get("model") or {}
    backbone, sampling = model.get("backbone") or {}, inputs.get("sampling") or {}
    kind = str(backbone.get("_target_", "")).split(".")
    return {
        "model": model.get("name"),
        "backbone": kind[-2] if len(kind) > 1 else None,
        "checkpoint": backbone.get("checkpoint"),
        "adapter": (model.get("adapter") or {}).get("artifact"),
        **{name: sampling.get(name) for name in ("temperature", "top_p", "samples", "max_new_tokens")},
        "seed": inputs.get("seed") if model else None,
        "sample_index": written.solution.index,
    }


def pictures(solution: Solution) -> list[str]:
    """The sha256 of each of the problem's pictures."""
    return [hashlib.sha256(Path(image).read_bytes()).hexdigest() for image in solution.problem.images]


def writer(steps: Steps, judged: str, solution: Solution) -> Written:
    """The solution as it was written, from the step that judged it or wrote it up."""
    inputs = steps.inputs(judged)
    if kind_of(judged) == "write_up":
        return Written(judged, solution)
    return Written(inputs["solutions"]["artifact"], solution)


def draft(steps: Steps, written: Written) -> Draft | None:
    """What a repair repairs; None for a solution that is none."""
    step = written.step
    if kind_of(step) == "write_up":
        step = steps.inputs(steps.inputs(step)["repaired"]["artifact"])["solutions"]["artifact"]
    if kind_of(step) != "reflect":
        return None
    source = steps.inputs(step)["diagnosed"]["artifact"]
    repair = written.solution
    key = f"{repair.problem.id}/{repair.author.removeprefix(ON)}/{repair.index}"
    row = steps.judged(source)[key]
    for judged in reversed(steps.inputs(source)["judged"]):  # the latest failure first, as `diagnose` takes it
        if key in steps.judged(judged["artifact"]):
            return Draft(writer(steps, judged["artifact"], row.solution), source, row)
    return None


def call(steps: Steps, written: Written, repaired: Draft | None) -> Asked | None:
    """The teacher's call that a solution is the answer to; None for a solution by a model."""
    step = written.step
    if kind_of(step) == "write_up":
        step = steps.inputs(steps.inputs(step)["repaired"]["artifact"])["solutions"]["artifact"]
    teacher = steps.inputs(step).get("teacher")
    if teacher is None:
        return None
    if teacher["_target_"] != API:
        return Asked(f"{str(teacher['_target_']).split('.')[-2]} (offline)", dollars=0.0)
    chat = ask_for_reflection(repaired.row) if repaired else ask(written.solution.problem)
    tries = range(1 + int(steps.inputs(step).get("retries", 0)))
    return _found(teacher, chat, tries, steps.root / "teacher")


def _found(teacher: Mapping[str, Any], chat: Chat, tries: Sequence[int], cache: Path) -> Asked:
    name = str(teacher["model"])
    if not (cache / DATABASE).exists():
        return Asked(name)
    decoding = Decoding(teacher["temperature"], teacher["top_p"], teacher["max_tokens"], teacher["seed"])
    with Calls(cache) as known:
        for index in reversed(tries):  # an answer that could be used was the last that was asked for
            asked = Call(name, decoding, chat, None, index)
            answer = known.find(asked.key)
            if answer:
                price = price_of(_prices(), name)
                used = (answer.tokens_in, answer.tokens_cached, answer.tokens_out)
                return Asked(name, answer, asked.key, price.dollars(*used) if price else None)
    return Asked(name)


@functools.cache
def _prices() -> Mapping[str, Any]:
    from mathse.config import load

    teacher: Any = load("teacher=openai").teacher
    prices: Mapping[str, Any] = teacher.prices
    return prices
