"""Verdicts on solutions: `judge` decides what is learned from, `diagnose` says where the rejected ones go wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from mathse.feedback import Source
from mathse.feedback.answer import matches
from mathse.steps.data import accepted, rejected
from mathse.steps.shards import in_chunks
from mathse.store import Artifact, Runtime, means
from mathse.types import Judged, Solution, read_jsonl


def judge(out: Path, *, solutions: Artifact, source: Source, runtime: Runtime) -> dict[str, float]:
    """A verdict on each solution -> judged.jsonl.

    Right or wrong is all that the source is asked. The metrics compare it with the reference answers, which the judge may not
    have seen: precision is the share of the accepted that are right, recall the share of the right that are accepted.
    """
    rows = read_jsonl(Solution, solutions.path / "solutions.jsonl")
    judged = _judged(out, rows, source, runtime, why=False)
    return {"generated": len(judged), **agreement(judged), "not_asked": _not_asked(judged)}


def rejudge(out: Path, *, judged: Artifact, source: Source, runtime: Runtime) -> dict[str, float]:
    """Another source's verdict on each solution of a judged.jsonl, asked right or wrong -> judged.jsonl, in the same order."""
    rows = [row.solution for row in read_jsonl(Judged, judged.path / "judged.jsonl")]
    again = _judged(out, rows, source, runtime, why=False)
    return {**agreement(again), "not_asked": _not_asked(again)}


def agreement(judged: Sequence[Judged]) -> dict[str, float]:
    """Counts by status, and how the verdicts agree with the reference answers."""
    right = [matches(row.solution) for row in judged]
    taken = [row.verdict.status == "correct" for row in judged]
    both = sum(r and t for r, t in zip(right, taken, strict=True))
    return {
        "accepted": sum(taken),
        "rejected": sum(row.verdict.status == "wrong" for row in judged),
        "unreadable": sum(row.verdict.status == "unreadable" for row in judged),
        "right": sum(right),
        "accept_precision": both / max(1, sum(taken)),
        "accept_recall": both / max(1, sum(right)),
    }


@means(version=2)
def diagnose(
    out: Path,
    *,
    judged: list[Artifact],
    source: Source,
    repeated: Literal["latest", "all"],
    solved_later: Literal["drop", "keep"],
    runtime: Runtime,
) -> dict[str, float]:
    """R_incorrect with feedback -> judged.jsonl. A verdict that `source` itself gave before is kept, not paid for again, unless it
    was only asked right or wrong then.

    `repeated`: of a problem that failed in several rounds take the latest failure, or all. `solved_later`: a problem that
    failed in one round and was solved in another is dropped, or kept as Algorithm 1 has it.
    """
    rows = rejected(judged)
    found = len(rows)
    if solved_later == "drop":
        solved = {row.solution.problem.id for row in accepted(judged)}
        rows = [row for row in rows if row.solution.problem.id not in solved]
    if repeated == "latest":
        rows = list({row.solution.problem.id: row for row in rows}.values())
    known = {row.solution.id: row for row in rows if row.verdict.by == source.by and not row.verdict.brief}
    new = [row.solution for row in rows if row.solution.id not in known]
    asked = _judged(out, new, source, runtime, why=True, known=known)
    diagnosed = [row for row in asked if row.verdict.status == "wrong"]
    counts = {"rejected": found, "kept": len(asked), "diagnosed": len(diagnosed), "asked": len(asked) - len(known)}
    unreadable = sum(row.verdict.status == "unreadable" for row in asked)
    called_correct = len(asked) - len(diagnosed) - unreadable
    return {**counts, "called_correct": called_correct, "unreadable": unreadable, "not_asked": _not_asked(asked)}


def _not_asked(judged: Sequence[Judged]) -> int:
    """How many verdicts are unreadable because there was nothing to ask, and says so: too long, without steps."""
    why = [row.verdict.analysis for row in judged if row.verdict.status == "unreadable" and row.verdict.analysis]
    if why:
        print(
            f"  {len(why)} of {len(judged)} solutions could not be judged, the first one because {why[0]}", flush=True
        )
    return len(why)


def _judged(
    out: Path,
    solutions: Sequence[Solution],
    source: Source,
    runtime: Runtime,
    *,
    why: bool,
    known: dict[str, Judged] | None = None,
) -> list[Judged]:
    def work(some: Sequence[Judged | Solution]) -> list[Judged]:
        new = [row for row in some if isinstance(row, Solution)]
        verdicts = iter(source(new, runtime, why=why)) if new else iter(())
        return [row if isinstance(row, Judged) else Judged(row, next(verdicts)) for row in some]

    rows: list[Judged | Solution] = [*(known or {}).values(), *solutions]
    return in_chunks(
        out,
        rows,
        work,
        Judged,
        file="judged.jsonl",
        chunk=runtime.batch_size,
        label=f"{source.by} judges",
        unit="solutions",
    )
