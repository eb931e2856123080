"""Intervals and paired tests, against the paper's own counts."""

import pytest

from mathse.statistics import mcnemar, wilson

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
    assert mcnemar(a, b) == pytest.approx(p, rel=0.25)


def test_models_that_never_differ_have_p_1() -> None:
    assert mcnemar([True, False], [True, False]) == 1.0


def test_the_interval_of_the_orms_false_accepts_obeys_the_rule_of_three() -> None:
    low, high = wilson(0, 1000)
    assert low == pytest.approx(0, abs=1e-9)
    assert high < 0.004


def test_nothing_counted_says_nothing() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
