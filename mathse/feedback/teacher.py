"""The teacher as critic (paper, Table 3: feedback by GPT-4o), with the prompt that annotates the ORM's training data (appendix).

It sees the reference answer. An analysis that gives it away is withheld, so that reflection is told where and why and not what.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

from mathse.answers.options import LETTERS, letter
from mathse.feedback import Run, parse_verdict
from mathse.feedback.verdicts import READING, settled
from mathse.settings import settings
from mathse.store import Artifact, Runtime
from mathse.teacher import Teacher, Text, whole
from mathse.types import Chat, Model, Solution, Turn, Verdict, language_of

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


def reveals(verdict: Verdict, solution: Solution) -> bool:
    """Whether the analysis says the reference answer, or the words of the choice that it names."""
    problem = solution.problem
    name = letter(problem.answer, problem.choices)
    secrets = {problem.answer, problem.choices[LETTERS.index(name)] if name else ""} - {""}
    return any(re.search(rf"(?<!\w){re.escape(secret)}(?!\w)", verdict.analysis) for secret in secrets)


@settings
class TeacherCritic:
    """`teacher`: who is asked."""

    teacher: Teacher

    @property
    def by(self) -> str:
        return "teacher"

    def recipe(self) -> dict[str, str | int]:
        """The prompt decides what it answers, and how that is read."""
        return {"prompt": ANNOTATE, "reading": READING}

    def prepare(self, run: Run, taught: Artifact, kept: Artifact, model: Model) -> TeacherCritic:
        """Nothing to prepare."""
        return self

    def __call__(self, solutions: Sequence[Solution], runtime: Runtime, *, why: bool = True) -> list[Verdict]:
        """The teacher's words, read; one call for each solution. Words that were refused, or cut off before the status was settled, are
        unreadable."""
        texts = self.teacher([ask_for_annotation(solution) for solution in solutions], schema=SCHEMA)
        return [self._read(text, solution) for text, solution in zip(texts, solutions, strict=True)]

    def _read(self, text: str, solution: Solution) -> Verdict:
        verdict = parse_verdict(text, self.by, solution.text)
        if isinstance(text, Text) and text.ended == "refused":
            return Verdict("unreadable", by=self.by, raw=text)
        if not whole(text) and settled(text, solution.text) != verdict.status:
            return Verdict("unreadable", by=self.by, raw=text)
        return dataclasses.replace(verdict, analysis="") if reveals(verdict, solution) else verdict
