"""Does what was learned help elsewhere? Table 2 of the paper: public benchmarks that were not trained on.

    python experiments/benchmarks.py --mathvista testmini.json --mathverse testmini.json --mathvision test.jsonl scale=small …
    python experiments/benchmarks.py --seeds 0 1 2 --store runs [--families counting,ruler] [backbone=qwen2vl …]

With files of the public benchmarks (in their authors' format, pictures beside them) the base and M_final answer them; the problems
learned from are compared with all of them first, and what is in both is dropped. Without files there is a stand-in, which is
no public benchmark: the run leaves some families of figures out, and its models answer the test problems of these and of the others.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence

from tables.arms import Arm, Ran, base, compose, final, opened, options, run_arms
from tables.compare import Case
from tables.save import publish
from tables.stages import unseen, without_families

from mathse.benchmarks.scoring import Scorable
from mathse.command import command
from mathse.config import Experiment
from mathse.feedback import Run
from mathse.steps.data import fitting
from mathse.steps.data import load as load_problems
from mathse.steps.evaluate import evaluate
from mathse.types import Judged, Model, Problem, read_jsonl
from mathse.whole import read

BASE, FINAL, WITH_THEM = "base", "M_final", "M_final, all families"
PUBLIC = ("mathvista", "mathverse", "mathvision")
GPS = "mathvista GPS"
PAPER = {  # by backbone
    "cogvlm2": {
        GPS: (39.61, 70.67),
        "mathvista": (40.85, 53.90),
        "mathverse": (25.76, 38.83),
        "mathvision": (13.20, 19.67),
    },
    "qwen2vl": {
        GPS: (43.75, 69.71),
        "mathvista": (59.40, 60.60),
        "mathverse": (35.53, 45.36),
        "mathvision": (16.92, 25.22),
    },
    "internvl25": {
        GPS: (59.13, 74.52),
        "mathvista": (58.40, 61.60),
        "mathverse": (35.66, 43.65),
        "mathvision": (17.11, 22.70),
    },
}


def public(args: argparse.Namespace, overrides: Sequence[str], files: Mapping[str, str]) -> Ran:
    """The base and M_final on the benchmarks whose files are given."""
    words = list(overrides)
    for name, path in files.items():  # so nothing that is in one of them is learned from
        words += [f"+benchmark@contamination.against.{name}={name}", f"contamination.against.{name}.data.path={path}"]
    ran = Ran(compose(words, args.seeds[0], args.store))
    for seed in args.seeds:
        exp = compose(words, seed, args.store)
        run = opened(exp, "benchmarks")
        problems = read(exp, run)
        for arm, model in ((BASE, base(exp, problems, run)), (FINAL, final(exp, problems, run))):
            for name in files:
                for measure, right in answered(exp, run, model, name).items():
                    ran.add(measure, arm, model, right)
    return ran


def answered(exp: Experiment, run: Run, model: Model, name: str) -> dict[str, dict[Case, bool]]:
    """Which problems of a benchmark a model solves; of MathVista also those of geometry alone. Versions of a problem stay together."""
    benchmark = exp.contamination.against[name]
    problems = run(load_problems, data=benchmark.data)
    if exp.most_pictures is not None:
        problems = run(fitting, problems=problems, most_pictures=exp.most_pictures)
    scored = run(evaluate, model=model, benchmark=benchmark, problems=problems, sampling=exp.decoding)
    marks: dict[str, dict[Case, bool]] = {}
    for row in read_jsonl(Judged, scored.path / "judged.jsonl"):
        problem = row.solution.problem
        whole = benchmark.cluster(problem) if isinstance(benchmark, Scorable) else problem.id
        case = Case(exp.seed, whole, f"{problem.id}/{row.solution.index}")
        for measure in measures(name, problem):
            marks.setdefault(measure, {})[case] = row.verdict.status == "correct"
    return marks


def measures(name: str, problem: Problem) -> list[str]:
    """The columns of Table 2 that a problem belongs to."""
    geometry = name == "mathvista" and problem.facts.get("task") == "geometry problem solving"
    return [GPS, name] if geometry else [name]


def stand_in(args: argparse.Namespace, overrides: Sequence[str], families: Sequence[str]) -> Ran:
    """The base, M_final without some families, and M_final with all, on the test problems of these families and of the others."""
    left_out = (without_families(families),)
    arms = {BASE: Arm(left_out, base), FINAL: Arm(left_out), WITH_THEM: Arm()}
    ran = run_arms(arms, args, overrides, {"all": final})
    source = {problem.id: problem.source for problem in test_problems(ran.exp)}
    marks = ran.marks.pop("all")
    for measure, new in ((f"never learned: {', '.join(families)}", True), ("the other families", False)):
        ran.marks[measure] = {
            arm: {case: mark for case, mark in right.items() if (source[case.problem] in families) == new}
            for arm, right in marks.items()
        }
    return ran


def test_problems(exp: Experiment) -> list[Problem]:
    """The problems that the arms were evaluated on."""
    test = read(exp, opened(exp, "test problems")).tests[0]
    return read_jsonl(Problem, test.path / "problems.jsonl")


STAND_IN = (
    "This is no public benchmark: no file of one was given. It is asked instead whether what is learned on some families of figures "
    "helps on others: these have other pictures, other questions and other reasoning. But the same kind of program makes them, and "
    "the tiny bases saw pictures of all families in their pretraining. It cannot be compared with the paper's Table 2."
)


@command
def main(words: Sequence[str]) -> None:
    files = {name: {"help": f"a file of {name}'s problems, in its authors' format"} for name in PUBLIC}
    families = {"families": {"help": "families never learned from, with commas (stand-in)"}}
    args, overrides = options(__doc__, words, more={**files, **families})
    given = {name: getattr(args, name) for name in PUBLIC if getattr(args, name)}
    if given:
        ran = public(args, overrides, given)
    else:
        ran = stand_in(args, overrides, unseen(args.families))
    theirs = PAPER.get(ran.exp.backbone.family, {}) if given else {}
    publish(
        args,
        "benchmarks",
        "Public benchmarks (Table 2)" if given else "Families never learned from (in place of Table 2)",
        ran,
        pairs=[(BASE, FINAL), (FINAL, WITH_THEM)],
        paper={measure: dict(zip((BASE, FINAL), pair, strict=True)) for measure, pair in theirs.items()},
        about_paper="the same benchmarks, with a judge and a prompt that are not said" if given else "",
        measure="benchmark" if given else "families",
        notes=[] if given else [STAND_IN],
    )


if __name__ == "__main__":
    sys.exit(main())
