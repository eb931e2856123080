"""Intervals and paired tests, against the paper's own counts."""

import itertools
import math

import pytest
from scipy.stats import binomtest

from mathse.statistics import (
    best_of_n,
    bootstrap,
    detectable_difference,
    holm,
    majority,
    paired_bootstrap,
    paired_p,
    pass_at_k,
    wilson,
)

# Figure 2 of the paper (n = 2000): stayed right, stayed wrong, lost, won; accuracies of Table 1;
# exact p recomputed from the counts.
FIGURE_2 = [
    (402, 678, 215, 705, 30.85, 55.35, 2e-61),
    (800, 529, 307, 364, 55.35, 58.20, 0.031),
    (895, 484, 269, 352, 58.20, 62.35, 0.0010),
    (1018, 477, 229, 276, 62.35, 64.70, 0.041),
]


@pytest.mark.parametrize(("right", "wrong", "lost", "won", "before", "after", "p"), FIGURE_2)
def test_the_papers_transitions_give_its_accuracies_and_their_p_values(
    right: int, wrong: int, lost: int, won: int, before: float, after: float, p: float
) -> None:
    a = [True] * (right + lost) + [False] * (wrong + won)
    b = [True] * right + [False] * (lost + wrong) + [True] * won
    assert 100 * sum(a) / 2000 == pytest.approx(before)
    assert 100 * sum(b) / 2000 == pytest.approx(after)
    assert paired_p(a, b) == pytest.approx(p, rel=0.25)


def test_models_that_never_differ_have_p_1() -> None:
    assert paired_p([True, False], [True, False]) == 1.0


@pytest.mark.parametrize(("lost", "won"), [(0, 1), (3, 3), (5, 12), (215, 705), (0, 2000)])
def test_p_is_mcnemars_where_each_pair_stands_alone(lost: int, won: int) -> None:
    a, b = [True] * lost + [False] * won + [True] * 7, [False] * lost + [True] * won + [True] * 7
    assert paired_p(a, b) == pytest.approx(binomtest(won, won + lost).pvalue, rel=1e-9)


def test_p_by_cluster_is_that_of_all_signs_gone_through() -> None:
    a = [0, 1, 0, 0, 1, 0, 0, 0, 0, 1]
    b = [1, 0, 1, 1, 1, 1, 1, 1, 0, 0]
    clusters = list("aabbbccdde")
    sums = [sum(y - x for x, y, c in zip(a, b, clusters, strict=True) if c == cluster) for cluster in "abcde"]
    assert sorted(sums) == [-1, 0, 1, 2, 2]
    signs = list(itertools.product((-1, 1), repeat=5))
    far = sum(abs(sum(s * t for s, t in zip(sign, sums, strict=True))) >= abs(sum(sums)) for sign in signs)
    assert paired_p(a, b, clusters) == pytest.approx(far / len(signs))
    halves = ([x / 2 for x in a], [y / 2 for y in b])  # shares of tries are drawn, and agree
    assert paired_p(*halves, clusters) == pytest.approx(far / len(signs), abs=0.03)


def test_a_problem_that_turns_with_each_of_three_seeds_counts_once() -> None:
    a, b, problems = [False] * 24, [True] * 24, [place // 3 for place in range(24)]
    assert paired_p(a, b, problems) == pytest.approx(2 / 2**8)
    assert paired_p(a, b) == pytest.approx(2 / 2**24)


def test_the_interval_of_the_orms_false_accepts_obeys_the_rule_of_three() -> None:
    low, high = wilson(0, 1000)
    assert low == pytest.approx(0, abs=1e-9)
    assert high < 0.004


def test_nothing_counted_says_nothing() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


def test_a_bootstrap_agrees_with_the_normal_interval_and_clusters_widen_it() -> None:
    right = [True] * 300 + [False] * 700
    low, high = bootstrap(right)
    spread = 1.96 * math.sqrt(0.3 * 0.7 / 1000)
    assert (low, high) == (pytest.approx(0.3 - spread, abs=0.004), pytest.approx(0.3 + spread, abs=0.004))
    in_fives = bootstrap(right, [place // 5 for place in range(1000)])
    assert in_fives[1] - in_fives[0] == pytest.approx(math.sqrt(5) * (high - low), rel=0.1)
    assert bootstrap(right) == (low, high), "the same seed gives the same interval"
    assert bootstrap([]) == (0.0, 1.0)
    with pytest.raises(ValueError, match="2 values in 1 clusters"):
        bootstrap([True, False], ["a"])


def test_the_paired_interval_of_the_papers_reflection_stage_excludes_no_gain_narrowly() -> None:
    right, wrong, lost, won = FIGURE_2[3][:4]
    before = [True] * (right + lost) + [False] * (wrong + won)
    after = [True] * right + [False] * (lost + wrong) + [True] * won
    low, high = paired_bootstrap(before, after)
    assert 0 < low < 0.0235 < high < 0.05


@pytest.mark.parametrize(
    ("raw", "adjusted"),
    [
        ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]),
        ([0.03, 0.01], [0.03, 0.02]),
        ([0.9, 0.8], [1.0, 1.0]),
        ([], []),
    ],
)
def test_holm_adjusts_in_place(raw: list[float], adjusted: list[float]) -> None:
    assert holm(raw) == pytest.approx(adjusted)


def test_the_papers_reflection_gain_is_about_what_its_benchmark_can_detect() -> None:
    assert detectable_difference(2000, 505 / 2000) == pytest.approx(0.0315, abs=0.0005)
    assert detectable_difference(8000, 505 / 2000) == pytest.approx(0.0315 / 2, abs=0.0005)
    assert detectable_difference(3, 0.2) == 1.0
    assert detectable_difference(100, 0.0) == 1.0


@pytest.mark.parametrize(("n", "correct", "k"), [(5, 2, 1), (5, 2, 3), (5, 0, 2), (5, 5, 2), (4, 3, 2)])
def test_pass_at_k_is_the_share_of_draws_that_hold_a_right_one(n: int, correct: int, k: int) -> None:
    draws = list(itertools.combinations([True] * correct + [False] * (n - correct), k))
    assert pass_at_k(n, correct, k) == pytest.approx(sum(map(any, draws)) / len(draws))


def test_pass_at_k_of_more_tries_than_there_are_is_refused() -> None:
    with pytest.raises(ValueError, match="pass@3"):
        pass_at_k(2, 1, 3)


def test_tries_vote_and_an_orm_chooses() -> None:
    def same(a: str, b: str) -> bool:
        return float(a) == float(b)

    assert majority(["2", "1", None, "1.0", "3"], same) == "1"
    assert majority(["2", "1"], same) == "2"
    assert majority([None], same) is None
    assert best_of_n([0.2, None, 0.9, 0.9]) == 2
    with pytest.raises(ValueError, match="no tries"):
        best_of_n([])
