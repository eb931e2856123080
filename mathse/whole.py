"""A whole run: problems in, the models of Algorithm 1, each of them evaluated. With another `run` it is planned instead."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from mathse.algorithm import mathse
from mathse.steps.contamination import apart, decontaminate
from mathse.steps.data import check_dropped, fitting, load
from mathse.steps.evaluate import evaluate
from mathse.types import Model

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mathse.config import Experiment
    from mathse.feedback import Run
    from mathse.store import Artifact


def whole(exp: Experiment, run: Run) -> Iterator[tuple[Model, Artifact]]:
    """The base and the models of Algorithm 1, each evaluated on the benchmark as soon as it is there."""
    problems, test = read(exp, run)
    models = mathse(exp, problems, run)
    first = next(models)  # settings that cannot be met show before anything is evaluated
    for model in itertools.chain([Model(exp.backbone), first], models):
        yield (
            model,
            run(evaluate, model=model, benchmark=exp.benchmark, problems=test, sampling=exp.decoding),
        )


def read(exp: Experiment, run: Run) -> tuple[Artifact, Artifact]:
    """The problems to learn from and the test problems: without what is in both, and without those that have more pictures than
    the backbones take."""
    problems, test = run(load, data=exp.data), run(load, data=exp.benchmark.data)
    check_dropped(exp.data, problems)
    problems = without_leaks(exp, problems, test, run)
    if exp.most_pictures is not None:
        problems, test = (run(fitting, problems=some, most_pictures=exp.most_pictures) for some in (problems, test))
    return problems, test


def without_leaks(exp: Experiment, problems: Artifact, test: Artifact, run: Run) -> Artifact:
    """The problems that are in no configured benchmark; all of them where their source sees to that itself."""
    rule = exp.contamination
    tests = [] if apart(exp.data, exp.benchmark.data) else [test]
    tests += [run(load, data=other.data) for other in rule.against.values() if not apart(exp.data, other.data)]
    if not (rule.enabled and tests):
        return problems
    return run(
        decontaminate,
        problems=problems,
        tests=tests,
        question=rule.question,
        similar=rule.similar,
        picture=rule.picture,
        drop=rule.drop,
        allow=rule.allow,
    )
