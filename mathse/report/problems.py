"""What the report says of problems that others made: what was dropped and why, and what is in the benchmark too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mathse.data.dropped import DROPPED, read_dropped
from mathse.figures.data import Figures
from mathse.store import Artifact

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


def leaks_words(counts: Mapping[str, Any]) -> str:
    """contamination of summary.json in a sentence."""
    why = ", ".join(f"{count} by {reason}" for reason, count in counts["by"].items())
    found = (
        f"{counts['leaks']} of {counts['read']} training problems are among the {counts['against']} test problems too"
    )
    return f"{found}{f' ({why})' * bool(why)}; {counts['dropped']} were dropped."
