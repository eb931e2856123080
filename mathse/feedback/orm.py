"""The Outcome Reward Model (paper, section 4.1): a model fine-tuned to write a verdict with the wrong step and an analysis.

Its data are solutions by students (the base after stage 1, by answer match; more by choice) to problems kept out of D: the wrong ones
annotated by the teacher, and as many right ones. The paper does not say whether the ORM sees the reference answer;
`use_reference`, whose value is the scale's, decides. Where it does, it first says whether the two answers are the same, and its
verdict follows from its own words. How they are read while it writes: `asking.py`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Annotated, Literal

from mathse.backbones import Backbone
from mathse.backbones.qlora import Lora
from mathse.feedback import Run
from mathse.feedback.answer import AnswerMatch
from mathse.feedback.asking import ASKING, JUDGE, REFERENCE, ask_for_verdict, openings, verdicts_by
from mathse.feedback.verdicts import READING
from mathse.fit import Fit
from mathse.generation import Sampling
from mathse.settings import Count, Positive, settings
from mathse.store import Artifact, Runtime
from mathse.teacher import Teacher
from mathse.types import Model, Solution, Verdict


@settings
class Student:
    """Whose mistakes the ORM learns from: `backbone` after fine-tuning on the teacher's solutions that match the answer, as M_0 is.

    `rounds`: how often it is then fine-tuned on what it solved of the kept problems too, by answer match; every round's drafts are
    taken.
    """

    backbone: Backbone
    fit: Fit
    lora: Lora
    rounds: Count

    def drafts(
        self, run: Run, name: str, taught: Artifact, kept: Artifact, drafts: Sampling, seed: int
    ) -> list[Artifact]:
        """Solutions of the kept problems, judged by answer match, one artifact a round."""
        from mathse.steps.generate import generate
        from mathse.steps.judging import judge
        from mathse.steps.sft import sft

        D_SFT = [run(judge, solutions=taught, source=AnswerMatch())]
        for k in range(self.rounds + 1):
            adapter = run(sft, backbone=self.backbone, data=D_SFT, fit=self.fit, lora=self.lora, start=None, seed=seed)
            author = Model(self.backbone, adapter, f"{name}_{k}" if k else name)
            written = run(generate, model=author, problems=kept, sampling=drafts, seed=seed)
            D_SFT = [*D_SFT, run(judge, solutions=written, source=AnswerMatch())]
        return D_SFT[1:]


@settings
class OrmData:
    """What the ORM learns from: what `students` write with `drafts`, in halves of right and wrong ones.

    `size`: rows at most, None for all there are; `mix`: the share of each source of problems, by weight (sources not named are
    left out; empty for as they come); `language`: of the questions.
    """

    students: dict[str, Student]
    drafts: Sampling
    size: int | None
    mix: dict[str, float]
    language: Literal["any", "en", "zh"]

    def check(self) -> None:
        if not self.students:
            raise ValueError("orm.data.students should name at least one Student")
        for name, student in self.students.items():
            if not isinstance(student, Student):
                raise ValueError(
                    f"orm.data.students.{name} should be a Student, as conf/orm/full.yaml has one, got {student}"
                )
        if self.size is not None and self.size < 2:
            raise ValueError(
                f"orm.data.size should be at least 2 rows, one right and one wrong, or null, got {self.size}"
            )
        if not all(isinstance(weight, (int, float)) and weight > 0 for weight in self.mix.values()):
            raise ValueError(f"orm.data.mix should give sources weights above 0, got {self.mix}")


@settings
class Orm:
    """How the ORM is made. `threshold`: see `TrainedOrm`."""

    backbone: Backbone
    fit: Fit
    lora: Lora
    data: OrmData
    teacher: Teacher
    analysis: bool
    use_reference: bool
    held_out: Annotated[float, "> 0 < 1"]
    max_new_tokens: Positive
    judge_says_why: bool
    threshold: Annotated[float, "> 0 < 1"] | None
    seed: int

    def prepare(self, run: Run, taught: Artifact, kept: Artifact, model: Model) -> TrainedOrm:
        """Train the ORM and test it on held-out solutions; each of the steps runs once per recipe, however many ask."""
        from mathse.steps.annotate import annotate
        from mathse.steps.orm import test_orm, train_orm

        data = self.data
        labelled = [
            judged
            for name, student in data.students.items()
            for judged in student.drafts(run, name, taught, kept, data.drafts, self.seed)
        ]
        annotated = run(
            annotate,
            judged=labelled,
            teacher=self.teacher,
            size=data.size,
            mix=data.mix,
            language=data.language,
            seed=self.seed,
        )
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
            threshold=self.threshold,
        )
        run(test_orm, source=source, data=annotated, held_out=self.held_out)
        return source


@settings
class TrainedOrm:
    """An ORM that can be asked. A verdict's score is the probability of `correct` against `wrong` at the token that decides.

    `judge_says_why`: it writes where and why also where only right or wrong is asked. `threshold`: from which score on a solution
    is correct; None leaves it to the ORM's words, the likelier of the two.
    """

    model: Model
    use_reference: bool
    max_new_tokens: int
    judge_says_why: bool
    threshold: float | None

    def recipe(self) -> dict[str, str | int]:
        """The prompt decides what it answers, and how that is read."""
        return {"prompt": JUDGE + REFERENCE, "reading": READING, "asking": ASKING}

    @property
    def by(self) -> str:
        assert self.model.adapter is not None
        return self.model.adapter.name

    def __call__(self, solutions: Sequence[Solution], runtime: Runtime, *, why: bool = True) -> list[Verdict]:
        """The ORM's own words, read, with their score; where there is a threshold, it decides."""
        chats = [ask_for_verdict(solution, self.use_reference) for solution in solutions]
        begin = openings(self.use_reference)
        why = why or self.judge_says_why
        said = verdicts_by(self.model, chats, solutions, self.max_new_tokens, self.by, runtime, begin, why=why)
        return said if self.threshold is None else [by_threshold(verdict, self.threshold) for verdict in said]


def by_threshold(verdict: Verdict, threshold: float) -> Verdict:
    """The verdict with the status that its score gives it. The step and the analysis go where it becomes correct; where it
    becomes wrong there are none, and the verdict is brief. Unreadable without a score."""
    if verdict.status == "unreadable":
        return verdict
    if verdict.score is None:
        return dataclasses.replace(verdict, status="unreadable", error_step=None, analysis="")
    if verdict.score >= threshold:
        return dataclasses.replace(verdict, status="correct", error_step=None, analysis="")
    return dataclasses.replace(verdict, status="wrong", brief=verdict.brief or verdict.status == "correct")
