"""Arms: rows of a table, each with a model that is made for it, in one store, and evaluated on the benchmark's test problems.

Most arms are overrides of `train.py` and a model of Algorithm 1 (`distilled`, `evolved`, `final`); others are composed of its steps
here (`fine_tune`, `learned`), so that the algorithm needs no switch for them. Either way what a run or another arm made is found.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mathse.algorithm import mathse
from mathse.command import MISTAKES, in_a_line
from mathse.config import Experiment, load
from mathse.feedback import Run
from mathse.memory import release
from mathse.report.roles import role_of
from mathse.report.text import line
from mathse.steps.evaluate import evaluate
from mathse.steps.sft import sft
from mathse.store import RECORD, Artifact, Store, canonical
from mathse.sweep import GROUP
from mathse.tracking import Told
from mathse.types import Judged, Model, Problems, read_jsonl
from mathse.whole import read
from tables.compare import Case, Marks

ROOT = Path(__file__).parent.parent.parent
BACKBONES = ("cogvlm2", "qwen2vl", "internvl25")
ACCURACY = "accuracy"
ARM = "MATHSE_ARM"  # the variable that conf/tracker takes an arm's name from

Making = Callable[[Experiment, Problems, Run], Model]  # from the problems D


@dataclass(frozen=True)
class Arm:
    """A row of a table: overrides of `train.py`, and how its model is made where that is not as its table's other arms."""

    overrides: tuple[str, ...] = ()
    make: Making | None = None


def named(name: str) -> Making:
    """Makes the model of Algorithm 1 that has this name, and none behind it."""

    def make(exp: Experiment, problems: Problems, run: Run) -> Model:
        known = []
        for model in mathse(exp, problems, run):
            if model.name == name:
                return model
            known.append(model.name)
        raise ValueError(f"stage={exp.stage} with K={exp.K} has no {name}, only {', '.join(known)}")

    return make


def base(exp: Experiment, problems: Problems, run: Run) -> Model:
    """The backbone as it is."""
    return Model(exp.backbone)


def evolved(exp: Experiment, problems: Problems, run: Run) -> Model:
    """M_K, after self-evolving and before the last reflection."""
    return named(f"M_{exp.K}")(exp, problems, run)


distilled, final = named("M_0"), named("M_final")


def fine_tune(exp: Experiment, data: Sequence[Artifact], run: Run, name: str) -> Model:
    """The base trained on the accepted solutions of `data`, as Algorithm 1 trains its models."""
    adapter = run(sft, backbone=exp.backbone, data=list(data), fit=exp.fit, lora=exp.lora, start=None, seed=exp.seed)
    return Model(exp.backbone, adapter, name)


def recipe_of(artifact: Artifact) -> dict[str, Any]:
    """The recipe that an artifact's record holds."""
    recipe: dict[str, Any] = json.loads((artifact.path / RECORD).read_text(encoding="utf-8"))
    return recipe


def sources(artifact: Artifact, name: str) -> list[Artifact]:
    """The artifacts that an artifact was made from, by the name of the input."""
    given = recipe_of(artifact)["inputs"][name]
    names = [entry["artifact"] for entry in (given if isinstance(given, list) else [given])]
    return [Artifact(name, artifact.path.parent / name) for name in names]


def learned(model: Model) -> list[Artifact]:
    """D_SFT of a model: the teacher's judged solutions, each round's, and for M_final the judged repairs."""
    assert model.adapter is not None
    return sources(model.adapter, "data")


class Steps:
    """Says each step on a line, and tells the tracker."""

    def __init__(self, exp: Experiment, tell: Told) -> None:
        self.tell = tell
        self.roles: dict[str, str] = {}
        self.judge = canonical(exp.judge)

    def begin(self, recipe: Mapping[str, Any]) -> None:
        """A step is going to be computed: its own progress says so."""

    def step(self, artifact: Artifact, recipe: Mapping[str, Any], *, cached: bool, seconds: float) -> None:
        """A step was found or computed."""
        if artifact.name not in self.roles:
            role = self.roles[artifact.name] = role_of(recipe, self.roles, self.judge)
            print(line(len(self.roles), artifact, role, cached=cached, seconds=seconds), file=sys.stderr, flush=True)
            self.tell(lambda tracking: tracking.step(artifact, role, recipe, cached=cached))


@dataclass
class Ran:
    """What came of the arms: by measure and arm the marks, and the models, seed by seed; an experiment of the table, for its
    settings; and what failed, in words."""

    exp: Experiment
    marks: dict[str, dict[str, dict[Case, bool]]] = field(default_factory=dict)
    models: dict[str, dict[str, list[Model]]] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def add(self, measure: str, arm: str, model: Model, marks: Marks) -> None:
        """One more seed of an arm."""
        self.marks.setdefault(measure, {}).setdefault(arm, {}).update(marks)
        self.models.setdefault(measure, {}).setdefault(arm, []).append(model)


