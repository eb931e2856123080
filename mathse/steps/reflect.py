"""Reflection (stage 3): the teacher repairs a rejected solution, told which step is wrong and why (prompt contents of the appendix)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mathse.shards import in_chunks
from mathse.steps.data import rejected
from mathse.store import Artifact, means
from mathse.teacher import Teacher, bill, whole
from mathse.types import Chat, Judged, Solution, Turn, language_of

CHUNK = 4096  # what is paid for is kept call by call

REFLECT = """The answer of this solution is certainly wrong. The named step and the analysis may be unreliable. Look at the picture again, \
find the mistake, and write a better solution in full, step by step. Write only the new solution. \
End with: The answer to this problem is ...
<question>{question}</question>
<solution>
{solution}
</solution>
<error_step>{error_step}</error_step>
<error_analysis>{analysis}</error_analysis>"""

REFLECT_ZH = """这个解答的答案肯定是错的。所指出的步骤和分析可能不可靠。请重新看图，找出错误，一步一步地写出完整的、更好的解答，\
每一步单独写一行。只写新的解答。最后写：这道题的答案是……
<question>{question}</question>
<solution>
{solution}
</solution>
<error_step>{error_step}</error_step>
<error_analysis>{analysis}</error_analysis>"""


def ask_for_reflection(judged: Judged) -> Chat:
    """The chat that asks for the repair of one rejected solution."""
    solution, verdict = judged.solution, judged.verdict
    prompt = {"en": REFLECT, "zh": REFLECT_ZH}[language_of(solution.problem.question)]
    text = prompt.format(
        question=solution.problem.question,
        solution=solution.text,
        error_step=f"Step {verdict.error_step}" if verdict.error_step else "",
        analysis=verdict.analysis,
    )
    return (Turn("user", text, solution.problem.images),)


@means(version=2, prompts=(REFLECT,))
def reflect(out: Path, *, diagnosed: Artifact, teacher: Teacher) -> dict[str, float]:
    """The teacher's repair of each diagnosed solution -> solutions.jsonl. Unreadable diagnoses are not sent; repairs that were cut
    short or refused are dropped and counted."""

    def repair(some: Sequence[Judged]) -> list[Solution]:
        texts = teacher([ask_for_reflection(row) for row in some])
        return [
            Solution(row.solution.problem, text, f"reflection on {row.solution.author}", row.solution.index)
            for row, text in zip(some, texts, strict=True)
            if whole(text)
        ]

    todo = rejected([diagnosed])
    solutions = in_chunks(
        out, todo, repair, Solution, file="solutions.jsonl", chunk=CHUNK, label="teacher reflects", unit="solutions"
    )
    dropped = len(todo) - len(solutions)
    return {"solutions": len(solutions), "dropped": dropped, "teacher_calls": len(todo), **bill(teacher)}
