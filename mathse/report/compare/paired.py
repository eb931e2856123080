"""Paired tests between runs: which of them answer the same test problems, and where they differ on these."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from mathse.report.compare.settings import Arm
from mathse.report.run import Run
from mathse.report.summary import Scored
from mathse.statistics import holm, paired_bootstrap, paired_p

Case = tuple[str, str, int]  # a seed, a problem, and which of its tries


def benchmark_of(run: Run) -> str:
    """What a run was tested on: its benchmark and a hash of the problems with their answers. Empty where that is not known."""
    if not run.scores:
        return ""
    rows = {
        (r.solution.problem.id, r.solution.problem.question, r.solution.problem.answer) for r in run.scores[-1].rows
    }
    name = run.summary["models"][-1]["benchmark"] if run.summary.get("models") else ""
    digest = hashlib.sha256("\n".join(map(repr, sorted(rows))).encode("utf-8", "replace")).hexdigest()[:8]
    return f"{name}, {len(rows)} problems ({digest})"


def last(run: Run) -> Scored:
    """The model that a run ends in."""
    return run.scores[-1]


def cases(arm: Arm) -> dict[Case, bool]:
    """What the arm's last models were asked, by seed, and whether they were right."""
    return {
        (str(run.summary.get("seed")), *key): right for run in arm.runs for key, right in last(run).by_problem.items()
    }


@dataclass(frozen=True)
class Pair:
    """An arm against another on the cases that both have: points, their 95 % interval and exact p by problem (see
    `mathse.statistics.paired_p`), and p after Holm over all tests of the comparison."""

    arm: str
    against: str
    n: int
    difference: float
    interval: tuple[float, float]
    p: float
    adjusted: float


def paired_tests(found: Sequence[Arm]) -> list[Pair]:
    """Every arm against the first. Arms that share no case (other seeds) are not tested."""
    if len(found) < 2:
        return []
    first, before = found[0], cases(found[0])
    rows = []
    for arm in found[1:]:
        after = cases(arm)
        both = [case for case in before if case in after]
        if both:
            a, b = [before[case] for case in both], [after[case] for case in both]
            problems = [case[1] for case in both]
            interval = paired_bootstrap(a, b, problems, draws=2000)
            rows.append((arm.label, len(both), (sum(b) - sum(a)) / len(both), interval, paired_p(a, b, problems)))
    adjusted = holm([row[-1] for row in rows])
    return [
        Pair(label, first.label, n, difference, interval, p, q)
        for (label, n, difference, interval, p), q in zip(rows, adjusted, strict=True)
    ]
