"""What does reflection need? It without self-evolving before it, and without a judge behind it, which the paper leaves out.

    python experiments/reflection.py --seeds 0 1 2 --store runs [backbone=qwen2vl …]

`stages 1 and 3`: the teacher repairs what M_0 got wrong, and the base learns from the teacher's solutions and these repairs alone.
`not filtered`: as M_final, but every repair is learned from, whatever the judge would say.
"""

from __future__ import annotations

from tables.ablation import COGVLM2, ablation
from tables.arms import ACCURACY, Arm, distilled, evolved, final, fine_tune, learned, named, sources

from mathse.algorithm import begin
from mathse.config import Experiment
from mathse.feedback import Run
from mathse.feedback.unfiltered import Unfiltered
from mathse.steps.judging import diagnose, judge
from mathse.steps.reflect import reflect
from mathse.store import Artifact
from mathse.types import Model


def stages_1_and_3(exp: Experiment, problems: Artifact, run: Run) -> Model:
    """M_0's rejected solutions of D_remain, diagnosed, repaired and judged; the accepted ones beside the teacher's of stage 1."""
    _, kept, taught = begin(exp, problems, run)
    D_SFT, rejected = learned(named("M_1")(exp, problems, run))[:2]
    where_and_why = exp.feedback.prepare(run, taught, kept, distilled(exp, problems, run))
    how = exp.reflection
    diagnosed = run(
        diagnose, judged=[rejected], source=where_and_why, repeated=how.repeated, solved_later=how.solved_later
    )
    repaired = run(reflect, diagnosed=diagnosed, teacher=exp.teacher, retries=how.retries)
    right_or_wrong = exp.judge.prepare(run, taught, kept, Model(exp.backbone))
    repairs = how.learned(run, run(judge, solutions=repaired, source=right_or_wrong), diagnosed)
    return fine_tune(exp, [D_SFT, repairs], run, "stages 1 and 3")


def not_filtered(exp: Experiment, problems: Artifact, run: Run) -> Model:
    """M_final with all repairs in the place of the accepted ones. Raises ValueError where repairs are not learned from as they are."""
    if exp.reflection.format != "plain":
        raise ValueError(
            f"reflection.format={exp.reflection.format}: without filter, repairs can be learned from only when plain"
        )
    *D_SFT, repairs = learned(final(exp, problems, run))
    (solutions,) = sources(repairs, "solutions")
    return fine_tune(exp, [*D_SFT, run(judge, solutions=solutions, source=Unfiltered())], run, "not filtered")


ARMS = {
    "stage 1": Arm(make=distilled),
    "stages 1 and 2": Arm(make=evolved),
    "stages 1 and 3": Arm(make=stages_1_and_3),
    "all stages": Arm(make=final),
    "all stages, not filtered": Arm(make=not_filtered),
}
PAIRS = [
    ("stage 1", "stages 1 and 3"),
    ("stages 1 and 2", "stages 1 and 3"),
    ("stages 1 and 2", "all stages"),
    ("stages 1 and 3", "all stages"),
    ("all stages", "all stages, not filtered"),
]
PAPER = {ACCURACY: {"stage 1": 55.35, "stages 1 and 2": 62.35, "all stages": 64.70}}
NOTE = (
    "`stages 1 and 3` has the teacher repair all that M_0 got wrong, also what later rounds would have solved: it asks the teacher "
    "for more than all stages do."
)


if __name__ == "__main__":
    ablation(
        __doc__,
        "reflection",
        "Reflection without self-evolving and without filter",
        ARMS,
        {ACCURACY: final},
        PAIRS,
        paper=PAPER,
        about_paper=COGVLM2,
        notes=[NOTE],
    )
