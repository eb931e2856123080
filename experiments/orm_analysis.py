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
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from arms import HOW, Arm, Case, by_seed, compare, found, options, save, table, world

from mathse.algorithm import begin
from mathse.config import Experiment, load
from mathse.feedback.orm import Orm
from mathse.report.roles import role_of
from mathse.report.text import line, markdown
from mathse.run_step import MISTAKES
from mathse.steps.orm import test_orm
from mathse.store import Artifact, Store
from mathse.teacher.figures import first_wrong_step
from mathse.types import Judged, Model, read_jsonl
from mathse.whole import read

OVERALL, CORRECT, WRONG = "overall", "right ones accepted", "wrong ones rejected"
ARMS = {
    "binary": Arm(("judge=binary",), {OVERALL: 92.65, CORRECT: 85.40, WRONG: 99.90}),
    "orm": Arm(("judge=orm",), {OVERALL: 97.10, CORRECT: 94.20, WRONG: 100.00}),
    "answer": Arm(("judge=answer",)),
}
PAIRS = [("binary", "orm"), ("answer", "orm"), ("answer", "binary")]

Marks = dict[str, dict[str, dict[Case, bool]]]  # by measure and arm


class Steps:
    """Says each step on a line, and knows the last artifact of each kind."""

    def __init__(self) -> None:
        self.last: dict[str, Artifact] = {}
        self.roles: dict[str, str] = {}

    def step(self, artifact: Artifact, recipe: Mapping[str, Any], *, cached: bool, seconds: float) -> None:
        """A step was found or computed."""
        self.last[artifact.step] = artifact
        if artifact.name not in self.roles:
            role = self.roles[artifact.name] = role_of(recipe, self.roles, None)
            print(line(len(self.roles), artifact, role, cached=cached, seconds=seconds), file=sys.stderr, flush=True)


def verdicts(overrides: Sequence[str]) -> tuple[Experiment, list[Judged], dict[str, list[Judged]]]:
    """One seed's ORM data, all of them, and what each arm says of the held-out part."""
    exp = load(*overrides)
    assert isinstance(exp.orm, Orm)
    steps = Steps()
    run = Store(Path(exp.store), exp.runtime, steps, name="orm_analysis").run
    _, kept, taught = begin(exp, *read(exp, run), run)
    base = Model(exp.backbone)
    exp.orm.prepare(run, taught, kept, base)
    data = steps.last["annotate"]
    said = {}
    for name, arm in ARMS.items():
        judge = load(*overrides, *arm.overrides).judge.prepare(run, taught, kept, base)
        asked = run(test_orm, source=judge, data=data, held_out=exp.orm.held_out)
        said[name] = read_jsonl(Judged, asked.path / "judged.jsonl")
    return exp, read_jsonl(Judged, data.path / "judged.jsonl"), said


def mark(marks: Marks, seed: int, name: str, said: Sequence[Judged], truth: Mapping[str, bool]) -> None:
    """Add to `marks` which of the solutions an arm judges right, all of them and those of either kind."""
    for row in said:
        right = truth[row.solution.id]
        case = Case(seed, row.solution.problem.id, row.solution.id)
        for measure in (OVERALL, CORRECT if right else WRONG):
            mine = marks.setdefault(measure, {}).setdefault(name, {})
            mine[case] = row.verdict.status == ("correct" if right else "wrong")


def in_order(marks: Marks) -> Marks:
    """The same, the measures always in one order."""
    return {measure: marks[measure] for measure in (OVERALL, CORRECT, WRONG) if measure in marks}


def main() -> None:
    args, overrides = options(__doc__)
    by_answer: Marks = {}
    by_steps: Marks = {}
    unreadable = dict.fromkeys(ARMS, 0)
    for seed in args.seeds:
        try:
            exp, data, said = verdicts([*overrides, f"seed={seed}", f"store={args.store}"])
        except MISTAKES as error:
            sys.exit(f"mathse: {error}")
        labels = {row.solution.id: row.verdict.status == "correct" for row in data}
        first_wrong = {row.solution.id: first_wrong_step(row.solution) for row in next(iter(said.values()))}
        for name, judged in said.items():
            unreadable[name] += sum(row.verdict.status == "unreadable" for row in judged)
            mark(by_answer, seed, name, judged, labels)
            if None not in first_wrong.values():
                mark(by_steps, seed, name, judged, {of: step == 0 for of, step in first_wrong.items()})
    rows = compare(in_order(by_answer), ARMS, PAIRS)
    parts = [
        f"# ORM with analysis, without, and answer match (Table 5), seeds {', '.join(map(str, args.seeds))}",
        world(exp.scale, exp.backbone.family, "CogVLM2 on ORM-2K, 1,000 right and 1,000 wrong solutions"),
        "Right is what has the reference answer, as in the data that the ORMs learn from. So `answer` is "
        "right by construction: its row is no finding but says what an ORM is measured against."
        + (" These ORMs are shown the reference answer (`orm.use_reference`)." if exp.orm.use_reference else ""),  # type: ignore[attr-defined]
        markdown(table(rows)),
        found(rows),
        HOW
        + f" Unreadable, so counted as misses: {', '.join(f'{name} {count}' for name, count in unreadable.items())}.",
        "All held-out solutions by seed, with Wilson intervals:",
        markdown(by_seed(by_answer[OVERALL])),
    ]
    save(args.out, "orm_analysis", parts, rows)
    if by_steps:
        ours = {name: Arm(arm.overrides) for name, arm in ARMS.items()}  # the paper has no such numbers
        rows = compare(in_order(by_steps), ours, PAIRS)
        parts = [
            "\n# The same verdicts, where right means that every step is, by the problem's own program",
            markdown(table(rows)),
            found(rows),
        ]
        save(args.out, "orm_analysis_steps", parts, rows)


if __name__ == "__main__":
    main()
