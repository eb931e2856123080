"""What does an ORM gain by writing an analysis? Table 5 of the paper in the small world, and answer match beside it.

    python experiments/orm_analysis.py --seeds 0 1 2 --store runs [backbone=qwen2vl …]

Makes the judges of the arms as a run would, from the same data in one store, and asks them about the same held-out solutions of each
seed. Prints and saves which of them each judges right, with paired tests. What a run in that store made is not made again, and the
other way round.

Right and wrong are first what the ORM's data call so, which is by the answer alone: so answer match is right by construction. Where a
problem's own program can check steps, the same verdicts are held against what it says: right is what has no wrong step.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tables.arms import Arm, Ran, compose, opened, options, sources
from tables.save import Section, publish
from tables.verdicts import ACCEPTED, REJECTED, add_verdicts

from mathse.algorithm import begin
from mathse.command import command
from mathse.config import Experiment, load
from mathse.feedback.orm import Orm
from mathse.steps.orm import test_orm
from mathse.teacher.figures import first_wrong_step
from mathse.types import Judged, Model, read_jsonl
from mathse.whole import read

OVERALL = "overall"
SHOWN = " These ORMs are shown the reference answer (`orm.use_reference`)."
ARMS = {"binary": Arm(("judge=binary",)), "orm": Arm(("judge=orm",)), "answer": Arm(("judge=answer",))}
PAIRS = [("binary", "orm"), ("answer", "orm"), ("answer", "binary")]
PAPER = {
    OVERALL: {"binary": 92.65, "orm": 97.10},
    ACCEPTED: {"binary": 85.40, "orm": 94.20},
    REJECTED: {"binary": 99.90, "orm": 100.00},
}


def verdicts(exp: Experiment, overrides: Sequence[str]) -> tuple[list[Judged], dict[str, list[Judged]]]:
    """One seed's ORM data, all of them, and what each arm says of the held-out part. Raises ValueError without an ORM."""
    if not isinstance(exp.orm, Orm):
        raise ValueError(
            f"orm={type(exp.orm).__name__}: this table is about orm=full and what it becomes without analysis"
        )
    run = opened(exp, "judges")
    _, kept, taught = begin(exp, read(exp, run), run)
    base = Model(exp.backbone)
    adapter = exp.orm.prepare(run, taught, kept, base).model.adapter
    assert adapter is not None
    (data,) = sources(adapter, "data")
    said = {}
    for name, arm in ARMS.items():
        judge = load(*overrides, *arm.overrides).judge.prepare(run, taught, kept, base)
        asked = run(test_orm, source=judge, data=data, held_out=exp.orm.held_out)
        said[name] = read_jsonl(Judged, asked.path / "judged.jsonl")
    return read_jsonl(Judged, data.path / "judged.jsonl"), said


def overall_and(kind: str) -> tuple[str, str]:
    """Each verdict counts twice: among all, and among those of its kind."""
    return OVERALL, kind


def in_order(ran: Ran) -> Ran:
    """The same, the measures always in one order."""
    ran.marks = {measure: ran.marks[measure] for measure in PAPER if measure in ran.marks}
    return ran


@command
def main(words: Sequence[str]) -> None:
    args, overrides = options(__doc__, words)
    exp = compose(overrides, args.seeds[0], args.store)
    by_answer, by_steps = Ran(exp), Ran(exp)
    unreadable = dict.fromkeys(ARMS, 0)
    for seed in args.seeds:
        exp = compose(overrides, seed, args.store)
        data, said = verdicts(exp, [*overrides, f"seed={seed}", f"store={args.store}"])
        labels = {row.solution.id: row.verdict.status == "correct" for row in data}
        first_wrong = {row.solution.id: first_wrong_step(row.solution) for row in next(iter(said.values()))}
        for name, judged in said.items():
            unreadable[name] += sum(row.verdict.status == "unreadable" for row in judged)
            add_verdicts(by_answer, name, seed, judged, lambda of, labels=labels: labels[of.id], overall_and)  # type: ignore[misc]
            if None not in first_wrong.values():
                add_verdicts(by_steps, name, seed, judged, lambda of, first=first_wrong: first[of.id] == 0, overall_and)  # type: ignore[misc]
    notes: list[Section] = [
        "Right is what has the reference answer, as in the data that the ORMs learn from. So `answer` is right by construction: its row is "
        "no finding but says what an ORM is measured against."
        + (SHOWN if isinstance(exp.orm, Orm) and exp.orm.use_reference else ""),
        f"Unreadable, so counted as misses: {', '.join(f'{name} {count}' for name, count in unreadable.items())}.",
    ]
    title = "ORM with analysis, without, and answer match (Table 5)"
    about = "CogVLM2 on ORM-2K, 1,000 right and 1,000 wrong solutions"
    publish(args, "orm_analysis", title, in_order(by_answer), pairs=PAIRS, paper=PAPER, about_paper=about, notes=notes)
    if by_steps.marks:  # the paper has no such numbers
        title = "The same verdicts, where right means that every step is, by the problem's own program"
        publish(args, "orm_analysis_steps", title, in_order(by_steps), pairs=PAIRS)


if __name__ == "__main__":
    sys.exit(main())
