"""Intervals and tests for accuracies, and what several tries of one problem are worth; on scipy and numpy."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


def wilson(correct: int, n: int) -> tuple[float, float]:
    """The 95% Wilson interval of a share of `correct` out of `n`; (0, 1) where there is nothing to count."""
    from scipy.stats import binomtest

    if n == 0:
        return 0.0, 1.0
    interval = binomtest(correct, n).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


TRANSITIONS = {"stay right": (True, True), "stay wrong": (False, False), "lost": (True, False), "gained": (False, True)}


def transitions(before: Mapping[Any, bool], after: Mapping[Any, bool]) -> Counter[tuple[bool, bool]]:
    """How many of the cases that both have are (right before, right after); TRANSITIONS names the pairs."""
    return Counter((right, after[case]) for case, right in before.items() if case in after)


def p_value(p: float) -> str:
    """A p for people; below what a float can hold only that is said.

    >>> p_value(0.0412), p_value(0.0)
    ('0.041', '<1e-300')
    """
    return f"{p:.2g}" if p else "<1e-300"


def bootstrap(
    values: Sequence[float], clusters: Sequence[Hashable] = (), *, draws: int = 10_000, seed: int = 0
) -> tuple[float, float]:
    """The 95% percentile interval of the mean of `values`, drawn again by cluster: variants of one problem stay together.

    Without `clusters` each value is its own. (0, 1) where there is nothing to draw from.
    """
    import numpy as np

    if not values:
        return 0.0, 1.0
    sums, sizes = _by_cluster(values, clusters or range(len(values)))
    generator = np.random.default_rng(seed)
    means = np.empty(draws)
    for start in range(0, draws, 500):  # a block at a time, for memory
        drawn = generator.integers(0, len(sums), size=(min(500, draws - start), len(sums)))
        means[start : start + 500] = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def resampled(
    statistic: Callable[[np.ndarray[Any, Any]], float],
    clusters: Sequence[Hashable],
    *,
    draws: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """The 95% percentile interval of any statistic of rows, drawn again by cluster: `clusters` has one entry for each row.

    `statistic` gets the indices of the drawn rows; draws of which it makes NaN are left out. (NaN, NaN) where none is left.
    """
    import numpy as np

    places = {cluster: place for place, cluster in enumerate(dict.fromkeys(clusters))}
    index = np.array([places[cluster] for cluster in clusters], dtype=int)
    by_cluster, sizes = np.argsort(index, kind="stable"), np.bincount(index)
    starts = np.cumsum(sizes) - sizes
    generator = np.random.default_rng(seed)
    values = []
    for _ in range(draws if len(sizes) else 0):
        drawn = generator.integers(0, len(sizes), len(sizes))
        before = np.cumsum(sizes[drawn]) - sizes[drawn]
        within = np.repeat(starts[drawn] - before, sizes[drawn]) + np.arange(sizes[drawn].sum())
        values.append(statistic(by_cluster[within]))
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return math.nan, math.nan
    low, high = np.quantile(known, (0.025, 0.975))
    return float(low), float(high)


def _by_cluster(values: Sequence[float], clusters: Sequence[Hashable]) -> tuple[np.ndarray[Any, Any], ...]:
    """The sum and the size of each cluster."""
    import numpy as np

    places = {cluster: place for place, cluster in enumerate(dict.fromkeys(clusters))}
    index = [places[cluster] for cluster in clusters]
    if len(index) != len(values):
        raise ValueError(f"{len(values)} values in {len(index)} clusters; give each value its cluster")
    return np.bincount(index, weights=np.asarray(values, dtype=float)), np.bincount(index).astype(float)


def paired_bootstrap(
    a: Sequence[float], b: Sequence[float], clusters: Sequence[Hashable] = (), *, draws: int = 10_000, seed: int = 0
) -> tuple[float, float]:
    """The 95% interval of how much more accurate `b` is than `a` on the same problems, by cluster; shares of tries or bools."""
    return bootstrap([y - x for x, y in zip(a, b, strict=True)], clusters, draws=draws, seed=seed)


def paired_p(
    a: Sequence[float], b: Sequence[float], clusters: Sequence[Hashable] = (), *, draws: int = 10_000, seed: int = 0
) -> float:
    """The two-sided p of a paired randomisation test by cluster: were the models alike, either could have had either's results.

    Of bools it is exact, and McNemar's exact test where each pair is a cluster of its own, as it is without `clusters`; seeds,
    versions and tries of one problem are one cluster, which McNemar's test would count as problems of their own. Shares of
    several tries are drawn. 1.0 where the models never differ.
    """
    import numpy as np

    sums, _ = _by_cluster([y - x for x, y in zip(a, b, strict=True)], clusters or range(len(a)))
    sums = sums[np.abs(sums) > 1e-12]
    if not len(sums):
        return 1.0
    if np.all(sums == np.round(sums)):
        return _chance_as_far(Counter(abs(int(total)) for total in sums), abs(int(sums.sum())))
    generator = np.random.default_rng(seed)
    as_far = 0
    for start in range(0, draws, 500):  # a block at a time, for memory
        signs = generator.integers(0, 2, size=(min(500, draws - start), len(sums))) * 2 - 1
        as_far += int(np.sum(np.abs(signs @ sums) >= abs(sums.sum()) - 1e-9))
    return (as_far + 1) / (draws + 1)


def _chance_as_far(sizes: Mapping[int, int], far: int) -> float:
    """How likely a sum of numbers with signs by chance is at least as `far` from zero; `sizes`: how many there are of each size."""
    import numpy as np
    from scipy.stats import binom

    chances, most = np.ones(1), 0  # of the sum of the positive ones, from 0 on
    for size, n in sizes.items():
        positive = np.zeros(size * n + 1)
        positive[::size] = binom.pmf(np.arange(n + 1), n, 0.5)
        chances, most = np.convolve(chances, positive), most + size * n
    away = np.abs(2 * np.arange(most + 1) - most)
    return min(1.0, float(chances[away >= far].sum()))


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values of one table, adjusted so that all its tests together err with 5% (Holm 1979), in their order."""
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, p_values[place] * (len(p_values) - rank)))
        adjusted[place] = largest
    return adjusted