def options(
    about: str | None, argv: Sequence[str] | None = None, more: Mapping[str, Any] | None = None
) -> tuple[argparse.Namespace, list[str]]:
    """--seeds, --store, --out and what `more` names and describes; everything else is an override of `train.py`, for all arms."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--store", type=Path, default=ROOT / "runs", help="all arms share it, so that beginnings are computed once"
    )
    parser.add_argument("--out", type=Path, help="where the tables go (default: tables/ in the store)")
    for name, described in (more or {}).items():
        parser.add_argument(f"--{name}", **described)
    args, overrides = parser.parse_known_args(argv)
    unknown = [word for word in overrides if "=" not in word or word.startswith("-")]
    if unknown:
        parser.error(f"{unknown[0]} is neither an option nor an override like seed_size=100")
    args.store = args.store.resolve()
    args.out = (args.out or args.store / "tables").resolve()
    return args, overrides


def backbones(overrides: Sequence[str]) -> tuple[str, ...]:
    """The backbones of a table that has all of them: those that the overrides name, or every one."""
    chosen = [word.partition("=")[2] for word in overrides if word.startswith("backbone=")]
    return tuple(chosen[-1].split(",")) if chosen else BACKBONES


def without(overrides: Sequence[str], key: str) -> list[str]:
    """The overrides that do not set `key`."""
    return [word for word in overrides if word.partition("=")[0] != key]


def opened(exp: Experiment, arm: str, tell: Told | None = None) -> Run:
    """The store's `run` for an arm, which says each step, and tells it to a tracker where one follows."""
    print(f"\n{arm}, seed {exp.seed}", file=sys.stderr, flush=True)
    return Store(Path(exp.store), exp.runtime, Steps(exp, tell or Told()), name=f"{arm}, seed {exp.seed}").run


@contextmanager
def followed(exp: Experiment, arm: str) -> Iterator[Told]:
    """The tracker of an arm: a W&B run of its own, in the group of its table, marked as crashed where it fails."""
    tell = Told(exp.tracker.start(exp, f"{arm}, seed {exp.seed}"))
    try:
        yield tell
    except BaseException:
        tell.close(failed=True)
        raise
    tell.close(failed=False)


def evaluated(exp: Experiment, make: Making, run: Run) -> tuple[Model, Artifact]:
    """The model of an arm, and its scored solutions of the test problems."""
    problems = read(exp, run)
    model = make(exp, problems, run)
    scored = run(evaluate, model=model, benchmark=exp.benchmark, problems=problems.tests[0], sampling=exp.decoding)
    release(cycles=True)
    return model, scored


def told_score(tell: Told, exp: Experiment, model: Model, scored: Artifact, index: int = 0) -> None:
    """Tell the tracker of a model's accuracy; `index` counts the models of an arm."""
    tell(lambda tracking: tracking.score(model.name, exp.benchmark.name, scored, index))


def marks(seed: int, scored: Artifact) -> dict[Case, bool]:
    """Which test problems were solved."""
    rows = read_jsonl(Judged, scored.path / "judged.jsonl")
    return {
        Case(seed, row.solution.problem.id, str(row.solution.index)): row.verdict.status == "correct" for row in rows
    }


def compose(overrides: Sequence[str], seed: int, store: Path, arm: str = "") -> Experiment:
    """The experiment of one seed of an arm, whose name conf/tracker takes from the environment, as it does the table's."""
    os.environ.setdefault(GROUP, Path(sys.argv[0]).stem)
    os.environ[ARM] = arm
    return load(*overrides, f"seed={seed}", f"store={store}")


def run_arms(
    arms: Mapping[str, Arm], args: argparse.Namespace, overrides: Sequence[str], measures: Mapping[str, Making]
) -> Ran:
    """Make and evaluate each arm's model for each seed and measure; what the store has is found. An arm that fails does not take
    the others along."""
    ran = Ran(compose(overrides, args.seeds[0], args.store))
    for seed in args.seeds:
        for name, arm in arms.items():
            exp = compose([*overrides, *arm.overrides], seed, args.store, name)
            for measure, make in measures.items():
                try:
                    with followed(exp, name if len(measures) == 1 else f"{name}, {measure}") as tell:
                        model, scored = evaluated(exp, arm.make or make, opened(exp, name, tell))
                        told_score(tell, exp, model, scored)
                except MISTAKES as error:
                    ran.failed.append(f"{name}, {measure}, seed {seed}: {in_a_line(error)}")
                    print(f"mathse: {ran.failed[-1]}", file=sys.stderr, flush=True)
                    continue
                ran.add(measure, name, model, marks(seed, scored))
    if not ran.marks:
        raise ValueError("no arm could be made, see above")
    return ran
