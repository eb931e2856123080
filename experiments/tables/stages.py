"""Whole runs of each backbone, for the tables that follow a model from stage to stage."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mathse.config import Experiment
from mathse.feedback import Run
from mathse.figures import family_names
from mathse.memory import release
from mathse.store import Artifact
from mathse.types import Model
from mathse.whole import whole
from tables.arms import Ran, backbones, compose, followed, marks, opened, told_score, without

PAPER = {  # Table 1; M_1 is from a figure that the authors published beside the paper
    "cogvlm2": {"base": 30.85, "M_0": 55.35, "M_1": 58.20, "M_2": 62.35, "M_final": 64.70},
    "qwen2vl": {"base": 40.60, "M_0": 48.80, "M_1": 53.60, "M_2": 55.15, "M_final": 57.00},
    "internvl25": {"base": 33.20, "M_0": 58.45, "M_1": 63.35, "M_2": 64.45, "M_final": 65.13},
}


class Reached(NamedTuple):
    """A model of a run, with its scored solutions of the test problems."""

    exp: Experiment
    run: Run
    backbone: str
    model: Model
    scored: Artifact


def stages(args: argparse.Namespace, overrides: Sequence[str]) -> Iterator[Reached]:
    """The base and every model of Algorithm 1, backbone by backbone and seed by seed; what the store has is found."""
    for backbone in backbones(overrides):
        for seed in args.seeds:
            exp = compose([*without(overrides, "backbone"), f"backbone={backbone}"], seed, args.store, backbone)
            with followed(exp, backbone) as tell:
                run = opened(exp, backbone, tell)
                for index, (model, scored) in enumerate(whole(exp, run)):
                    told_score(tell, exp, model, scored, index)
                    yield Reached(exp, run, backbone, model, scored)
            release(cycles=True)


def marked(args: argparse.Namespace, overrides: Sequence[str]) -> Ran:
    """Which test problems each of them solved, by backbone and model."""
    ran: Ran | None = None
    for exp, _, backbone, model, scored in stages(args, overrides):
        ran = ran or Ran(exp)
        ran.add(backbone, model.name, model, marks(exp.seed, scored))
    assert ran is not None
    return ran


def neighbours(names: Sequence[str]) -> list[tuple[str, str]]:
    """Each model with the one before it."""
    return list(itertools.pairwise(names))


def unseen(chosen: str | None) -> list[str]:
    """The families of figures that an arm never learns from: those named, or every third by name, chosen by nobody.

    Raises ValueError for what is no family, or leaves none to learn from.
    """
    names = family_names()
    families = chosen.split(",") if chosen else names[2::3]
    unknown = sorted(set(families) - set(names))
    if unknown or set(names) <= set(families):
        wrong = f"there is no {unknown[0]!r}" if unknown else "none is left to learn from"
        raise ValueError(f"--families {chosen}: {wrong}; the families are {', '.join(names)}")
    return families


def without_families(families: Sequence[str]) -> str:
    """The override that leaves these families out of the problems D."""
    left = [name for name in family_names() if name not in families]
    return f"data.families=[{','.join(left)}]"
