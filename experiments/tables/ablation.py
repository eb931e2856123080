"""A table whose arms are all made and measured in one way: most files of experiments/ are this and a dict of arms."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from mathse.command import command
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
) -> NoReturn:
    """The command of a table, which it ends with: make the arms (--arms: some of them) for each seed, compare them, print and save."""

    @command
    def main(words: Sequence[str]) -> None:
        args, overrides = options(about, words, more=choice(arms))
        ran = run_arms({arm: arms[arm] for arm in args.arms}, args, overrides, measures)
        publish(args, name, title, ran, pairs=pairs, paper=paper, about_paper=about_paper, notes=notes)

    sys.exit(main())


def choice(arms: Mapping[str, Arm]) -> dict[str, Any]:
    """The option --arms."""
    return {"arms": {"nargs": "+", "choices": list(arms), "default": list(arms), "help": "not all, but these arms"}}
