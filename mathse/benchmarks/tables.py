"""What comes of a benchmark's outcomes: counts, intervals, parts, the rules side by side, and what all of it depends on."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mathse.answers import PARSER
from mathse.benchmarks import judge
from mathse.benchmarks.scoring import MISSING, Outcome, Response, Rule, Scorable
from mathse.statistics import bootstrap, wilson
from mathse.store import canonical
from mathse.teacher import Teacher
from mathse.types import Problem

Tries = Sequence[Mapping[str, Response]]  # for each try the responses by problem id; stored responses are one try


@dataclass(frozen=True)
class Report:
    """What a command prints; the outcome of each problem; and what it should say of the responses, a line each."""

    result: dict[str, Any]
    outcomes: list[dict[str, Any]]
    faults: Sequence[str] = field(default=())


def report(
    benchmark: Scorable,
    problems: Sequence[Problem],
    tries: Tries,
    *,
    rule: str,
    teacher: Teacher | None = None,
    asked: Mapping[str, Any] | None = None,
) -> Report:
    """The score under one rule, or under all of them with what they disagree on. Raises ValueError where there is no such rule.

    `teacher` judges what the rule leaves undecided. `asked`: the hash of the prompt and the decoding that made the responses, where
    they are known.
    """
    rules = benchmark.rules()
    rule = rule_named(benchmark, rule)
    flat = [problem for _ in tries for problem in problems]
    results, outcomes = {}, {}
    for name, apply in rules.items():
        if rule not in (name, "all"):
            continue
        found = [decided(apply, problems, responses) for responses in tries]
        if teacher:
            found = [judge.settle(problems, *pair, teacher) for pair in zip(tries, found, strict=True)]
        outcomes[name] = list(itertools.chain(*found))
        own = all(response.own for responses in tries for response in responses.values())
        known = identity(name, own=own, teacher=teacher, asked=asked)
        results[name] = {"rule": name, **tally(benchmark, flat, outcomes[name]), "identity": known}
    rows = [
        {"id": problem.id}
        | ({"cluster": cluster} if (cluster := benchmark.cluster(problem)) != problem.id else {})
        | ({"apart": apart} if (apart := benchmark.apart(problem)) else {})
        | ({"try": place // len(problems)} if len(tries) > 1 else {})
        | {"outcomes": {name: vars(found[place]) for name, found in outcomes.items()}}
        for place, problem in enumerate(flat)
    ]
    if rule != "all":
        return Report({"benchmark": benchmark.name, **results[rule]}, rows)
    result = {"benchmark": benchmark.name, "rule": "all", "n": len(flat), "rules": results}
    return Report({**result, **disagreements(flat, outcomes)}, rows)


def rule_named(benchmark: Scorable, rule: str) -> str:
    """The rule's own name: `authors` is the first. Raises ValueError where there is no such rule."""
    rules = benchmark.rules()
    if rule not in (*rules, "all", "authors"):
        raise ValueError(f"rule={rule}: {benchmark.name} has the rules {', '.join(rules)}, and all")
    return next(iter(rules)) if rule == "authors" else rule


def decided(rule: Rule, problems: Sequence[Problem], responses: Mapping[str, Response]) -> list[Outcome]:
    """The outcome of each problem, in order."""
    return [rule(problem, responses[problem.id]) if problem.id in responses else MISSING for problem in problems]


def disagreements(problems: Sequence[Problem], outcomes: Mapping[str, Sequence[Outcome]]) -> dict[str, Any]:
    """The ids on which not all rules say the same, and for each two rules how many only one of them finds correct."""
    statuses = {name: [outcome.status for outcome in found] for name, found in outcomes.items()}
    split = [
        problem.id
        for problem, said in zip(problems, zip(*statuses.values(), strict=True), strict=True)
        if len(set(said)) > 1
    ]
    pairs = []
    for a, b in itertools.combinations(statuses, 2):
        right = [(x == "correct", y == "correct") for x, y in zip(statuses[a], statuses[b], strict=True)]
        pairs.append({"a": a, "b": b, "only_a": right.count((True, False)), "only_b": right.count((False, True))})
    return {"pairs": pairs, "disagreements": list(dict.fromkeys(split))}


def identity(rule: str, *, own: bool, teacher: Teacher | None, asked: Mapping[str, Any] | None) -> dict[str, Any]:
    """What decides a score beside the responses: two scores may be compared where these are the same.

    `extraction`: whether answers were extracted here (own) or by whoever stored them; `judge`: model, decoding and prompt of the judge;
    `prompt` and `decoding`: how the responses were asked for, which is not known of stored ones.
    """
    return {
        "rule": rule,
        "parser": PARSER,
        "extraction": "own" if own or not rule.startswith("authors") else "stored",
        "judge": {**canonical(teacher), "prompt": judge.prompt_hash()} if teacher else None,
        "prompt": None,
        "decoding": None,
        **(asked or {}),
    }


def tally(benchmark: Scorable, problems: Sequence[Problem], outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """n, correct, accuracy and its interval (Wilson's, or a bootstrap by cluster), and n, correct, accuracy by each part.

    Problems that the benchmark keeps apart are counted beside the score, unless there are no others.
    """
    both = list(zip(problems, outcomes, strict=True))
    kept = [pair for pair in both if not benchmark.apart(pair[0])] or both
    groups: dict[str, dict[str, list[bool]]] = {}
    for problem, outcome in kept:
        for kind, names in benchmark.parts(problem).items():
            for name in names:
                groups.setdefault(kind, {}).setdefault(name, []).append(outcome.status == "correct")
    beside: dict[str, list[tuple[Problem, Outcome]]] = {}
    for pair in both if len(kept) < len(both) else ():
        if name := benchmark.apart(pair[0]):
            beside.setdefault(name, []).append(pair)
    statuses = [outcome.status for _, outcome in kept]
    return {
        **_counted(benchmark, kept),
        "missing": statuses.count("missing"),
        "undecided": statuses.count("undecided"),
        "decided": {
            who: sum(o.by == who and o.status in ("correct", "wrong") for _, o in kept) for who in ("rule", "judge")
        },
        "by": {kind: {name: share(group[name]) for name in sorted(group)} for kind, group in sorted(groups.items())},
        **({"apart": {name: _counted(benchmark, pairs) for name, pairs in beside.items()}} if beside else {}),
    }


def _counted(benchmark: Scorable, pairs: Sequence[tuple[Problem, Outcome]]) -> dict[str, Any]:
    right = [outcome.status == "correct" for _, outcome in pairs]
    return {**share(right), "ci95": list(_interval(right, [benchmark.cluster(problem) for problem, _ in pairs]))}


def _interval(right: Sequence[bool], clusters: Sequence[str]) -> tuple[float, float]:
    """Wilson's interval, or a bootstrap by cluster; where that has nothing to vary, Wilson's with a cluster as one problem."""
    n = len(set(clusters))
    if n == len(right):
        return wilson(sum(right), n)
    if n < 2 or all(right) or not any(right):
        return wilson(round(n * sum(right) / len(right)), n)
    return bootstrap(right, clusters)


def share(right: Sequence[bool]) -> dict[str, Any]:
    """n, correct and accuracy."""
    return {"n": len(right), "correct": sum(right), "accuracy": sum(right) / max(1, len(right))}
