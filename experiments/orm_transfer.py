"""Does an ORM judge what it has not learned from? Other backbones' solutions, and families of problems that it never saw.

    python experiments/orm_transfer.py --seeds 0 1 2 --store runs [backbone=qwen2vl,internvl25 …] [--families counting,ruler …]

Runs stage 1 and round 1 once per seed and backbone, or finds them in the store, and asks each backbone's ORM about the solutions of
round 1 of each. Then an ORM that learned from problems of other families only is held against the run's own on the solutions of
the families that it never saw, and on those of the others. Right is what has the reference answer.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from tables.arms import Ran, backbones, compose, learned, named, opened, options, sources, without
from tables.save import publish
from tables.stages import unseen, without_families
from tables.verdicts import add_verdicts

from mathse.algorithm import begin
from mathse.command import command
from mathse.config import Experiment
from mathse.feedback import Run, Source
from mathse.feedback.answer import matches
from mathse.feedback.orm import Orm
from mathse.memory import release
from mathse.steps.judging import judge
from mathse.store import Artifact
from mathse.types import Judged, Model, Problem, read_jsonl
from mathse.whole import read

SHOWN = " The ORMs are shown the reference answer (`orm.use_reference`), which leaves little to transfer."


def written(exp: Experiment, run: Run) -> Artifact:
    """The solutions of round 1."""
    judged = learned(named("M_1")(exp, read(exp, run), run))[1]
    return sources(judged, "solutions")[0]


def own_judge(exp: Experiment, run: Run) -> tuple[Source, Artifact]:
    """The judge of a run, and the problems that it was made from."""
    _, kept, taught = begin(exp, read(exp, run), run)
    return exp.judge.prepare(run, taught, kept, Model(exp.backbone)), kept


def asked(run: Run, source: Source, solutions: Artifact) -> list[Judged]:
    """What a judge says of the solutions."""
    judged = run(judge, solutions=solutions, source=source)
    release(cycles=True)
    return read_jsonl(Judged, judged.path / "judged.jsonl")


def about(name: str) -> Callable[[str], list[str]]:
    """Verdicts count for right and for wrong solutions apart, of each kind of solution."""
    return lambda kind: [f"{name}: {kind}"]


def across_backbones(ran: Ran, args: argparse.Namespace, overrides: Sequence[str], seed: int) -> None:
    """Each backbone's ORM on each backbone's solutions."""
    names = backbones(overrides)
    exps = {name: compose([*without(overrides, "backbone"), f"backbone={name}"], seed, args.store) for name in names}
    runs = {name: opened(exp, name) for name, exp in exps.items()}
    judges = {name: own_judge(exp, runs[name])[0] for name, exp in exps.items()}
    for solver, exp in exps.items():
        solutions = written(exp, runs[solver])
        for name, source in judges.items():
            said = asked(runs[solver], source, solutions)
            add_verdicts(ran, f"ORM of {name}", seed, said, matches, about(f"solutions by {solver}"))


def across_families(ran: Ran, args: argparse.Namespace, overrides: Sequence[str], seed: int) -> None:
    """The ORM of a run without some families against the ORM of a run with all of them, on the latter's solutions of round 1."""
    first = [*without(overrides, "backbone"), f"backbone={backbones(overrides)[0]}"]
    families = unseen(args.families)
    exp = compose(first, seed, args.store)
    run = opened(exp, "ORM of all families")
    solutions = written(exp, run)
    whole, _ = own_judge(exp, run)
    part = compose([*first, without_families(families)], seed, args.store)
    other, kept = own_judge(part, opened(part, "ORM without some families"))
    known = {problem.id for problem in read_jsonl(Problem, kept.path / "problems.jsonl")}
    for arm, source in (("ORM of all families", whole), ("ORM without them", other)):
        said = asked(run, source, solutions)
        for name, new in ((f"families {', '.join(families)}", True), ("the other families", False)):
            rows = [
                row
                for row in said
                if (row.solution.problem.source in families) == new and row.solution.problem.id not in known
            ]
            add_verdicts(ran, arm, seed, rows, matches, about(name))


@command
def main(words: Sequence[str]) -> None:
    args, overrides = options(
        __doc__, words, more={"families": {"help": "families of figures that an ORM never sees, with commas"}}
    )
    ran = Ran(
        compose([*without(overrides, "backbone"), f"backbone={backbones(overrides)[0]}"], args.seeds[0], args.store)
    )
    for seed in args.seeds:
        across_backbones(ran, args, overrides, seed)
        across_families(ran, args, overrides, seed)
    ran.marks = dict(sorted(ran.marks.items()))  # right and wrong solutions of one kind beside each other
    names, orm = backbones(overrides), ran.exp.orm
    pairs = [(f"ORM of {a}", f"ORM of {b}") for i, a in enumerate(names) for b in names[i + 1 :]]
    publish(
        args,
        "orm_transfer",
        "ORMs on what they have not learned from",
        ran,
        pairs=[*pairs, ("ORM of all families", "ORM without them")],
        measure="solutions",
        backbones=names,
        notes=[
            "Unreadable verdicts count as misses." + (SHOWN if isinstance(orm, Orm) and orm.use_reference else ""),
            f"What the one ORM never saw is solutions of {', '.join(unseen(args.families))}; the tiny bases saw pictures of all families.",
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
