"""The numbers of a run, from its artifacts: accuracies, comparisons, rounds."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from mathse.report.records import record_of, training_of
from mathse.statistics import paired_p, wilson
from mathse.store import Artifact
from mathse.types import Judged, read_jsonl


@dataclass(frozen=True)
class Scored:
    """A model's name and its evaluation."""

    name: str
    artifact: Artifact

    @functools.cached_property
    def rows(self) -> list[Judged]:
        return read_jsonl(Judged, self.artifact.path / "judged.jsonl")

    @property
    def right(self) -> list[bool]:
        return [row.verdict.status == "correct" for row in self.rows]

    @property
    def by_problem(self) -> dict[tuple[str, int], bool]:
        return {(row.solution.problem.id, row.solution.index): row.verdict.status == "correct" for row in self.rows}


def summarise(
    benchmark: str, scores: Sequence[Scored], rounds: Sequence[Artifact], orm: Mapping[str, float | None]
) -> dict[str, Any]:
    """models, comparisons, rounds and orm of summary.json."""
    models = []
    for scored in scores:
        n, correct = int(scored.artifact.metrics["n"]), int(scored.artifact.metrics["correct"])
        models.append(
            {
                "name": scored.name,
                "benchmark": benchmark,
                "n": n,
                "correct": correct,
                "accuracy": correct / max(1, n),
                "ci95": list(wilson(correct, n)),
                "artifact": scored.artifact.name,
            }
        )
    counts = ("generated", "accepted", "rejected", "unreadable")
    return {
        "models": models,
        "comparisons": comparisons(scores),
        "rounds": [
            {"round": k} | {key: int(r.metrics[key]) for key in counts} | agreed(r.metrics)
            for k, r in enumerate(rounds, start=1)
        ],
        "orm": dict(orm),
    }


def agreed(metrics: Mapping[str, float]) -> dict[str, float | None]:
    """accept_precision and accept_recall of a judge step, None where nothing was accepted, or nothing is right."""
    of = {"accept_precision": "accepted", "accept_recall": "right"}
    return {share: metrics[share] if metrics[whole] else None for share, whole in of.items()}


def on_held_out(tested: Artifact) -> dict[str, float | None]:
    """orm of summary.json: the metrics of a test_orm step, a share None where there was nothing that it is of. A binary ORM is not
    asked for the wrong step."""
    metrics = tested.metrics
    right, wrong = metrics["n_correct"], metrics["n_wrong"]
    made = training_of(record_of(tested.path).get("inputs", {}).get("source") or {}, tested.path.parent)
    of = {
        "correct_accuracy": right,
        "wrong_accuracy": wrong,
        "accuracy": right + wrong,
        "step_hit_rate": made.get("analysis", True) and wrong * metrics["wrong_accuracy"],
        "unreadable": right + wrong,
    }
    return {name: number if of.get(name, True) else None for name, number in metrics.items()}


MONEY = ("calls_paid", "tokens_in", "tokens_cached", "tokens_out", "dollars", "dollars_lost")


def paid(artifacts: Sequence[Artifact], found: Set[str]) -> dict[str, Any]:
    """teacher of summary.json: what each step that asked a paid teacher cost, and all of them; `new` is what this run itself paid.

    Empty where nobody was paid. Dollars are missing where the model has no price.
    """
    rows = [
        {"step": artifact.name, "found": artifact.name in found}
        | {name: artifact.metrics[name] for name in MONEY if name in artifact.metrics}
        for artifact in artifacts
        if "calls_paid" in artifact.metrics
    ]
    if not rows:
        return {}
    new = [row for row in rows if not row["found"]]
    return {"teacher": {"steps": rows, "total": _sum(rows, rows), "new": _sum(new, rows)}}


def _sum(rows: Sequence[Mapping[str, Any]], known: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    return {name: sum(row.get(name, 0.0) for row in rows) for name in MONEY if any(name in row for row in known)}


def comparisons(scores: Sequence[Scored]) -> list[dict[str, Any]]:
    """Each model against the one before it; then the last round against the base and M_0, and the final model against M_0."""
    pairs = list(itertools.pairwise(scores))
    by_name = {scored.name: scored for scored in scores}
    rounds = [name for name in by_name if re.fullmatch(r"M_[1-9]\d*", name)]
    extra = [("base", rounds[-1]), ("M_0", rounds[-1])] if rounds else []
    extra += [("M_0", "M_final")] if "M_final" in by_name else []
    pairs += [(by_name[a], by_name[b]) for a, b in extra if (by_name[a], by_name[b]) not in pairs]
    return [
        {
            "a": a.name,
            "b": b.name,
            "difference": b.artifact.metrics["accuracy"] - a.artifact.metrics["accuracy"],
            "p": p_between(a, b),
        }
        for a, b in pairs
    ]


def p_between(a: Scored, b: Scored) -> float:
    """The exact paired p of two models on the problems that both answered; several tries of one count as one."""
    before, after = a.by_problem, b.by_problem
    both = [key for key in before if key in after]
    return paired_p([before[key] for key in both], [after[key] for key in both], [problem for problem, _ in both])


def by_part(scored: Scored, part: str) -> dict[str, tuple[int, int]]:
    """(correct, n) of a model by the problems' `source` or `level`."""
    counts: dict[str, list[int]] = {}
    for row, right in zip(scored.rows, scored.right, strict=True):
        entry = counts.setdefault(str(getattr(row.solution.problem, part)), [0, 0])
        entry[0] += right
        entry[1] += 1
    return {name: (correct, n) for name, (correct, n) in sorted(counts.items())}
