"""How a model on our own machine is asked for verdicts: the ORM's prompt, and when what is being written says enough.

A verdict is read as it is written, and its writing stops as soon as enough is said. The rule, which makes the status the same
whatever is asked: the first words that settle the status decide it (`mathse.feedback.verdicts.settled`), and nothing behind them
can change it. Asked right or wrong, the ORM stops there. Asked why, it writes the analysis of a wrong solution to the end; what is
cut off at `max_new_tokens` keeps its status and whatever is whole. Words that come to no status, or that are cut off before
one, are unreadable. So are solutions about which nothing is asked: those without steps, and those too long for the backbone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from mathse.feedback import parse_verdict
from mathse.feedback.verdicts import NO_STEPS, settled
from mathse.generation import Completion, Sampling
from mathse.store import Runtime
from mathse.types import Chat, Model, Solution, Turn, Verdict, steps_of

JUDGE = """Evaluate the solution strictly, step by step, against the picture. Reply in JSON with status, error_step and error_analysis.
{question}
Solution:
{solution}"""
REFERENCE = "\nReference answer: {answer}\nAre they the same?"
# Part of the recipe of whoever is asked by `verdicts_by`: raise it when the same words come to another verdict.
ASKING = 1
SAME = {"correct": "The same. ", "wrong": "Different. "}  # said before the verdict where there is a reference answer


def openings(use_reference: bool) -> tuple[str, str]:
    """How a verdict begins that says correct, and one that says wrong: up to the status, by which they can be told apart."""
    correct, wrong = (
        (SAME[status] if use_reference else "") + f'{{"status": "{status.upper()}"' for status in ("correct", "wrong")
    )
    return correct, wrong


def ask_for_verdict(solution: Solution, use_reference: bool) -> Chat:
    """The chat that asks the ORM for its verdict."""
    problem = solution.problem
    text = JUDGE.format(question=problem.question, solution=solution.text)
    text += REFERENCE.format(answer=problem.answer) if use_reference else ""
    return (Turn("user", text, problem.images),)


def verdicts_by(
    model: Model,
    chats: Sequence[Chat],
    solutions: Sequence[Solution],
    max_new_tokens: int,
    by: str,
    runtime: Runtime,
    openings: tuple[str, str] | None = None,
    *,
    why: bool = True,
) -> list[Verdict]:
    """What a model says, greedily, to the chats that ask about the solutions, by the rule at the head of this file.

    With `openings`, of a reply that says correct and of one that says wrong, each verdict gets its score.
    """
    from mathse.generation.torch import complete
    from mathse.steps.generate import loaded

    asked = [i for i, solution in enumerate(solutions) if steps_of(solution.text)]

    def enough(i: int, text: str) -> bool:
        status = settled(text, solutions[asked[i]].text)
        return status is not None and not (why and status == "wrong")

    greedy = Sampling(temperature=0.0, top_p=1.0, samples=1, max_new_tokens=max_new_tokens)
    names = [solutions[i].id for i in asked]
    about = [solutions[i].problem.id for i in asked]
    completed = complete(
        loaded(model, runtime), [chats[i] for i in asked], greedy, names, about=about, until=enough, openings=openings
    )
    said = {i: verdict_of(words, by, solutions[i].text) for i, (words,) in zip(asked, completed, strict=True)}
    return [said.get(i, Verdict("unreadable", analysis=NO_STEPS, by=by)) for i in range(len(solutions))]


def verdict_of(words: Completion, by: str, solution: str) -> Verdict:
    """The verdict that a model wrote, or came to write until it was stopped, on a solution."""
    if words.refused:
        return Verdict("unreadable", analysis=words.refused, by=by)
    status = settled(words.text, solution)
    if status is None and not words.finished:
        return Verdict("unreadable", score=words.chance, by=by, raw=words.text)
    verdict = parse_verdict(words.text, by, solution)
    if status is not None and verdict.status != status:
        verdict = Verdict(status, by=by, raw=words.text)
    brief = status == "wrong" and words.stopped and not words.text.endswith("}")
    return dataclasses.replace(verdict, brief=brief, score=words.chance)
