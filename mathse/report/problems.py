"""What the report says of problems that others made: what was dropped and why, and what is in the benchmark too."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mathse.data.dropped import DROPPED, read_dropped
from mathse.figures.data import Figures
from mathse.steps.disjoint import asked_by_both, words_of
from mathse.store import Artifact
from mathse.teacher.figures import program_of
from mathse.types import Problem, read_jsonl

if TYPE_CHECKING:
    from mathse.config import Experiment

MOST_ROWS = 20  # dropped rows that the report lists; dropped.jsonl has all
TINY = (
    "The tiny weights have seen figures and nothing else. On these problems the run shows that every part works; "
    "its accuracies say nothing about the method."
)


def about_data(exp: Experiment, artifacts: Sequence[Artifact]) -> dict[str, Any]:
    """data, contamination and note of summary.json, each where there is something to say."""
    found: dict[str, Any] = {}
    read = [artifact for artifact in artifacts if (artifact.path / DROPPED).exists()]
    if read:
        found["data"] = [
            {
                "artifact": artifact.name,
                "read": int(artifact.metrics["read"]),
                "kept": int(artifact.metrics["problems"]),
                "dropped": _by_reason(artifact.metrics, "dropped: "),
                "first": [vars(row) for row in read_dropped(artifact.path)[:MOST_ROWS]],
            }
            for artifact in read
        ]
    for artifact in artifacts:
        if artifact.step == "decontaminate":
            counts = {key: int(artifact.metrics[key]) for key in ("read", "against", "leaks", "dropped")}
            found["contamination"] = {
                "artifact": artifact.name,
                **counts,
                "by": _by_reason(artifact.metrics, "leaks: "),
            }
    if exp.scale == "tiny" and not isinstance(exp.data, Figures):
        found["note"] = TINY
    return found


def _by_reason(metrics: Mapping[str, float], prefix: str) -> dict[str, int]:
    return {key.removeprefix(prefix): int(value) for key, value in metrics.items() if key.startswith(prefix)}


def data_lines(summary: Mapping[str, Any]) -> list[str]:
    """The same for a terminal."""
    lines = []
    for one in summary.get("data", []):
        why = ", ".join(f"{count} {reason}" for reason, count in one["dropped"].items())
        lines.append(f"{one['artifact']}: {one['kept']} of {one['read']} rows kept" + f"; dropped: {why}" * bool(why))
    if "contamination" in summary:
        lines.append(leaks_words(summary["contamination"]))
    lines += [summary["note"]] if "note" in summary else []
    return ["", *lines] if lines else []


def kept_for_the_orm(kept: Artifact, D: Artifact, tests: Sequence[Artifact]) -> str:
    """What the ORM's problems share with D and the test sets, in words. Of figures it is known which are one problem drawn twice."""
    own, sets = _read([kept]), {"D": _read([D]), "the test sets": _read(tests)}
    shared = {name: asked_by_both(own, others) for name, others in sets.items()}
    words = {words_of(problem) for problem in own}
    drawn = {_drawn(problem) for others in sets.values() for problem in others if words_of(problem) in words} - {None}
    found = {problem.id for both in shared.values() for problem in both}
    again = sum(_drawn(problem) in drawn for problem in own if problem.id not in found)
    counts = " and ".join(f"{len(shared[name])} are in {name} ({len(others)})" for name, others in sets.items())
    return (
        f"The ORM learns from {len(own)} problems kept apart: by words and pixels, looked at in this run, {counts}."
        + f" {again} have the words and numbers of one that is drawn otherwise." * bool(again)
    )


def _read(artifacts: Sequence[Artifact]) -> list[Problem]:
    return [problem for some in artifacts for problem in read_jsonl(Problem, some.path / "problems.jsonl")]


def _drawn(problem: Problem) -> Hashable:
    """What a figure asks and shows, however it is drawn; None for other problems."""
    try:
        return words_of(problem), tuple(sorted(program_of(problem.images[0]).shown().items()))
    except (ValueError, OSError, IndexError):
        return None


def leaks_words(counts: Mapping[str, Any]) -> str:
    """contamination of summary.json in a sentence."""
    why = ", ".join(f"{count} by {reason}" for reason, count in counts["by"].items())
    found = (
        f"{counts['leaks']} of {counts['read']} training problems are among the {counts['against']} test problems too"
    )
    return f"{found}{f' ({why})' * bool(why)}; {counts['dropped']} were dropped."
