"""What the audit sees in a round, what alarms it, and that a stopped run loses nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from test_report import Story

from mathse.audit import Alarm, Audit, Auditor, look
from mathse.config import load
from mathse.report import Reporter, run_name
from mathse.store import Artifact, Runtime, Store
from mathse.types import Judged, Problem, Solution, Status, Verdict

BOUNDS = Audit(alarm="warn", least_accepted=0.1, most_accepted=0.9, least_precision=0.7, most_fall=0.05)


def judged(i: int, status: Status, *, right: bool, answer: str = "7", text: str = "") -> Judged:
    problem = Problem(f"p{i}", "How long is it?", (), answer, source=("bars", "clock")[i % 2])
    said = text or f"Step 1: {i}.\nThe answer to this problem is {answer if right else 999}."
    return Judged(Solution(problem, said, "M_0"), Verdict(status))


def rows(right_accepted: int, wrong_accepted: int, right_rejected: int, wrong_rejected: int) -> list[Judged]:
    kinds: list[tuple[int, Status, bool]] = [
        (right_accepted, "correct", True),
        (wrong_accepted, "correct", False),
        (right_rejected, "wrong", True),
        (wrong_rejected, "wrong", False),
    ]
    flat = [(status, right) for count, status, right in kinds for _ in range(count)]
    return [judged(i, status, right=right) for i, (status, right) in enumerate(flat)]


def test_a_round_is_counted() -> None:
    seen = look(rows(6, 2, 3, 9))
    assert (seen.solutions, seen.accepted, seen.acceptance) == (20, 8, 0.4)
    assert (seen.precision, seen.recall) == (6 / 8, 6 / 9)
    assert (seen.problems, seen.solved, seen.distinct) == (20, 8 / 20, 1.0)
    assert seen.characters == pytest.approx(42, abs=3)


def test_several_solutions_of_a_problem_solve_it_once_and_what_was_written_before_is_not_distinct() -> None:
    three = [judged(1, "correct", right=True, text=text) for text in ("a 7", "a 7", "b 7")]
    seen = look(
        [*three, judged(2, "wrong", right=False)], known={("p2", judged(2, "wrong", right=False).solution.text)}
    )
    assert (seen.problems, seen.solved, seen.distinct) == (2, 0.5, 0.5)


def test_what_states_no_answer_is_counted_among_the_solutions_and_in_D_SFT() -> None:
    cut = [
        judged(i, status, right=False, text="Step 1: 3 +") for i, status in enumerate(("correct", "wrong"), start=50)
    ]
    assert look([*rows(6, 2, 3, 7), *cut]).unanswered == pytest.approx(2 / 20)
    auditor = Auditor(BOUNDS)
    auditor.accepted([*rows(6, 2, 0, 0), *cut])
    assert auditor.purity == "D_SFT has 9 rows, 3 expected wrong, 1 without an answer"
    assert auditor.as_json()["D_SFT"]["unanswered"] == 1


def test_without_reference_answers_precision_is_unknown_and_not_zero() -> None:
    seen = look([judged(1, "correct", right=True, answer=""), judged(2, "wrong", right=True, answer="")])
    assert (seen.precision, seen.recall, seen.acceptance) == (None, None, 0.5)
    assert look([]).acceptance == 0.0


def test_wrong_rows_of_D_SFT_are_counted_once_and_those_of_unknown_answer_are_taken_to_be_like_the_others() -> None:
    auditor = Auditor(BOUNDS)
    assert auditor.expected_wrong is None
    auditor.accepted(rows(6, 2, 3, 9))
    auditor.accepted(rows(6, 2, 3, 9))
    assert (len(auditor.rows), auditor.expected_wrong) == (8, 2)
    auditor.accepted([judged(i, "correct", right=True, answer="") for i in range(100, 104)])
    assert auditor.expected_wrong == pytest.approx(12 * 2 / 8)
    assert auditor.purity == "D_SFT has 12 rows, 3 expected wrong, 4 without an answer"


def test_a_later_round_says_how_far_it_is_from_the_first() -> None:
    auditor = Auditor(BOUNDS)
    (first,) = auditor.round(rows(9, 1, 1, 9))
    (second,) = auditor.round(rows(8, 2, 2, 8))
    assert "0.50 accepted, precision 0.90, recall 0.90" in first
    assert "round 2: 0.50 (+0.00) accepted, precision 0.80 (-0.10), recall 0.80 (-0.10)" in second
    assert "distinct" in second
    assert auditor.rounds[1].distinct < 1.0  # most were written in round 1 too
    assert {name: part.solutions for name, part in auditor.families[0].items()} == {"bars": 10, "clock": 10}


@pytest.mark.parametrize(
    ("counts", "alarm"),
    [
        ((9, 1, 1, 9), None),
        ((1, 0, 0, 19), "5.0% accepted, under audit.least_accepted=0.1"),
        ((19, 0, 0, 1), "95.0% accepted, over audit.most_accepted=0.9"),
        ((6, 4, 0, 10), "precision 0.60, under audit.least_precision=0.7"),
    ],
)
def test_a_round_beyond_a_bound_is_an_alarm(counts: tuple[int, int, int, int], alarm: str | None) -> None:
    auditor = Auditor(BOUNDS)
    _, *alarms = auditor.round(rows(*counts))
    assert alarms == ([f"alarm: round 1: {alarm}"] if alarm else [])
    auditor.check()  # a warning stops nothing


def test_an_accuracy_that_falls_is_an_alarm() -> None:
    auditor = Auditor(BOUNDS)
    assert [auditor.accuracy(name, value) for name, value in (("M_0", 0.3), ("M_1", 0.26))] == [[], []]
    assert auditor.accuracy("M_2", 0.2) == [
        "alarm: M_2: accuracy fell from 26.0 (M_1) to 20.0 %, more than audit.most_fall=0.05"
    ]


def test_bounds_that_make_no_sense_are_refused() -> None:
    for override in ("audit.least_accepted=2", "audit.most_accepted=0.01", "audit.alarm=maybe"):
        with pytest.raises((ValueError, TypeError), match="Audit"):
            load(override)


def test_the_audit_is_no_part_of_a_runs_identity() -> None:
    assert run_name(load("audit.alarm=stop", "audit.most_fall=0.5")) == run_name(load())


@pytest.mark.parametrize("bound", ["audit.least_precision=0.99", "audit.most_accepted=0.1", "audit.most_fall=0"])
def test_told_to_stop_a_run_stops_at_an_alarm_and_the_report_has_it(
    bound: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = (f"store={tmp_path}/store", f"report={tmp_path}/reports", "tracker=none")
    falls = bound.startswith("audit.most_fall")  # the story's models only rise
    with Reporter(load(*where, "audit.least_precision=0", bound, "audit.alarm=stop")) as reporter:
        if falls:
            Story(reporter.exp, reporter).tell()
        else:
            with pytest.raises(Alarm, match=r"round 1: .*nothing is lost: audit.alarm=warn"):
                Story(reporter.exp, reporter).tell()
    audit = json.loads((reporter.folder / "audit.json").read_text())
    assert len(audit["rounds"]) == (2 if falls else 1)
    assert bool(audit["alarms"]) != falls
    assert "audit      round 1: " in capsys.readouterr().out


def one_step(out: Path) -> dict[str, float]:
    return {}


def test_what_was_computed_when_the_run_was_stopped_is_found_again(tmp_path: Path, runtime: Runtime) -> None:
    class Stops:
        def step(self, artifact: Artifact, recipe: Any, *, cached: bool, seconds: float) -> None:
            raise Alarm("stop")

    class Hears:
        found: tuple[bool, ...] = ()

        def step(self, artifact: Artifact, recipe: Any, *, cached: bool, seconds: float) -> None:
            self.found = (*self.found, cached)

    with pytest.raises(Alarm):
        Store(tmp_path, runtime, Stops()).run(one_step)
    hears = Hears()
    Store(tmp_path, runtime, hears).run(one_step)
    assert hears.found == (True,)
