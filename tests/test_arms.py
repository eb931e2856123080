"""Tables of arms: what is compared with what, and what is said of it."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from conftest import script

from mathse.config import load
from mathse.statistics import mcnemar

SEEDS, PROBLEMS = (0, 1, 2), 40


@pytest.fixture(scope="module")
def arms() -> ModuleType:
    return script("experiments/arms.py")


def marks(arms: ModuleType, right: int, *, wrong_from: int = 0) -> dict[Any, bool]:
    """`right` problems solved with each seed, from number `wrong_from` on."""
    numbers = range(wrong_from, wrong_from + right)
    return {arms.Case(seed, f"p{i}"): i in numbers for seed in SEEDS for i in range(PROBLEMS)}


def compared(arms: ModuleType, **right: dict[Any, bool]) -> list[Any]:
    table = {"base": arms.Arm((), {"accuracy": 50.0}), "good": arms.Arm((), {"accuracy": 52.5}), "like": arms.Arm(())}
    return arms.compare({"accuracy": right}, table, [("base", "good"), ("base", "like")])


@pytest.fixture(scope="module")
def rows(arms: ModuleType) -> list[Any]:
    return compared(arms, base=marks(arms, 10), good=marks(arms, 18), like=marks(arms, 10, wrong_from=2))


def test_each_arm_stands_alone_and_then_against_its_reference(rows: list[Any]) -> None:
    assert [(row.arm, row.against, row.ours) for row in rows] == [
        ("base", "", 25.0),
        ("good", "", 45.0),
        ("like", "", 25.0),
        ("good", "base", 45.0),
        ("like", "base", 25.0),
    ]


def test_a_comparison_is_paired_over_all_seeds_with_the_papers_beside_it(rows: list[Any]) -> None:
    good = rows[3]
    assert (good.difference, good.by_seed, good.n) == (20.0, "+20.0, +20.0, +20.0", len(SEEDS) * PROBLEMS)
    assert good.low < 20.0 < good.high
    assert good.p == mcnemar([False] * 24, [True] * 24)
    assert good.paper_difference == 2.5
    assert rows[4].paper_difference is None


def test_the_interval_is_drawn_by_problem_since_a_problem_returns_with_each_seed(arms: ModuleType) -> None:
    one = compared(arms, base=marks(arms, 10), good=marks(arms, 18))[-1]
    several = {arms.Case(0, f"{case.seed} {case.problem}"): mark for case, mark in marks(arms, 18).items()}
    none = {case: int(case.problem.split("p")[1]) < 10 for case in several}
    alone = compared(arms, base=none, good=several)[-1]
    assert one.high - one.low > 1.4 * (alone.high - alone.low)


def test_all_p_of_a_table_are_adjusted_together(rows: list[Any]) -> None:
    assert [row.p_holm for row in rows] == [None, None, None, pytest.approx(2 * rows[3].p), 1.0]


def test_arms_that_never_differ_have_no_interval(arms: ModuleType) -> None:
    row = compared(arms, base=marks(arms, 10), good=marks(arms, 10))[-1]
    assert (row.difference, row.low, row.high, row.p) == (0.0, None, None, 1.0)


def test_what_is_not_significant_is_said_plainly(arms: ModuleType, rows: list[Any]) -> None:
    yes, no = arms.found(rows).split("\n\n")
    assert yes == "Significant at 5 % after Holm: good against base +20.0."
    assert no.endswith("is shown: like against base +0.0.")
    nothing = arms.found(compared(arms, base=marks(arms, 10), good=marks(arms, 10)))
    assert nothing.startswith("Significant at 5 % after Holm: nothing.")


def test_table_and_csv_hold_the_same_rows(
    arms: ModuleType, rows: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = arms.table(rows)
    assert table[0] == [
        "arm",
        "ours",
        "paper",
        "against",
        "difference",
        "paper's",
        "95% interval",
        "by seed",
        "p",
        "p (Holm)",
        "n",
    ]
    assert table[1] == ["base", "25.0", "50.00", "", "", "", "", "", "", "", "120"]
    assert table[4][:6] == ["good", "45.0", "52.50", "base", "+20.0", "+2.50"]
    arms.save(tmp_path / "out", "t", ["one", "two"], rows)
    assert capsys.readouterr().out == (tmp_path / "out" / "t.md").read_text() == "one\n\ntwo\n"
    with (tmp_path / "out" / "t.csv").open() as file:
        assert [row["arm"] for row in csv.DictReader(file)] == [row.arm for row in rows]


def test_by_seed_has_wilson_intervals(arms: ModuleType) -> None:
    assert arms.by_seed({"base": marks(arms, 10)}) == [
        ["arm", "seed 0", "seed 1", "seed 2"],
        ["base", *["25.0 [14.2, 40.2]"] * 3],
    ]


@pytest.mark.parametrize(("words", "fine"), [("seed_size=9 store", False), ("--K 2", False), ("seed_size=9", True)])
def test_what_is_no_override_is_refused(
    arms: ModuleType, words: str, fine: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["table.py", "--seeds", "4", "--store", "there", *words.split()])
    if fine:
        args, overrides = arms.options("about")
        assert (args.seeds, overrides, args.out) == ([4], ["seed_size=9"], Path("there/tables").resolve())
    else:
        with pytest.raises(SystemExit):
            arms.options("about")
        assert "is neither an option nor an override" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["feedback", "orm_analysis"])
def test_every_arm_of_a_table_composes_and_differs_from_the_others(arms: ModuleType, name: str) -> None:
    slot = {"feedback": "feedback", "orm_analysis": "judge"}[name]
    made = [getattr(load(*arm.overrides), slot) for arm in script(f"experiments/{name}.py").ARMS.values()]
    assert all(one not in made[:i] for i, one in enumerate(made))


def test_repairs_are_summed_over_seeds(arms: ModuleType) -> None:
    counts = {"repaired": 3, "accepted": 2, "accepted_wrong": 1}
    rows = [
        {"named": "all", "sent": 10, **counts},
        {"named": "right", "sent": 4, **counts},
        {"named": "none", "sent": 2, **counts},
    ]
    table = script("experiments/feedback.py").repairs({"orm": [rows, rows], "self": [[], []]})
    assert table[1] == ["orm", "20", "16 (80.0 %)", "8 (50.0 %)", "6 (30.0 %)", "4 (20.0 %)", "2 (50.0 %)"]
    assert table[2] == ["self", *["0"] * 6]
