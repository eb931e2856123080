"""Analyses are counted by the paper's five types of error; what is none of them is shown."""

from __future__ import annotations

import pytest

from mathse.report.charts import drawn
from mathse.report.charts.errors import size, types_of_error
from mathse.report.errors import error_counts, error_table, error_type, with_reasons
from mathse.types import Judged, Problem, Solution, Verdict


@pytest.mark.parametrize(
    ("analysis", "kind"),
    [
        ("The reading is wrong. Look at the left bar again.", "vision"),
        ("误读了图形。", "vision"),
        ("The student misunderstood what is asked for.", "question"),
        ("This is not the calculation that is needed.", "reasoning"),
        ("The final answer does not follow from the last step.", "reasoning"),
        ("The formula for the area of a circle is not 2πr.", "knowledge"),
        ("The calculation is wrong: 3 + 4.", "calculation"),
        ("This step is wrong.", "unclassified"),
        ("", "unclassified"),
    ],
)
def test_an_analysis_has_one_type_or_none(analysis: str, kind: str) -> None:
    assert error_type(analysis) == kind


def test_the_table_has_a_row_a_model_and_counts_only_what_was_judged_wrong() -> None:
    solution = Solution(Problem("1", "?", (), "5"), "6", "M_0")
    verdicts = [
        Verdict("wrong", 1, "The sum is wrong."),
        Verdict("wrong", 1, ""),
        Verdict("correct"),
        Verdict("unreadable"),
    ]
    head, row, empty = error_table({"M_0, round 1": [Judged(solution, verdict) for verdict in verdicts], "M_1": []})
    assert head == ["judged wrong", "n", "vision", "question", "reasoning", "knowledge", "calculation", "unclassified"]
    assert row == ["M_0, round 1", "2", "0.0", "0.0", "0.0", "0.0", "50.0", "50.0"]
    assert empty == ["M_1", "0", *[""] * 6]


def test_reasons_come_from_the_diagnosis_where_the_judge_was_not_asked() -> None:
    solutions = [Solution(Problem(name, "?", (), "5"), "6", "M_0") for name in "abc"]
    brief, asked = Verdict("wrong", brief=True), Verdict("wrong", 1, "The sum is wrong.")
    judged = list(map(Judged, solutions, (brief, brief, asked)))
    rows = with_reasons(judged, [Judged(solutions[1], asked)])
    assert [(row.solution, row.verdict) for row in rows] == [(solutions[1], asked), (solutions[2], asked)]


def test_of_wrong_solutions_those_in_which_a_source_sees_no_error_are_unclassified() -> None:
    solution = Solution(Problem("1", "?", (), "5"), "6", "M_0")
    verdicts = [
        Verdict("wrong", 1, "The sum is wrong."),
        Verdict("correct", analysis="All sums are right."),
        Verdict("unreadable"),
    ]
    counts = error_counts([Judged(solution, verdict) for verdict in verdicts])
    assert (counts["calculation"], counts["unclassified"], sum(counts.values())) == (1, 2, 3)


def test_a_bar_holds_its_types_one_behind_the_other() -> None:
    bars = {"M_0": {"vision": 60.0, "reasoning": 40.0}, "M_1": {"vision": 10.0}}
    (axes,) = drawn(types_of_error(bars, "%"), *size(bars)).axes
    found = [(round(bar.get_x()), round(bar.get_width())) for bar in axes.patches if bar.get_width()]
    assert found == [(0, 60), (0, 10), (60, 40)]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["M_0", "M_1"]
