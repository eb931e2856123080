"""Annotation of wrong solutions by the teacher: the ORM's training data (paper section ORM; prompt contents of the appendix)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

from mathse.feedback import parse_verdict
from mathse.feedback.teacher import ANNOTATE, SCHEMA, ask_for_annotation, reveals
from mathse.shards import in_chunks
from mathse.store import Artifact, means
from mathse.teacher import Teacher, bill
from mathse.types import Judged, Solution, Verdict, read_jsonl, write_jsonl

CHUNK = 4096  # what is paid for is kept call by call


@means(version=2, prompts=(ANNOTATE,))
def annotate(out: Path, *, judged: Artifact, teacher: Teacher, seed: int) -> dict[str, float]:
    """The ORM's data -> judged.jsonl: the wrong solutions with the teacher's annotation, and as many right ones.

    An annotation that breaks the schema or reveals the final answer is asked for once more, then dropped and counted. The larger
    of the two classes is cut to the smaller by a seeded draw.
    """
    wrong, right = shuffled(judged, seed)
    size = min(len(wrong), len(right))
    if not size:
        raise ValueError(
            f"the ORM's student wrote {len(right)} right and {len(wrong)} wrong solutions, and the ORM needs both to learn from; "
            "change seed_size, orm_problems or the difficulty of data, or take judge=answer feedback=none"
        )

    def work(some: Sequence[Judged]) -> list[Judged]:
        verdicts = _ask(some, teacher, 0)
        again = [i for i, verdict in enumerate(verdicts) if verdict is None]
        for i, verdict in zip(again, _ask([some[i] for i in again], teacher, 1), strict=True):
            verdicts[i] = verdict
        return [
            Judged(row.solution, verdict) for row, verdict in zip(some, verdicts, strict=True) if verdict is not None
        ]

    annotated = in_chunks(
        out, wrong[:size], work, Judged, file="judged.jsonl", chunk=CHUNK, label="teacher annotates", unit="solutions"
    )
    write_jsonl(out / "judged.jsonl", [*annotated, *right[:size]])
    return {
        "wrong": len(annotated),
        "right": size,
        "dropped": size - len(annotated),
        "teacher_calls": size,
        **bill(teacher),
    }


def shuffled(judged: Artifact, seed: int) -> tuple[list[Judged], list[Judged]]:
    """The wrong and the right solutions, each in a seeded order."""
    rows = read_jsonl(Judged, judged.path / "judged.jsonl")
    wrong = [row for row in rows if row.verdict.status == "wrong"]
    right = [row for row in rows if row.verdict.status == "correct"]
    Random(f"{seed}/wrong").shuffle(wrong)
    Random(f"{seed}/right").shuffle(right)
    return wrong, right


def _ask(rows: Sequence[Judged], teacher: Teacher, index: int) -> list[Verdict | None]:
    if not rows:
        return []
    texts = teacher([ask_for_annotation(row.solution) for row in rows], schema=SCHEMA, index=index)
    return [
        _usable(parse_verdict(text, "teacher", row.solution.text), row.solution)
        for text, row in zip(texts, rows, strict=True)
    ]


def _usable(verdict: Verdict, solution: Solution) -> Verdict | None:
    """The verdict, or None where it is unreadable, finds no step, contradicts the answer match, or gives the answer away."""
    usable = verdict.status == "wrong" and verdict.error_step is not None and not reveals(verdict, solution)
    return verdict if usable else None
