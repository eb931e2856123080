"""How long does scoring take, and where does it differ from math-verify called on each response in one process?

    python experiments/speed/grading.py --problems test.jsonl --responses model.jsonl

Of MathVision's stored outputs it prints seconds of the authors' rule (the default one) and of the lenient one, each with the start of
what it needs, seconds of math-verify's own parse and verify, how many times less each rule takes (wanted: 5, and under 30 s), and the
ids of which the two say different things.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from mathse.answers.options import LETTERS
from mathse.benchmarks.mathvision import MathVision
from mathse.benchmarks.responses import read_responses
from mathse.benchmarks.scoring import Response
from mathse.benchmarks.tables import decided
from mathse.config import load
from mathse.types import Problem


def math_verify_says(problem: Problem, response: Response) -> bool:
    """What math-verify makes of a response as it is, against the letter or the value of the right choice."""
    from math_verify import parse, verify

    references = [problem.answer] + ([problem.choices[LETTERS.index(problem.answer)]] if problem.choices else [])
    said = parse(response.text)
    return any(verify(parse(reference if "$" in reference else f"${reference}$"), said) for reference in references)


T = TypeVar("T")


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """What the work gave and the seconds that it took."""
    started = time.perf_counter()
    result = work()
    return result, time.perf_counter() - started


def main() -> None:
    """Print the comparison as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=Path, required=True)
    parser.add_argument("--responses", type=Path, required=True)
    args = parser.parse_args()
    benchmark = load("benchmark=mathvision").benchmark
    assert isinstance(benchmark, MathVision)
    problems = benchmark.stored_problems(args.problems)
    responses = read_responses(args.responses, benchmark, problems).responses
    logging.disable()
    seconds, right = {}, {}
    for name in ("authors", "lenient"):
        outcomes, seconds[name] = timed(partial(decided, benchmark.rules()[name], problems, responses))
        right[name] = [outcome.status == "correct" for outcome in outcomes]
    right["math-verify"], seconds["math-verify"] = timed(
        lambda: [problem.id in responses and math_verify_says(problem, responses[problem.id]) for problem in problems]
    )
    differ = {
        name: [p.id for p, a, b in zip(problems, right[name], right["math-verify"]) if a != b]
        for name in ("authors", "lenient")
    }
    times_less = {name: round(seconds["math-verify"] / seconds[name], 1) for name in differ}
    correct = {name: sum(says) for name, says in right.items()}
    print(json.dumps({"seconds": seconds, "times_less": times_less, "correct": correct, "differ": differ}, indent=1))


if __name__ == "__main__":
    main()
