"""A whole run: problems in, the models of Algorithm 1, each of them evaluated. With another `run` it is planned instead."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from mathse.algorithm import mathse
from mathse.steps.contamination import apart, decontaminate
from mathse.steps.data import fitting, load
from mathse.steps.disjoint import apart_from
from mathse.steps.evaluate import evaluate
from mathse.types import Model

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mathse.config import Experiment
    from mathse.feedback import Run
    from mathse.store import Artifact


def whole(exp: Experiment, run: Run) -> Iterator[tuple[Model, Artifact]]:
    """The base and the models of Algorithm 1, each evaluated on the benchmark as soon as it is there."""
    problems, tests = read(exp, run)
    models = mathse(exp, problems, tests, run)
    first = next(models)  # settings that cannot be met show before anything is evaluated
    for model in itertools.chain([Model(exp.backbone), first], models):
        yield (
            model,
            run(evaluate, model=model, benchmark=exp.benchmark, problems=tests[0], sampling=exp.decoding),
        )


def read(exp: Experiment, run: Run) -> tuple[Artifact, list[Artifact]]:
    """The problems to learn from and the test problems, the benchmark's first: without what is in both, and without those that have
    more pictures than the backbones take."""
    problems, tests = without_leaks(exp, run)
    if exp.most_pictures is not None:
        problems, tests[0] = (run(fitting, problems=p, most_pictures=exp.most_pictures) for p in (problems, tests[0]))
    return problems, tests


def without_leaks(exp: Experiment, run: Run) -> tuple[Artifact, list[Artifact]]:
    """The problems that are in no configured benchmark, and the problems of these. Where their source itself keeps them apart, they
    are not compared by likeness, but no problem may be in both."""
    rule = exp.contamination
    problems = run(load, data=exp.data)
    benchmarks = [exp.benchmark, *rule.against.values()]
    tests = [run(load, data=benchmark.data) for benchmark in benchmarks]
    promised = [test for test, benchmark in zip(tests, benchmarks, strict=True) if apart(exp.data, benchmark.data)]
    others = [test for test in tests if test not in promised]
    problems = apart_from(run, problems, promised)
    if not (rule.enabled and others):
        return problems, tests
    return run(
        decontaminate,
        problems=problems,
        tests=others,
        question=rule.question,
        similar=rule.similar,
        picture=rule.picture,
        drop=rule.drop,
        allow=rule.allow,
    ), tests
