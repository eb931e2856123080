"""Reflection (stage 3): the teacher repairs a rejected solution, told which step is wrong and why (prompt contents of the appendix)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mathse.answers import extract
from mathse.settings import Count, settings
from mathse.steps.data import accepted, rejected
from mathse.steps.shards import in_chunks
from mathse.store import Artifact, means
from mathse.teacher import Teacher, bill, whole
from mathse.types import ENDING, Chat, Judged, Problem, Solution, Turn, Verdict, language_of, write_jsonl

if TYPE_CHECKING:
    from mathse.feedback import Run

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
def reflect(out: Path, *, diagnosed: Artifact, teacher: Teacher, retries: int) -> dict[str, float]:
    """The teacher's repair of each diagnosed solution -> solutions.jsonl. Unreadable diagnoses are not sent.

    A repair that was refused, cut short, or states no final answer (neither the sentinel nor a box) is asked for `retries` times
    more, then dropped and counted.
    """

    def repair(some: Sequence[Judged]) -> list[Solution]:
        repairs: dict[int, str] = {}
        for index in range(1 + retries):
            todo = [i for i in range(len(some)) if i not in repairs]
            texts = teacher([ask_for_reflection(some[i]) for i in todo], index=index) if todo else []
            readable = zip(todo, texts, strict=True)
            repairs |= {i: text for i, text in readable if answers(some[i].solution.problem, text)}
        return [
            Solution(row.solution.problem, repairs[i], f"{ON}{row.solution.author}", row.solution.index)
            for i, row in enumerate(some)
            if i in repairs
        ]

    todo = rejected([diagnosed])
    solutions = in_chunks(
        out, todo, repair, Solution, file="solutions.jsonl", chunk=CHUNK, label="teacher reflects", unit="solutions"
    )
    dropped = len(todo) - len(solutions)
    return {"solutions": len(solutions), "dropped": dropped, "teacher_calls": len(todo), **bill(teacher)}


def answers(problem: Problem, text: str) -> bool:
    """Whether a teacher's text came to an end of its own and states a final answer, be it behind the sentinel or in a box."""
    return whole(text) and extract(text, problem, only_stated=True) is not None


ON = "reflection on "  # whose solution a repair's author repaired


def with_repairs(diagnosed: Sequence[Judged], repaired: Sequence[Judged]) -> list[tuple[Judged, Judged | None]]:
    """Each solution that was sent to reflection with its repair, judged in turn; None where there is no readable one."""

    def sent(solution: Solution) -> tuple[str, str, int]:
        return solution.problem.id, solution.author.removeprefix(ON), solution.index

    repairs = {sent(row.solution): row for row in repaired}
    return [(row, repairs.get(sent(row.solution))) for row in diagnosed if row.verdict.status == "wrong"]


# ---- what is learned of a repair ----

WRITE_UP = """Draft:
{draft}
Reflection: {reflection}
Solution:
{output}"""

WRITE_UP_ZH = """初稿：
{draft}
反思：{reflection}
解答：
{output}"""

WRONG = {"en": ("This draft is wrong.", "Step {} is wrong."), "zh": ("这个初稿是错的。", "第{}步是错的。")}


@settings
class Reflection:
    """How stage 3 is done.

    `schedule`: `never`; `final`, once after all rounds (Algorithm 1, figure 3); `every_round`, where a round's accepted repairs join its
    training and their problems leave D_remain (the method's prose and Eq. 2), so that there is no M_final. `format`: what is
    learned, `plain` the accepted repair alone (the paper), `draft_reflect_output` the `write_up` (the records of the authors'
    repository). `retries`: see `reflect`; `repeated`, `solved_later`: see `diagnose`.
    """

    schedule: Literal["never", "final", "every_round"]
    format: Literal["plain", "draft_reflect_output"]
    retries: Count
    repeated: Literal["latest", "all"]
    solved_later: Literal["drop", "keep"]

    def learned(self, run: Run, repaired: Artifact, diagnosed: Artifact) -> Artifact:
        """What D_SFT gets of the judged repairs: themselves, or the write-ups of the accepted ones."""
        return repaired if self.format == "plain" else run(write_up, repaired=repaired, diagnosed=diagnosed)


@means(prompts=(WRITE_UP, *WRONG["en"]))
def write_up(out: Path, *, repaired: Artifact, diagnosed: Artifact) -> dict[str, float]:
    """Draft, reflection and output of each accepted repair as one text -> judged.jsonl.

    The draft is the rejected solution without its final answer, the reflection what the feedback said of it. Texts whose
    final answer would be read as another than the repair's are dropped and counted.
    """
    pairs = with_repairs(rejected([diagnosed]), accepted([repaired]))
    rows = [(repair, _written_up(draft, repair)) for draft, repair in pairs if repair]
    kept = [told for repair, told in rows if _answer(told) == _answer(repair)]
    write_jsonl(out / "judged.jsonl", kept)
    return {"accepted": len(kept), "dropped": len(rows) - len(kept)}


def _written_up(draft: Judged, repair: Judged) -> Judged:
    language = language_of(repair.solution.problem.question)
    text = {"en": WRITE_UP, "zh": WRITE_UP_ZH}[language].format(
        draft=ENDING.split(draft.solution.text)[0].strip(),
        reflection=_reflection(draft.verdict, *WRONG[language]),
        output=repair.solution.text,
    )
    return dataclasses.replace(repair, solution=dataclasses.replace(repair.solution, text=text))


def _reflection(verdict: Verdict, wrong: str, wrong_step: str) -> str:
    place = wrong_step.format(verdict.error_step) if verdict.error_step else wrong
    return f"{place} {verdict.analysis}".strip()


def _answer(row: Judged) -> str | None:
    return extract(row.solution.text, row.solution.problem, only_stated=True)
