"""Intervals and paired tests for accuracies, on scipy."""

from __future__ import annotations

from collections.abc import Sequence


def wilson(correct: int, n: int) -> tuple[float, float]:
    """The 95% Wilson interval of a share of `correct` out of `n`; (0, 1) where there is nothing to count."""
    from scipy.stats import binomtest

    if n == 0:
        return 0.0, 1.0
    interval = binomtest(correct, n).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def mcnemar(a: Sequence[bool], b: Sequence[bool]) -> float:
    """The exact two-sided p of McNemar's test: do two models differ on the same problems? 1.0 where they never do."""
    from scipy.stats import binomtest

    lost = sum(x and not y for x, y in zip(a, b, strict=True))
    won = sum(y and not x for x, y in zip(a, b, strict=True))
    return float(binomtest(won, won + lost).pvalue) if won + lost else 1.0
