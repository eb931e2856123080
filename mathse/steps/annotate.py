"""Annotation of wrong solutions by the teacher: the ORM's training data (paper section ORM; prompt contents of the appendix)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Literal

from mathse.feedback import parse_verdict
from mathse.feedback.teacher import ANNOTATE, SCHEMA, ask_for_annotation, reveals
from mathse.steps.data import judged_rows
from mathse.steps.shards import in_chunks
from mathse.store import Artifact, means
from mathse.teacher import Teacher, bill, whole
from mathse.types import Judged, Solution, Verdict, language_of, write_jsonl

CHUNK = 4096  # what is paid for is kept call by call


Language = Literal["any", "en", "zh"]


@means(version=3, prompts=(ANNOTATE,))
def annotate(
    out: Path,
    *,
    judged: list[Artifact],
    teacher: Teacher,
    size: int | None,
    mix: Mapping[str, float],
    language: Language,
    seed: int,
) -> dict[str, float]:
    """The ORM's data -> judged.jsonl: the wrong solutions with the teacher's annotation, and as many right ones.

    An annotation that was cut short or refused, breaks the schema or reveals the final answer is asked for once more, then dropped and
    counted. The larger of the two classes is cut to the smaller, and both to half of `size`, by a seeded draw. `mix` and `language`:
    see OrmData.
    """
    wrong, right = chosen(judged, size, mix, language, seed)
    rows = judged_rows(judged)
    if not wrong or set(mix) - _sources(rows):
        raise ValueError(_nothing_to_learn(rows, mix, language))

    def work(some: Sequence[Judged]) -> list[Judged]:
        verdicts = _ask(some, teacher, 0)
        again = [i for i, verdict in enumerate(verdicts) if verdict is None]
        for i, verdict in zip(again, _ask([some[i] for i in again], teacher, 1), strict=True):
            verdicts[i] = verdict
        return [
            Judged(row.solution, verdict) for row, verdict in zip(some, verdicts, strict=True) if verdict is not None
        ]

    annotated = in_chunks(
        out, wrong, work, Judged, file="judged.jsonl", chunk=CHUNK, label="teacher annotates", unit="solutions"
    )
    right = right[: len(annotated)]  # for what was dropped, too
    write_jsonl(out / "judged.jsonl", [*annotated, *right])
    return {
        "wrong": len(annotated),
        "right": len(right),
        "dropped": len(wrong) - len(annotated),
        "teacher_calls": len(wrong),
        **bill(teacher),
    }


def _nothing_to_learn(rows: Sequence[Judged], mix: Mapping[str, float], language: Language) -> str:
    unknown = sorted(set(mix) - _sources(rows))
    if unknown:
        there = ", ".join(sorted(_sources(rows)))
        return f"orm.data.mix: no problem kept for the ORM has the source {unknown[0]!r}; there are {there}"
    found = Counter(row.verdict.status for row in _wanted(rows, mix, language))
    left = " that orm.data.mix and orm.data.language leave" if mix or language != "any" else ""
    return (
        f"the ORM's students wrote {found['correct']} right and {found['wrong']} wrong solutions{left}, and the ORM needs both to learn "
        "from; change seed_size, orm_problems, orm.data.mix, orm.data.language or the difficulty of data, or take judge=answer "
        "feedback=none"
    )


def _sources(rows: Sequence[Judged]) -> set[str]:
    return {row.solution.problem.source for row in rows}


def _wanted(rows: Sequence[Judged], mix: Mapping[str, float], language: Language) -> list[Judged]:
    return [
        row
        for row in rows
        if language in ("any", language_of(row.solution.problem.question))
        and (not mix or row.solution.problem.source in mix)
    ]


def chosen(
    judged: Sequence[Artifact], size: int | None, mix: Mapping[str, float], language: Language, seed: int
) -> tuple[list[Judged], list[Judged]]:
    """The wrong and the right solutions to learn from, as many of either, each in a seeded order."""
    rows = _wanted(judged_rows(judged), mix, language)
    wrong = [row for row in rows if row.verdict.status == "wrong"]
    right = [row for row in rows if row.verdict.status == "correct"]
    Random(f"{seed}/wrong").shuffle(wrong)
    Random(f"{seed}/right").shuffle(right)
    count = min(len(wrong), len(right), len(rows) if size is None else size // 2)
    return mixed(wrong, mix)[:count], mixed(right, mix)[:count]


def mixed(rows: Sequence[Judged], mix: Mapping[str, float]) -> list[Judged]:
    """The rows in an order whose every beginning holds each source by its weight, for as long as there are rows of it."""
    if not mix:
        return list(rows)
    before: Counter[str] = Counter()
    placed: list[tuple[float, int, Judged]] = []
    for i, row in enumerate(rows):
        source = row.solution.problem.source
        placed.append(((before[source] + 0.5) / mix[source], i, row))
        before[source] += 1
    return [row for _, _, row in sorted(placed, key=lambda entry: entry[:2])]


def _ask(rows: Sequence[Judged], teacher: Teacher, index: int) -> list[Verdict | None]:
    if not rows:
        return []
    texts = teacher([ask_for_annotation(row.solution) for row in rows], schema=SCHEMA, index=index)
    return [
        _usable(parse_verdict(text, "teacher", row.solution.text), row.solution) if whole(text) else None
        for text, row in zip(texts, rows, strict=True)
    ]


def _usable(verdict: Verdict, solution: Solution) -> Verdict | None:
    """The verdict, or None where it is unreadable, finds no step, contradicts the answer match, or gives the answer away."""
    usable = verdict.status == "wrong" and verdict.error_step is not None and not reveals(verdict, solution)
    return verdict if usable else None
