"""A table whose arms are all made and measured in one way: most files of experiments/ are this and a dict of arms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tables.arms import Arm, Making, options, run_arms
from tables.compare import Paper
from tables.save import Section, publish

COGVLM2 = "CogVLM2 on MathVL-test, 2,000 problems"


def ablation(
    about: str | None,
    name: str,
    title: str,
    arms: Mapping[str, Arm],
    measures: Mapping[str, Making],
    pairs: Sequence[tuple[str, str]],
    *,
    paper: Paper | None = None,
    about_paper: str = "",
    notes: Sequence[Section] = (),
) -> None:
    """The command of a table: make the arms for each seed, compare them, print and save."""
    args, overrides = options(about)
    ran = run_arms(arms, args, overrides, measures)
    publish(args, name, title, ran, pairs=pairs, paper=paper, about_paper=about_paper, notes=notes)
