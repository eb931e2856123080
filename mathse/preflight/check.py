"""Refuses a run that cannot work, before any weights are read: a checkpoint that is not whole, or memory that does not suffice."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from mathse.backbones.loading import Shape
from mathse.backbones.weights import check_shards
from mathse.preflight.memory import QUESTION, Job, Need, available, gib, jobs, need, needs
from mathse.store import Runtime

if TYPE_CHECKING:
    from mathse.config import Experiment


def check(exp: Experiment) -> None:
    """Raises ValueError, one line, where a checkpoint is missing or not whole, or where the run cannot fit into memory.

    Reads configurations and headers only.
    """
    found = needs(exp)
    refuse(exp, found, available(exp.runtime.device, exp.runtime.devices))
    for job in jobs(exp):
        check_shards(job.member.folder())


def refuse(exp: Experiment, found: Sequence[Need], room: float) -> None:
    """Raises ValueError with the numbers, and with what would fit, for the first phase that does not fit into `room` bytes."""
    for one in found:
        job = one.job
        try:
            job.fit.micro_batches(exp.runtime.devices)
        except ValueError as error:
            raise ValueError(f"{job.fit_field}: {error}") from error
        if job.member.max_length <= one.shape.picture:
            raise ValueError(
                f"{job.field}.max_length={job.member.max_length} leaves no room beside a picture of up to "
                f"{one.shape.picture} tokens; raise it or make pictures smaller"
            )
        for phase, parts in one.phases.items():
            total = sum(parts.values())
            if total > room:
                largest = ", ".join(f"{name} {gib(size)}" for name, size in parts.items() if size > 0.01 * total)
                raise ValueError(
                    f"{phase} of the {job.name} needs about {gib(total)} GiB ({largest}), {gib(room)} are free on "
                    f"{exp.runtime.device}; {smaller(exp, found, one, phase, room)}"
                )


def smaller(exp: Experiment, found: Sequence[Need], one: Need, phase: str, room: float) -> str:
    """The mildest change with which the phase fits, as overrides; a smaller member where none is enough."""
    shapes = [(other.job, other.shape) for other in found]
    for overrides, job, runtime in milder(one.job, one.shape, exp.runtime, phase):
        if sum(need(job, one.shape, shapes, runtime).phases[phase].values()) <= room:
            return f"{overrides} fits"
    field = one.job.field
    return f"a smaller member ({field}.checkpoint=…, or a smaller scale) or more memory is needed"


def milder(job: Job, shape: Shape, runtime: Runtime, phase: str) -> Iterator[tuple[str, Job, Runtime]]:
    """Changes in the order of what they cost: a process for each step, activations computed twice, fewer rows at once, rows
    that are shorter. The first two leave the recipe as it is."""
    before = ""
    if not runtime.isolate:
        before, runtime = "runtime.isolate=true ", dataclasses.replace(runtime, isolate=True)
        yield before.rstrip(), job, runtime
    if phase == "generation":
        rows = runtime.batch_size
        while rows := rows // 2:
            yield f"{before}runtime.batch_size={rows}", job, dataclasses.replace(runtime, batch_size=rows)
        return
    if not runtime.recompute:
        before, runtime = f"{before}runtime.recompute=true ", dataclasses.replace(runtime, recompute=True)
        yield before.rstrip(), job, runtime
    size = job.fit.batch_size
    for micro in range(job.fit.micro_batch_size - 1, 0, -1):
        if size % micro == 0:
            fewer = dataclasses.replace(job, fit=dataclasses.replace(job.fit, micro_batch_size=micro))
            yield f"{before}{job.fit_field}.micro_batch_size={micro}", fewer, runtime
    one = dataclasses.replace(job.fit, micro_batch_size=1)
    member: Any = job.member
    for length in range(member.max_length - 256, shape.picture + QUESTION - 1, -256):
        shorter = dataclasses.replace(job, fit=one, member=dataclasses.replace(member, max_length=length))
        words = f"{job.fit_field}.micro_batch_size=1 {job.field}.max_length={length}"
        yield f"{before}{words}", shorter, runtime
