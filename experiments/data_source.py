"""Is self-made data better than the teacher's at equal size? Table 4 of the paper in the small world.

    python experiments/data_source.py --seeds 0 1 2 --store runs [backbone=qwen2vl …]

Runs stages 1 and 2 once per seed, or finds them in the store, and trains the base on as many solutions that the teacher wrote and the
same judge accepted: of problems drawn at random, as in the paper, and of the very problems that the model had solved itself.
"""

from __future__ import annotations

from tables.ablation import COGVLM2, ablation
from tables.arms import ACCURACY, Arm, base, evolved, fine_tune, learned

from mathse.algorithm import begin
from mathse.config import Experiment
from mathse.feedback import Run
from mathse.steps.data import accepted, draw, remaining
from mathse.steps.distill import distill
from mathse.steps.judging import judge
from mathse.steps.sft import distinct
from mathse.store import Artifact
from mathse.types import Model


def taught_on(exp: Experiment, chosen: Artifact, run: Run, judges: tuple[Artifact, Artifact], name: str) -> Model:
    """The base trained on the teacher's solutions of the chosen problems, as far as the run's judge accepts them.

    `judges`: the artifacts that the judge is prepared from, so that it is the run's own.
    """
    source = exp.judge.prepare(run, *judges, Model(exp.backbone))
    solutions = run(distill, problems=chosen, teacher=exp.teacher)
    return fine_tune(exp, [run(judge, solutions=solutions, source=source)], run, name)


def at_random(exp: Experiment, problems: Artifact, run: Run) -> Model:
    """All data by the teacher: as many accepted solutions as M_K learned from, of a draw of D that the seed problems are part of."""
    D, kept, taught = begin(exp, problems, run)
    data = learned(evolved(exp, problems, run))
    size = len(distinct(accepted(data)))
    share = len(accepted(data[:1])) / exp.seed_size  # of the teacher's solutions that the judge accepts
    chosen = run(draw, problems=D, size=round(size / share), seed=exp.seed)
    return taught_on(exp, chosen, run, (taught, kept), "all by the teacher")


def on_the_same(exp: Experiment, problems: Artifact, run: Run) -> Model:
    """All data by the teacher, of the problems whose solutions M_K learned from."""
    D, kept, taught = begin(exp, problems, run)
    unsolved = run(remaining, problems=D, solved=learned(evolved(exp, problems, run)))
    chosen = run(remaining, problems=D, solved=[unsolved])
    return taught_on(exp, chosen, run, (taught, kept), "the same problems by the teacher")


ARMS = {
    "base": Arm(make=base),
    "all by the teacher": Arm(make=at_random),
    "the same problems by the teacher": Arm(make=on_the_same),
    "self-made": Arm(make=evolved),
}
PAIRS = [
    ("all by the teacher", "self-made"),
    ("the same problems by the teacher", "self-made"),
    ("the same problems by the teacher", "all by the teacher"),
]
PAPER = {ACCURACY: {"base": 30.85, "all by the teacher": 58.00, "self-made": 62.35}}
NOTE = (
    "`self-made` is M_K: the teacher's solutions of the seed problems and the model's own. The offline teacher solves nearly all problems, "
    "so what it solves at random is as hard as D, while what the model solved is the easy part; with `the same problems` that is equal, "
    "and the number of rows is not quite: those that the judge rejects are missing."
)


if __name__ == "__main__":
    ablation(
        __doc__,
        "data_source",
        "Self-made against all-teacher data at equal size (Table 4)",
        ARMS,
        {ACCURACY: evolved},
        PAIRS,
        paper=PAPER,
        about_paper=COGVLM2,
        notes=[NOTE],
    )
