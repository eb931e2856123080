"""Annotation of wrong solutions by the teacher: the ORM's training data (paper section ORM; prompt contents of the appendix)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from mathse.feedback import parse_verdict
from mathse.shards import in_chunks
from mathse.store import Artifact, means
from mathse.teacher import Teacher, bill
from mathse.types import Chat, Judged, Solution, Turn, Verdict, language_of, read_jsonl, write_jsonl

CHUNK = 4096  # what is paid for is kept call by call

ANNOTATE = """You are a strict evaluator of solutions. Compare the solution with the picture and with the reference answer, step by step. \
Name the first wrong step and analyse why it is wrong. Another form of the same answer counts as correct. \
Never reveal the final answer in your analysis.
<question>{question}</question>
<reference>{answer}</reference>
<solution>
{solution}
</solution>"""

ANNOTATE_ZH = """你是一位严格的解题评阅者。请把这个解答与图和参考答案一步一步地对照。指出第一个错误的步骤，并分析它为什么错。\
同一答案的不同写法算正确。分析中绝不能透露最终答案。
<question>{question}</question>
<reference>{answer}</reference>
<solution>
{solution}
</solution>"""

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "status": {"type": "string", "enum": ["CORRECT", "WRONG"]},
        "error_step": {"type": ["string", "null"]},
        "error_analysis": {"type": ["string", "null"]},
    },
    "required": ["status", "error_step", "error_analysis"],
    "additionalProperties": False,
}


def ask_for_annotation(solution: Solution) -> Chat:
    """The chat that asks for the annotation of one solution."""
    problem = solution.problem
    prompt = {"en": ANNOTATE, "zh": ANNOTATE_ZH}[language_of(problem.question)]
    text = prompt.format(question=problem.question, answer=problem.answer, solution=solution.text)
    return (Turn("user", text, problem.images),)


@means(prompts=(ANNOTATE,))
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
    return [_usable(parse_verdict(text, "teacher"), row.solution) for text, row in zip(texts, rows, strict=True)]


def _usable(verdict: Verdict, solution: Solution) -> Verdict | None:
    """The verdict, or None where it is unreadable, finds no step, contradicts the answer match, or gives the answer away."""
    reveals = re.search(rf"(?<!\w){re.escape(solution.problem.answer)}(?!\w)", verdict.analysis)
    usable = verdict.status == "wrong" and verdict.error_step is not None and not reveals
    return verdict if usable else None
