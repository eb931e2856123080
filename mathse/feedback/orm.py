"""The Outcome Reward Model (paper, section 4.1): a model fine-tuned to write a verdict with the wrong step and an analysis.

Its data are solutions by a student (the base after stage 1, by answer match) to problems kept out of D: the wrong ones
annotated by the teacher, and as many right ones. The paper does not say whether the ORM sees the reference answer;
`use_reference`, whose value is the scale's, decides. Where it does, it first says whether the two answers are the same, and its
verdict follows from its own words.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from mathse.backbones import Backbone
from mathse.backbones.qlora import Lora
from mathse.feedback import Run, parse_verdict
from mathse.feedback.answer import AnswerMatch
from mathse.feedback.verdicts import READING
from mathse.fit import Fit
from mathse.generation import Sampling
from mathse.settings import settings
from mathse.store import Artifact, Runtime
from mathse.teacher import Teacher
from mathse.types import Chat, Model, Solution, Turn, Verdict

JUDGE = """Evaluate the solution strictly, step by step, against the picture. Reply in JSON with status, error_step and error_analysis.
{question}
Solution:
{solution}"""
REFERENCE = "\nReference answer: {answer}\nAre they the same?"
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


@settings
class Orm:
    """How the ORM is made. `student` writes the solutions it learns from, after `student_fit` on the teacher's `taught`.

    `threshold`: see `TrainedOrm`.
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
    threshold: float | None
    seed: int

    def check(self) -> None:
        if self.threshold is not None and not 0 < self.threshold < 1:
            raise ValueError(f"orm.threshold should lie between 0 and 1, or be null, got {self.threshold}")

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
            threshold=self.threshold,
        )
        run(test_orm, source=source, data=annotated, held_out=self.held_out)
        return source


@settings
class TrainedOrm:
    """An ORM that can be asked. A verdict's score is the probability of `correct` against `wrong` at the token that decides.

    `threshold`: from which score on a solution is correct; None leaves it to the ORM's words, the likelier of the two.
    """

    model: Model
    use_reference: bool
    max_new_tokens: int
    threshold: float | None

    def recipe(self) -> dict[str, str | int]:
        """The prompt decides what it answers, and how that is read."""
        return {"prompt": JUDGE + REFERENCE, "reading": READING}

    @property
    def by(self) -> str:
        assert self.model.adapter is not None
        return self.model.adapter.name

    def __call__(self, solutions: Sequence[Solution], runtime: Runtime) -> list[Verdict]:
        """The ORM's own words, read, with their score; where there is a threshold, it decides."""
        chats = [ask_for_verdict(solution, self.use_reference) for solution in solutions]
        begin = openings(self.use_reference)
        said = verdicts_by(self.model, chats, solutions, self.max_new_tokens, self.by, runtime, begin)
        return said if self.threshold is None else [by_threshold(verdict, self.threshold) for verdict in said]


def by_threshold(verdict: Verdict, threshold: float) -> Verdict:
    """The verdict with the status that its score gives it. The step and the analysis go where it becomes correct; where it
    becomes wrong there are none. Unreadable without a score."""
    if verdict.status == "unreadable" or verdict.score is None:
        return dataclasses.replace(verdict, status="unreadable", error_step=None, analysis="")
    if verdict.score >= threshold:
        return dataclasses.replace(verdict, status="correct", error_step=None, analysis="")
    return dataclasses.replace(verdict, status="wrong")


def verdicts_by(
    model: Model,
    chats: Sequence[Chat],
    solutions: Sequence[Solution],
    max_new_tokens: int,
    by: str,
    runtime: Runtime,
    openings: tuple[str, str] | None = None,
) -> list[Verdict]:
    """What a model says, greedily, to the chats that ask about the solutions. What it does not finish is unreadable.

    With `openings`, of a reply that says correct and of one that says wrong, each verdict gets its score.
    """
    from mathse.generation.torch import complete
    from mathse.steps.generate import loaded

    greedy = Sampling(temperature=0.0, top_p=1.0, samples=1, max_new_tokens=max_new_tokens)
    completed = complete(loaded(model, runtime), chats, greedy, [solution.id for solution in solutions], openings)
    return [
        dataclasses.replace(parse_verdict(words.text if words.finished else "", by, solution.text), score=words.chance)
        for solution, (words,) in zip(solutions, completed, strict=True)
    ]
