"""`python -m mathse.preflight backbone=qwen2vl scale=small …`: will it fit, and does it compute what it should? Before hours are spent.

First, from config.json alone, before any weights are read: parameters, and the memory that fine-tuning and generation need
against what is free. Then, with the weights: the label mask of one row, the loss of a batch against that of its rows, and an
adapter saved and loaded again. train.py does the first part itself at the start of real runs.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from mathse.command import command, usage
from mathse.preflight.check import check
from mathse.preflight.measure import measure
from mathse.preflight.memory import Need, available, gib, jobs, needs


@command
def main(words: Sequence[str]) -> int:
    """Print the table; 1 where something is not as it should be."""
    usage(__doc__, words)
    from mathse.config import load

    exp = load(*words)
    found, room = needs(exp), available(exp.runtime.device, exp.runtime.devices)
    for one in found:
        print("\n".join(estimate(one, room, exp.runtime.device)), flush=True)
    check(exp)
    wrong: list[str] = []
    for job in {job.member: job for job in reversed(jobs(exp))}.values():  # one member is measured once
        lines, complaints = measure(job, exp.runtime.device)
        print("\n".join([f"{job.name}, measured:", *lines]), flush=True)
        wrong += complaints
    if wrong:
        print("mathse: " + "; ".join(wrong), file=sys.stderr)
    return int(bool(wrong))


def estimate(one: Need, room: float, device: str) -> list[str]:
    """Lines: parameters by part, and memory by phase."""
    shape, job = one.shape, one.job
    settings: Any = job.member
    lines = [
        f"{job.name}: {job.member.family}, {job.field}.checkpoint={settings.checkpoint}",
        f"  {'part':<24}{'parameters':>16}{'bits':>6}{'trained':>14}",
    ]
    for part, count in shape.parameters.items():
        if part == "language":
            lines.append(f"  {'language, linear layers':<24}{shape.quantized:>16,}{4:>6}{0:>14,}")
            count -= shape.quantized
            part = "language, the rest"
        lines.append(f"  {part:<24}{count:>16,}{16:>6}{0:>14,}")
    adapter = job.lora.rank * shape.lora
    lines.append(f"  {'adapter':<24}{adapter:>16,}{32:>6}{adapter:>14,}")
    for phase, parts in one.phases.items():
        total = sum(parts.values())
        lines.append(f"  {f'GiB for {phase}':<40}{gib(total):>6} of {gib(room)} free on {device}")
        lines += [f"    {name:<38}{gib(size):>6}" for name, size in parts.items() if size]
    lines.append(f"  {'tokens of the largest picture':<40}{shape.picture:>6} of {job.member.max_length} in a row")
    return lines


if __name__ == "__main__":
    sys.exit(main())
