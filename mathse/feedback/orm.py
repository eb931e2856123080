"""The Outcome Reward Model (paper, section 4.1): a model fine-tuned to write a verdict with the wrong step and an analysis.

Its data are solutions by a student (the base after stage 1, by answer match) to problems kept out of D: the wrong ones
annotated by the teacher, and as many right ones. The paper does not say whether the ORM sees the reference answer;
`use_reference`, whose value is the scale's, decides. Where it does, it first says whether the two answers are the same, and its
verdict follows from its own words.

A verdict is read as it is written, and its writing stops as soon as enough is said. The rule, which makes the status the same
whatever is asked: the first words that settle the status decide it (`mathse.feedback.verdicts.settled`), and nothing behind them
can change it. Asked right or wrong, the ORM stops there. Asked why, it writes the analysis of a wrong solution to the end; what is
cut off at `max_new_tokens` keeps its status and whatever is whole. Words that come to no status, or that are cut off before
one, are unreadable. So are solutions about which nothing is asked: those without steps, and those too long for the backbone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from mathse.backbones import Backbone
from mathse.backbones.qlora import Lora
from mathse.feedback import Run, parse_verdict
from mathse.feedback.answer import AnswerMatch
from mathse.feedback.verdicts import NO_STEPS, READING, settled
from mathse.fit import Fit
from mathse.generation import Completion, Sampling
from mathse.settings import settings
from mathse.store import Artifact, Runtime
from mathse.teacher import Teacher
from mathse.types import Chat, Model, Solution, Turn, Verdict, steps_of

JUDGE = """Evaluate the solution strictly, step by step, against the picture. Reply in JSON with status, error_step and error_analysis.
{question}
Solution:
{solution}"""
REFERENCE = "\nReference answer: {answer}\nAre they the same?"
ASKING = (
    1  # part of the recipe of whoever is asked by `verdicts_by`: raise it when the same words come to another verdict
)
SAME = {"correct": "The same. ", "wrong": "Different. "}  # said before the verdict where there is a reference answer


def ask_for_verdict(solution: Solution, use_reference: bool) -> Chat:
    """The chat that asks the ORM for its verdict."""
    problem = solution.problem
    text = JUDGE.format(question=problem.question, solution=solution.text)
    text += REFERENCE.format(answer=problem.answer) if use_reference else ""
    return (Turn("user", text, problem.images),)


@settings
class Orm:
    """How the ORM is made. `student` writes the solutions it learns from, after `student_fit` on the teacher's `taught`.

    `judge_says_why`: see `TrainedOrm`.
    """

    backbone: Backbone
    fit: Fit
    lora: Lora
    student: Backbone
    student_fit: Fit
    student_lora: Lora
    drafts: Sampling
    teacher: Teacher
    analysis: bool
    use_reference: bool
    held_out: float
    max_new_tokens: int
    judge_says_why: bool
    seed: int

    def prepare(self, run: Run, taught: Artifact, kept: Artifact, model: Model) -> TrainedOrm:
        """Train the ORM and test it on held-out solutions; each of the steps runs once per recipe, however many ask."""
        from mathse.steps.annotate import annotate
        from mathse.steps.generate import generate
        from mathse.steps.judging import judge
        from mathse.steps.orm import test_orm, train_orm
        from mathse.steps.sft import sft

        chosen = run(judge, solutions=taught, source=AnswerMatch())
        adapter = run(
            sft,
            backbone=self.student,
            data=[chosen],
            fit=self.student_fit,
            lora=self.student_lora,
            start=None,
            seed=self.seed,
        )
        student = Model(self.student, adapter, "student")
        drafts = run(generate, model=student, problems=kept, sampling=self.drafts, seed=self.seed)
        labelled = run(judge, solutions=drafts, source=AnswerMatch())
        annotated = run(annotate, judged=labelled, teacher=self.teacher, seed=self.seed)
        trained = run(
            train_orm,
            backbone=self.backbone,
            data=annotated,
            fit=self.fit,
            lora=self.lora,
            analysis=self.analysis,
            use_reference=self.use_reference,
            held_out=self.held_out,
            seed=self.seed,
        )
        source = TrainedOrm(
            model=Model(self.backbone, trained, "orm"),
            use_reference=self.use_reference,
            max_new_tokens=self.max_new_tokens,
            judge_says_why=self.judge_says_why,
        )
        run(test_orm, source=source, data=annotated, held_out=self.held_out)
        return source


@settings
class TrainedOrm:
    """An ORM that can be asked. `judge_says_why`: it writes where and why also where only right or wrong is asked."""

    model: Model
    use_reference: bool
    max_new_tokens: int
    judge_says_why: bool

    def recipe(self) -> dict[str, str | int]:
        """The prompt decides what it answers, and how that is read."""
        return {"prompt": JUDGE + REFERENCE, "reading": READING, "asking": ASKING}

    @property
    def by(self) -> str:
        assert self.model.adapter is not None
        return self.model.adapter.name

    def __call__(self, solutions: Sequence[Solution], runtime: Runtime, *, why: bool = True) -> list[Verdict]:
        """The ORM's own words, read."""
        chats = [ask_for_verdict(solution, self.use_reference) for solution in solutions]
        why = why or self.judge_says_why
        return verdicts_by(self.model, chats, solutions, self.max_new_tokens, self.by, runtime, why=why)


def verdicts_by(
    model: Model,
    chats: Sequence[Chat],
    solutions: Sequence[Solution],
    max_new_tokens: int,
    by: str,
    runtime: Runtime,
    *,
    why: bool = True,
) -> list[Verdict]:
    """What a model says, greedily, to the chats that ask about the solutions, by the rule at the head of this file."""
    from mathse.generation.torch import complete
    from mathse.steps.generate import loaded

    asked = [i for i, solution in enumerate(solutions) if steps_of(solution.text)]

    def enough(i: int, text: str) -> bool:
        status = settled(text, solutions[asked[i]].text)
        return status is not None and not (why and status == "wrong")

    greedy = Sampling(temperature=0.0, top_p=1.0, samples=1, max_new_tokens=max_new_tokens)
    names = [solutions[i].id for i in asked]
    about = [solutions[i].problem.id for i in asked]
    completed = complete(loaded(model, runtime), [chats[i] for i in asked], greedy, names, about=about, until=enough)
    said = {i: verdict_of(words, by, solutions[i].text) for i, (words,) in zip(asked, completed, strict=True)}
    return [said.get(i, Verdict("unreadable", analysis=NO_STEPS, by=by)) for i in range(len(solutions))]


def verdict_of(words: Completion, by: str, solution: str) -> Verdict:
    """The verdict that a model wrote, or came to write until it was stopped, on a solution."""
    if words.refused:
        return Verdict("unreadable", analysis=words.refused, by=by)
    status = settled(words.text, solution)
    if status is None and not words.finished:
        return Verdict("unreadable", by=by, raw=words.text)
    verdict = parse_verdict(words.text, by, solution)
    if status is not None and verdict.status != status:
        verdict = Verdict(status, by=by, raw=words.text)
    return dataclasses.replace(verdict, brief=status == "wrong" and words.stopped and not words.text.endswith("}"))
