"""An LLM as judge, for what the rules cannot decide: asked through the teacher client, which keeps and counts its calls.

It sees the question, the reference and the answer (or the response where no answer was found), and says whether they are the same.
What it does not say in the form asked for stays undecided.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from mathse.answers.options import LETTERS
from mathse.benchmarks.scoring import Outcome, Response
from mathse.teacher import Teacher
from mathse.types import Chat, Problem, Turn

ASK = """Is the answer the same as the reference? Judge the final answer only, not how it was reached; another wording, unit \
or form of the same answer is the same. Reply in JSON with the field same: true or false.
Question: {question}
Reference: {reference}
Answer: {answer}"""
SCHEMA = {
    "type": "object",
    "properties": {"same": {"type": "boolean"}},
    "required": ["same"],
    "additionalProperties": False,
}
LONGEST = 4000  # characters of a response that has to be shown whole: its end, where answers stand


def prompt_hash() -> str:
    """The prompt's part in a score's identity."""
    return hashlib.sha256((ASK + json.dumps(SCHEMA)).encode()).hexdigest()[:12]


def settle(
    problems: Sequence[Problem],
    responses: Mapping[str, Response],
    outcomes: Sequence[Outcome],
    teacher: Teacher,
) -> list[Outcome]:
    """The outcomes with those that were undecided judged by the teacher, in order; the others are not asked about."""
    places = [place for place, outcome in enumerate(outcomes) if outcome.status == "undecided"]
    chats = [_chat(problems[place], responses[problems[place].id], outcomes[place]) for place in places]
    settled = list(outcomes)
    for place, reply in zip(places, teacher(chats, schema=SCHEMA) if chats else [], strict=True):
        same = _read(reply)
        if same is not None:
            settled[place] = replace(outcomes[place], status="correct" if same else "wrong", by="judge")
    return settled


def _chat(problem: Problem, response: Response, outcome: Outcome) -> Chat:
    reference = problem.answer
    if problem.choices and reference in LETTERS[: len(problem.choices)]:
        reference = f"({reference}) {problem.choices[LETTERS.index(reference)]}"
    answer = response.text[-LONGEST:] if outcome.answer is None else outcome.answer
    return (Turn("user", ASK.format(question=problem.question, reference=reference, answer=answer)),)


def _read(reply: str) -> bool | None:
    """What the judge said, or None where it said something else."""
    start, end = reply.find("{"), reply.rfind("}")
    try:
        same = json.loads(reply[start : end + 1])["same"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return same if isinstance(same, bool) else None
