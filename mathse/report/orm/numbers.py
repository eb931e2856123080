"""Numbers for a judge's verdicts: shares by count, what scores are worth, what a threshold trades. Each with its interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mathse.feedback.answer import matches
from mathse.metrics import BINS, auroc, bin_of, calibration_error, macro_f1, processbench, step_label
from mathse.statistics import resampled, wilson
from mathse.types import Solution, Verdict


@dataclass(frozen=True)
class Share:
    """`hits` of `n`."""

    hits: int
    n: int

    @property
    def value(self) -> float:
        return self.hits / self.n if self.n else math.nan

    @property
    def ci95(self) -> tuple[float, float]:
        return wilson(self.hits, self.n)


@dataclass(frozen=True)
class Estimate:
    """A number that is no share, with its bootstrap interval."""

    value: float
    ci95: tuple[float, float]


@dataclass(frozen=True)
class Checked:
    """A verdict, and the truth about the solution."""

    solution: Solution
    said: Verdict
    truth: Verdict

    @property
    def right(self) -> bool:
        return self.truth.status == "correct"

    @property
    def accepted(self) -> bool:
        return self.said.status == "correct"


def card(rows: Sequence[Checked]) -> dict[str, Share]:
    """What verdicts are worth. `step_exact` and `step_near` (one off at most) are of the wrong solutions that were rejected and whose
    first wrong step is known; `agreement` is with answer match."""
    right, wrong = [row for row in rows if row.right], [row for row in rows if row.truth.status == "wrong"]
    accepted = [row for row in rows if row.accepted]
    pointed = [row for row in wrong if row.said.status == "wrong" and row.truth.error_step is not None]
    off = [abs((row.said.error_step or math.inf) - (row.truth.error_step or 0)) for row in pointed]
    agree = sum((row.accepted and by) or (row.said.status == "wrong" and not by) for row, by in by_answers(rows))
    return {
        "right": Share(len(right), len(rows)),
        "right_accepted": Share(sum(row.accepted for row in right), len(right)),
        "wrong_rejected": Share(sum(row.said.status == "wrong" for row in wrong), len(wrong)),
        "precision": Share(sum(row.right for row in accepted), len(accepted)),
        "step_exact": Share(sum(distance == 0 for distance in off), len(off)),
        "step_near": Share(sum(distance <= 1 for distance in off), len(off)),
        "unreadable": Share(sum(row.said.status == "unreadable" for row in rows), len(rows)),
        "agreement": Share(agree, len(rows)),
    }


def by_answers(rows: Sequence[Checked]) -> Iterable[tuple[Checked, bool]]:
    return ((row, row.right if row.truth.by == "answer" else matches(row.solution)) for row in rows)


def steps_score(rows: Sequence[Checked]) -> dict[str, float]:
    """ProcessBench's score and macro-F1 of status and first wrong step, on rows whose truth names the step. Empty for one kind only."""
    known = [row for row in rows if row.right or row.truth.error_step is not None]
    labels = [step_label(row.truth) or 0 for row in known]
    if not any(labels) or all(labels):
        return {}
    said = [step_label(row.said) for row in known]
    bench = processbench(said, labels)
    return {
        "processbench_error": bench.error,
        "processbench_correct": bench.correct,
        "processbench_f1": bench.f1,
        "macro_f1_status": macro_f1([row.said.status for row in known], [row.truth.status for row in known]),
        "macro_f1_step": macro_f1(said, labels),
    }


def precision_at(rows: Sequence[Checked], base_rate: float) -> Estimate:
    """The precision of acceptance where a share `base_rate` of the solutions is right, from how often the judge accepts right and
    wrong ones among `rows`. NaN where there is no solution of one kind, or none would be accepted."""
    import numpy as np

    right, accepted = (np.array([getattr(row, name) for row in rows], dtype=bool) for name in ("right", "accepted"))

    def precision(drawn: Any) -> float:
        kind, taken = right[drawn], accepted[drawn]
        if not kind.any() or kind.all():
            return math.nan
        good, bad = base_rate * taken[kind].mean(), (1 - base_rate) * taken[~kind].mean()
        return float(good / (good + bad)) if good + bad else math.nan

    return _estimate(precision, rows)


def _estimate(statistic: Callable[[Any], float], rows: Sequence[Checked]) -> Estimate:
    import numpy as np

    value = statistic(np.arange(len(rows)))
    return Estimate(value, resampled(statistic, [row.solution.problem.id for row in rows]))


@dataclass(frozen=True)
class Bin:
    """Solutions whose scores lie between `low` and `high`: their mean score, and how many are right."""

    low: float
    high: float
    score: float
    right: Share


@dataclass(frozen=True)
class Calibration:
    """What scores are worth, as probabilities (`error`, `bins`) and as an order (`order`: AUROC). `n` have a score."""

    n: int
    error: Estimate
    order: Estimate
    bins: list[Bin]


def calibration(rows: Sequence[Checked]) -> Calibration | None:
    """None where no verdict has a score."""
    import numpy as np

    rows = scored(rows)
    if not rows:
        return None
    scores = np.array([row.said.score for row in rows], dtype=float)
    right = np.array([row.right for row in rows])
    places = bin_of(scores)  # type: ignore[arg-type]
    bins = [
        Bin(i / BINS, (i + 1) / BINS, float(scores[places == i].mean()), Share(int(right[places == i].sum()), int(n)))
        for i, n in enumerate(np.bincount(places))
        if n
    ]
    error = _estimate(lambda drawn: calibration_error(scores[drawn], right[drawn]), rows)
    order = _estimate(lambda drawn: auroc(scores[drawn], right[drawn]), rows)
    return Calibration(len(rows), error, order, bins)


def scored(rows: Sequence[Checked]) -> list[Checked]:
    """Those that can be accepted or rejected by a score."""
    return [row for row in rows if row.said.score is not None and row.said.status != "unreadable"]


@dataclass(frozen=True)
class Trade:
    """What a threshold would accept: how pure that is, and which share of all right solutions it holds."""

    threshold: float
    accepted: int
    purity: Share
    found: Share


def trade(rows: Sequence[Checked], thresholds: Sequence[float]) -> list[Trade]:
    """Purity against yield at each threshold; what has no score is never accepted."""
    right = sum(row.right for row in rows)
    points = []
    for threshold in thresholds:
        taken = [row for row in scored(rows) if (row.said.score or 0.0) >= threshold]
        hits = sum(row.right for row in taken)
        points.append(Trade(threshold, len(taken), Share(hits, len(taken)), Share(hits, right)))
    return points


def curve(rows: Sequence[Checked], most: int = 100) -> list[Trade]:
    """`trade` at the scores that occur, thinned evenly to `most`."""
    scores = sorted({row.said.score for row in scored(rows) if row.said.score is not None})
    return trade(rows, scores[:: max(1, math.ceil(len(scores) / most))])
