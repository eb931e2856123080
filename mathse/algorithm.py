"""Algorithm 1 of the paper (arXiv 2511.06805, p. 5), in its order and its symbols.

`run(step, …)` gives the artifact that the step left, computed once per recipe. A judged artifact holds both sides: its accepted
solutions are what D_SFT means, its rejected ones what R_incorrect means; unreadable verdicts go nowhere.
Where the paper contradicts itself we follow Algorithm 1 unless told otherwise: reflection once, after all rounds; each M_k from the
base, on all of D_SFT.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mathse.steps.data import draw, remaining
from mathse.steps.disjoint import apart_from
from mathse.steps.distill import distill
from mathse.steps.generate import generate
from mathse.steps.judging import diagnose, judge
from mathse.steps.reflect import reflect
from mathse.steps.sft import sft
from mathse.types import Model

if TYPE_CHECKING:
    from mathse.config import Experiment
    from mathse.feedback import Run
    from mathse.store import Artifact


def mathse(exp: Experiment, problems: Artifact, tests: list[Artifact], run: Run) -> Iterator[Model]:
    """M_0 (distilled), M_1 … M_K (self-evolved) and, where reflection comes last, M_final, each as soon as it is trained.

    `tests`: the test problems, of which the ORM must know none."""

    def fine_tune(name: str, D_SFT: list[Artifact], previous: Model | None) -> Model:
        start = previous.adapter if previous and exp.init_from == "previous" else None
        adapter = run(sft, backbone=exp.backbone, data=D_SFT, fit=exp.fit, lora=exp.lora, start=start, seed=exp.seed)
        return Model(exp.backbone, adapter, name)

    def repair(rejected: list[Artifact], current: Model) -> Artifact:
        where_and_why = exp.feedback.prepare(run, taught, kept, current)
        how = exp.reflection
        diagnosed = run(
            diagnose, judged=rejected, source=where_and_why, repeated=how.repeated, solved_later=how.solved_later
        )
        R_reflected = run(reflect, diagnosed=diagnosed, teacher=exp.teacher, retries=how.retries)
        return how.learned(run, run(judge, solutions=R_reflected, source=right_or_wrong), diagnosed)

    D, kept, taught = begin(exp, problems, tests, run)
    right_or_wrong = exp.judge.prepare(run, taught, kept, Model(exp.backbone))

    # Stage 1: M_0 learns from the teacher's accepted solutions.
    D_SFT = [run(judge, solutions=taught, source=right_or_wrong)]
    models = [fine_tune("M_0", D_SFT, None)]
    yield models[-1]
    D_remain = run(remaining, problems=D, solved=D_SFT)
    R_incorrect: list[Artifact] = []

    # Stage 2: K rounds. The model solves what remains; accepted solutions join D_SFT, and it is trained again.
    for k in range(1, exp.K + 1):
        R_gen = run(generate, model=models[-1], problems=D_remain, sampling=exp.sampling, seed=exp.seed)
        judged = run(judge, solutions=R_gen, source=right_or_wrong)
        R_incorrect = [*R_incorrect, judged]
        new = [judged]
        if exp.reflection.schedule == "every_round":  # Eq. 2, where Algorithm 1 reflects once
            new.append(repair([judged], models[-1]))
        D_SFT = [*D_SFT, *new]
        D_remain = run(remaining, problems=D_remain, solved=new)
        models.append(fine_tune(f"M_{k}", D_SFT, models[-1]))
        yield models[-1]

    # Stage 3: the teacher repairs the rejected solutions, told by the feedback where and why; accepted repairs join D_SFT.
    if exp.reflection.schedule == "final" and R_incorrect:
        D_SFT = [*D_SFT, repair(R_incorrect, models[-1])]
        yield fine_tune("M_final", D_SFT, models[-1])


def begin(exp: Experiment, problems: Artifact, tests: list[Artifact], run: Run) -> tuple[Artifact, Artifact, Artifact]:
    """D, the problems to train the ORM on, which are in neither D nor a test set, and the teacher's solutions of a part of D."""
    kept = run(draw, problems=apart_from(run, problems, tests), size=exp.orm_problems, seed="orm")
    D = apart_from(run, run(remaining, problems=problems, solved=[kept]), [kept])
    seed = run(draw, problems=D, size=exp.seed_size, seed=exp.seed)
    return D, kept, run(distill, problems=seed, teacher=exp.teacher)
