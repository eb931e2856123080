"""MathVerse testmini (AI4Math/MathVerse: 788 problems in five versions, 3940 rows; rule: github.com/ZrrSkywalker/MathVerse, 937b090).

[a can with a straw in it]  The radius is 3 cm. Find L.  (version "Text Lite")  -> 14
The authors let GPT-4 extract the answer and judge it; their quick match compares strings. Stored extractions and judgements are
used where they are; otherwise the quick match takes our extraction. The five versions of a problem share `problem_index`, so
intervals and tests are clustered by it; the text-only rows are a table of their own, beside the score.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar, Literal

from mathse.answers import extract
from mathse.benchmarks.scoring import Outcome, Response, Rule, Scorable, lenient, outcome, strict
from mathse.benchmarks.stored import Stored
from mathse.data.files import Row
from mathse.settings import settings
from mathse.types import Problem

TEXT_ONLY = "Text Only"
CHOICE = re.compile(r"^\s*\(?([A-F])\)?\s*[:.]\s*(.*?)\s*$", re.MULTILINE)


@settings
class MathVerseProblems(Stored):
    """The rows of testmini; `prompt`: the question as it is, or the authors' for reasoning (cot) or for a bare answer (wo)."""

    prompt: Literal["ours", "cot", "wo"]

    def problem(self, row: Row) -> Problem:
        own = row.get("question_for_eval") or row["question"]
        choices = [choice for _, choice in CHOICE.findall(own.partition("Choices:")[2])]
        facts = {"problem": str(row["problem_index"]), "version": row["problem_version"], "type": row["question_type"]}
        facts |= {"subject": row["metadata"]["subject"], "subfield": row["metadata"]["subfield"]}
        image = row.get("image")
        return Problem(
            str(row["sample_index"]),
            row["question"] if self.prompt == "ours" else row[f"query_{self.prompt}"],
            (image,) if isinstance(image, str) and image else (),
            str(row["answer"]),
            tuple(choices) if row["question_type"] == "multi-choice" else (),
            source=row["metadata"]["source"],
            facts=facts,
        )


@settings
class MathVerse(Scorable):
    """Five versions of each problem, from text only to picture only."""

    ID: ClassVar = ("sample_index", "id")
    TEXT: ClassVar = ("model_answer", "response")
    EXTRACTION: ClassVar = "extraction"

    name: str
    data: MathVerseProblems

    def rules(self) -> dict[str, Rule]:
        return {"authors": quick_match, "authors-judge": judged, "strict": strict, "lenient": lenient}

    def parts(self, problem: Problem) -> dict[str, Sequence[str]]:
        return {part: [problem.facts[part]] for part in ("version", "subject", "subfield", "type")}

    def apart(self, problem: Problem) -> str:
        """The text-only version has no picture, and a table of its own."""
        return TEXT_ONLY if problem.facts["version"] == TEXT_ONLY else ""

    def cluster(self, problem: Problem) -> str:
        """The versions of one problem belong together."""
        return str(problem.facts["problem"])


def quick_match(problem: Problem, response: Response) -> Outcome:
    """The extraction and the reference are one string."""
    answer = extract(response.text, problem) if response.own else response.stored
    return outcome(answer == problem.answer, answer)


def judged(problem: Problem, response: Response) -> Outcome:
    """The judgement that is stored with the response, 1 or 0; where there is none, what matches is correct and the rest undecided."""
    right = {"1": True, "0": False}.get(str(response.row.get("judgement")))
    matched = quick_match(problem, response)
    return matched if right is None and matched.status == "correct" else outcome(right, response.stored)