def detectable_difference(n: int, disagreement: float, *, power: float = 0.8, alpha: float = 0.05) -> float:
    """The least difference of accuracies that McNemar's test on `n` problems finds with this power (Connor 1987).

    `disagreement` is the share of problems on which the two models differ. 1.0 where no difference would be found.
    """
    from scipy.optimize import brentq
    from scipy.stats import norm

    z_alpha, z_power = norm.ppf(1 - alpha / 2), norm.ppf(power)

    def short(difference: float) -> float:
        return (
            z_alpha * math.sqrt(disagreement)
            + z_power * math.sqrt(disagreement - difference**2)
            - (difference * math.sqrt(n))
        )

    if not 0 < disagreement <= 1 or n < 1 or short(disagreement) > 0:
        return 1.0
    return float(brentq(short, 0.0, disagreement))


def pass_at_k(n: int, correct: int, k: int) -> float:
    """The chance that one of `k` tries is right, estimated without bias from `correct` of `n` tries (Chen et al. 2021)."""
    if not 1 <= k <= n or not 0 <= correct <= n:
        raise ValueError(f"pass@{k} of {correct} right in {n} tries: k should be 1 to n, the right ones 0 to n")
    return 1 - math.comb(n - correct, k) / math.comb(n, k)


def majority(answers: Sequence[str | None], same: Callable[[str, str], bool]) -> str | None:
    """The answer that most tries give, the first of them in its own words; a try without an answer does not vote."""
    groups: list[list[str]] = []
    for answer in answers:
        if answer is None:
            continue
        group = next((group for group in groups if same(group[0], answer)), None)
        if group is None:
            groups.append([answer])
        else:
            group.append(answer)
    return max(groups, key=len)[0] if groups else None


def best_of_n(scores: Sequence[float | None]) -> int:
    """Which try an ORM's scores choose, the first of the best; a try without a score comes last."""
    if not scores:
        raise ValueError("best of n: there are no tries to choose from")
    return max(range(len(scores)), key=lambda place: -math.inf if (score := scores[place]) is None else score)
