"""`python -m mathse.score benchmark=mathvista problems=FILE responses=FILE [rule=…] out=DIR`: stored responses, scored without a model.

Prints the score as JSON and leaves score.json and outcomes.jsonl (each problem's outcome under each rule) in `out`. Rules:
authors (the default), strict, lenient, and what else the benchmark has; `all` puts them side by side with the ids that they
disagree on. `benchmark.<field>=…` sets a field of the benchmark; `teacher=…` judges what the rule leaves undecided.

Responses that are missing, twice, foreign, empty or unreadable are counted and named, and a missing one counts as wrong;
`strict=true` refuses such a file.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from mathse.benchmarks.scoring import Scorable
from mathse.benchmarks.tables import Report
from mathse.command import command, usage
from mathse.report.files import write_text

OWN = ("problems", "responses", "rule", "out", "strict")


def score(words: Sequence[str]) -> Report:
    """The report that the command's words ask for. Raises ValueError or TypeError saying which word is wrong."""
    from mathse.config import load

    given = dict(word.partition("=")[::2] for word in words)
    ours = {key: given.pop(key) for key in OWN if key in given}
    odd = [key for key in given if key.partition(".")[0] not in ("benchmark", "teacher")]
    if odd or "benchmark" not in given:
        wrong = f"there is no {odd[0]!r}" if odd else "benchmark= is missing"
        raise ValueError(
            f"{wrong}; the words are benchmark= {' '.join(f'{key}=' for key in OWN)} benchmark.<field>= teacher="
        )
    missing = [key for key in ("responses", "out") if not ours.get(key)]
    if missing:
        raise ValueError(f"{missing[0]}= is missing")
    if ours.get("strict", "false") not in ("true", "false"):
        raise ValueError(f"strict should be true or false, got {ours['strict']!r}")
    exp = load(*(f"{key}={value}" for key, value in given.items()))
    benchmark = exp.benchmark
    if not isinstance(benchmark, Scorable):
        raise ValueError(f"benchmark={given['benchmark']} cannot be scored from stored responses")
    report = benchmark.report(
        Path(ours["problems"]) if "problems" in ours else None,
        Path(ours["responses"]),
        rule=ours.get("rule", "authors"),
        strict=ours.get("strict") == "true",
        teacher=exp.teacher if "teacher" in given else None,
    )
    write(report, Path(ours["out"]))
    return report


def write(report: Report, out: Path) -> None:
    """score.json and outcomes.jsonl."""
    out.mkdir(parents=True, exist_ok=True)
    rows = (json.dumps(row, ensure_ascii=False) + "\n" for row in report.outcomes)
    write_text(out / "outcomes.jsonl", "".join(rows))
    write_text(out / "score.json", json.dumps(report.result, ensure_ascii=False, indent=1) + "\n")


@contextlib.contextmanager
def aside() -> Iterator[None]:
    """What is printed meanwhile, by processes of its own too, goes to stderr: stdout is the score alone."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


@command
def main(words: Sequence[str]) -> None:
    """Print the score, and what is wrong with the responses on stderr."""
    usage(__doc__, words)
    with aside():
        report = score(words)
    say(report)


def say(report: Report) -> None:
    """The score on stdout, and what is wrong with the responses on stderr."""
    for fault in report.faults:
        print(f"responses: {fault}", file=sys.stderr)
    print(json.dumps(report.result, ensure_ascii=False))


if __name__ == "__main__":
    sys.exit(main())
