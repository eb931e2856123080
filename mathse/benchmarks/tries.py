"""What several tries of each problem are worth together: pass@k, the majority's answer, the one that an ORM likes best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mathse.answers import equal, extract
from mathse.benchmarks.scoring import Response, Rule
from mathse.benchmarks.tables import Tries, share
from mathse.statistics import best_of_n, majority, pass_at_k, wilson
from mathse.types import Problem

Scores = Sequence[Mapping[str, float | None]]  # an ORM's, as Tries has the responses


def together(problems: Sequence[Problem], tries: Tries, rule: Rule, scores: Scores | None = None) -> dict[str, Any]:
    """`tries`, pass_at_k, majority and, with an ORM's scores, best_of_n; a try that is missing is wrong, and neither votes nor is chosen.

    Each is over the problems. Where the rule is undecided about a chosen answer, it is counted beside the score, and not as correct.
    """
    n = len(tries)
    answered = [[some.get(problem.id) for some in tries] for problem in problems]
    right = [
        sum(response is not None and rule(problem, response).status == "correct" for response in group)
        for problem, group in zip(problems, answered, strict=True)
    ]
    ks = sorted({2**power for power in range(n.bit_length()) if 2**power <= n} | {n})
    voted = [_vote(problem, group) for problem, group in zip(problems, answered, strict=True)]
    result = {
        "tries": n,
        "pass_at_k": {str(k): sum(pass_at_k(n, correct, k) for correct in right) / len(right) for k in ks},
        "majority": _chosen(problems, voted, rule),
    }
    if scores is not None:
        liked = [
            group[best_of_n([some.get(problem.id) for some in scores])]
            for problem, group in zip(problems, answered, strict=True)
        ]
        result["best_of_n"] = _chosen(problems, liked, rule)
    return result


def _chosen(problems: Sequence[Problem], responses: Sequence[Response | None], rule: Rule) -> dict[str, Any]:
    """The score of one response for each problem."""
    statuses = [
        "missing" if response is None else rule(problem, response).status
        for problem, response in zip(problems, responses, strict=True)
    ]
    right = [status == "correct" for status in statuses]
    return {**share(right), "ci95": list(wilson(sum(right), len(right))), "undecided": statuses.count("undecided")}


def _vote(problem: Problem, group: Sequence[Response | None]) -> Response | None:
    """The first response that ends in the answer that most of the tries give; None where none gives an answer."""
    answers = [None if response is None else extract(response.text, problem) for response in group]
    winner = majority(answers, lambda a, b: equal(a, b, problem))
    return None if winner is None else group[answers.index(winner)]
