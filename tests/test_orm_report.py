"""What a judge is worth, against tables made by hand; and the command that measures the judges of runs and stores."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mathse.metrics import auroc, calibration_error
from mathse.report.orm import Instrument, instruments
from mathse.report.orm.cuts import cut, place
from mathse.report.orm.instruments import called
from mathse.report.orm.numbers import Checked, Share, calibration, card, curve, precision_at, steps_score, trade
from mathse.statistics import resampled, wilson
from mathse.store import Artifact
from mathse.types import Judged, Problem, Solution, Verdict, write_jsonl

CORRECT, TEACHER, UNREADABLE = Verdict("correct"), Verdict("wrong", 2, by="teacher"), Verdict("unreadable")


def solution(i: int, *, right: bool, author: str = "M_0") -> Solution:
    problem = Problem(f"p{i}", "How long is it?", (), str(i), source=("bars", "clock")[i % 2], level=1 + i % 3)
    return Solution(problem, f"Step 1: So.\nThe answer to this problem is {i if right else 999}.", author)


def checked(truth: Verdict, said: Verdict, i: int = 0, author: str = "M_0") -> Checked:
    return Checked(solution(i, right=truth.status == "correct", author=author), said, truth)


def wrong(step: int | None = None, score: float | None = None) -> Verdict:
    return Verdict("wrong", step, score=score)


ROWS = [
    checked(CORRECT, CORRECT),
    checked(CORRECT, CORRECT),
    checked(CORRECT, wrong(1)),
    checked(CORRECT, UNREADABLE),
    checked(TEACHER, CORRECT),
    checked(TEACHER, wrong(2)),
    checked(TEACHER, wrong(3)),
    checked(TEACHER, wrong(None)),
    checked(TEACHER, UNREADABLE),
]


def test_the_card_counts_what_it_says_and_unreadable_is_a_miss_of_either_kind() -> None:
    assert card(ROWS) == {
        "right": Share(4, 9),
        "right_accepted": Share(2, 4),
        "wrong_rejected": Share(3, 5),
        "precision": Share(2, 3),
        "step_exact": Share(1, 3),
        "step_near": Share(2, 3),
        "unreadable": Share(2, 9),
        "agreement": Share(5, 9),
    }
    assert card(ROWS)["precision"].ci95 == wilson(2, 3)


def test_a_truth_that_names_no_step_says_nothing_of_steps() -> None:
    loop = [checked(wrong(), wrong(1)), checked(CORRECT, CORRECT)]
    assert card(loop)["step_exact"] == Share(0, 0)
    assert math.isnan(card(loop)["step_exact"].value)
    assert steps_score(loop) == {}


def test_an_empty_card_has_no_numbers_and_no_error() -> None:
    assert all(share == Share(0, 0) for share in card([]).values())
    assert calibration([]) is None
    assert math.isnan(precision_at([], 0.5).value)


def test_steps_are_scored_as_processbench_does() -> None:
    scores = steps_score(ROWS)
    assert (scores["processbench_error"], scores["processbench_correct"]) == (1 / 5, 2 / 4)


@pytest.mark.parametrize(("base_rate", "precision"), [(0.5, 2 / 3), (0.2, 1 / 3), (1.0, 1.0)])
def test_the_same_judge_is_less_precise_where_fewer_solutions_are_right(base_rate: float, precision: float) -> None:
    rows = [checked(CORRECT, CORRECT, i) for i in range(8)] + [checked(CORRECT, wrong(), i) for i in range(8, 10)]
    rows += [checked(TEACHER, CORRECT, i) for i in range(10, 14)] + [
        checked(TEACHER, wrong(), i) for i in range(14, 20)
    ]
    expected = precision_at(rows, base_rate)
    assert expected.value == pytest.approx(precision)
    assert expected.ci95[0] <= expected.value <= expected.ci95[1]


@pytest.mark.parametrize(
    ("scores", "right", "area", "error"),
    [
        ([0.9, 0.8, 0.2, 0.1], [True, True, False, False], 1.0, (0.1 + 0.2 + 0.2 + 0.1) / 4),
        ([0.1, 0.9], [True, False], 0.0, 0.9),
        ([0.5, 0.5], [True, False], 0.5, 0.0),
        ([0.75, 0.75, 0.75, 0.75], [True, True, True, False], 0.5, 0.0),
        ([1.0, 0.95], [True, False], 1.0, 0.475),  # one bin
        ([0.7], [True], math.nan, 0.3),
        ([], [], math.nan, math.nan),
    ],
)
def test_scores_are_measured_as_an_order_and_as_probabilities(
    scores: list[float], right: list[bool], area: float, error: float
) -> None:
    assert auroc(scores, right) == pytest.approx(area, nan_ok=True)
    assert calibration_error(scores, right) == pytest.approx(error, nan_ok=True)


def scored(*pairs: tuple[float | None, bool]) -> list[Checked]:
    return [
        checked(CORRECT if right else wrong(), Verdict("correct", score=score), i)
        for i, (score, right) in enumerate(pairs)
    ]


def test_a_higher_threshold_accepts_less_and_what_has_no_score_never() -> None:
    rows = scored((0.95, True), (0.9, True), (0.6, False), (0.5, True), (None, True))
    found = [(t.accepted, t.purity, t.found) for t in trade(rows, (0.4, 0.55, 0.93, 0.99))]
    assert found == [
        (4, Share(3, 4), Share(3, 4)),
        (3, Share(2, 3), Share(2, 4)),
        (1, Share(1, 1), Share(1, 4)),
        (0, Share(0, 0), Share(0, 4)),
    ]
    assert [point.threshold for point in curve(rows)] == [0.5, 0.6, 0.9, 0.95]
    assert len(curve(scored(*((i / 1000, True) for i in range(1000))), most=50)) == 50


def test_calibration_counts_each_bin() -> None:
    known = calibration(scored((0.95, True), (0.92, False), (0.1, False), (None, True)))
    assert known is not None
    assert known.n == 3
    assert [(b.low, b.right) for b in known.bins] == [(0.1, Share(0, 1)), (0.9, Share(1, 2))]
    assert known.bins[1].score == pytest.approx(0.935)
    assert known.order.value == 1.0


def test_solutions_are_cut_by_round_in_order_by_model_family_and_level() -> None:
    authors = ["reflection on M_1", "M_10", "M_0", "teacher", "M_1"]
    rows = [checked(CORRECT, CORRECT, i, author) for i, author in enumerate(authors)]
    assert list(cut(rows, "round")) == ["stage 1", "round 1", "round 2", "round 11", "reflection"]
    assert list(cut(rows, "model"))[:3] == ["M_0", "M_1", "M_10"]
    assert {name: len(some) for name, some in cut(rows, "family").items()} == {"bars": 3, "clock": 2}
    assert list(cut(rows, "level")) == ["1", "2", "3"]
    assert place(checked(CORRECT, CORRECT, author="student")) == "student"


def test_clusters_are_drawn_whole() -> None:
    seen: set[tuple[int, ...]] = set()

    def statistic(drawn: Any) -> float:
        seen.add(tuple(sorted(drawn.tolist())))
        return float(len(drawn))

    low, high = resampled(statistic, ["a", "b", "a", "a"], draws=200)
    assert seen == {(0, 1, 2, 3), (0, 0, 2, 2, 3, 3), (1, 1)}
    assert (low, high) == (2.0, 6.0)
    assert all(math.isnan(end) for end in resampled(lambda drawn: math.nan, ["a"]))
    assert all(math.isnan(end) for end in resampled(statistic, []))


# ---- the command ----

ORM: dict[str, Any] = {"_target_": "mathse.feedback.orm.TrainedOrm", "threshold": None}
MATCH: dict[str, Any] = {"_target_": "mathse.feedback.answer.AnswerMatch"}


def store(root: Path, threshold: float | None = None) -> Path:
    """A store with an ORM's test and one round, and a run's report beside them."""

    def step(name: str, step: str, inputs: dict[str, Any], rows: list[Judged]) -> None:
        (root / name).mkdir(parents=True)
        write_jsonl(root / name / "judged.jsonl", rows)
        record = {"step": f"mathse.steps.x.{step}", "inputs": inputs, "metrics": {}}
        (root / name / "record.json").write_text(json.dumps(record))

    def said(i: int) -> Verdict:
        status = "correct" if i % 3 else "wrong"
        return Verdict(status, score=0.9 if i % 3 else 0.2, by="train_orm-00")  # type: ignore[arg-type]

    held_out = [solution(i, right=i % 2 == 0, author="student") for i in range(20)]
    truth = [Judged(s, CORRECT if i % 2 == 0 else TEACHER) for i, s in enumerate(held_out)]
    step("annotate-00", "annotate", {}, truth)
    step("test_orm-00", "test_orm", {"data": {"artifact": "annotate-00"}, "source": {**ORM, "threshold": threshold}},
         [Judged(s, said(i)) for i, s in enumerate(held_out)])  # fmt: skip
    rows = [Judged(solution(i, right=i % 4 == 0), said(i)) for i in range(40)]
    step("judge-00", "judge", {"source": {**ORM, "threshold": threshold}}, rows)
    step("judge-01", "judge", {"source": MATCH}, rows)
    (root / "reports" / "a-run").mkdir(parents=True)
    steps = [{"name": name} for name in ("annotate-00", "test_orm-00", "judge-00", "judge-01")]
    (root / "reports" / "a-run" / "summary.json").write_text(json.dumps({"steps": steps}))
    return root


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "mathse.orm_report", *words], capture_output=True, text=True)


@pytest.mark.parametrize("folder", ["", "reports/a-run"])
def test_a_store_and_a_run_are_measured_alike(folder: str, tmp_path: Path) -> None:
    root, out = store(tmp_path / "runs"), tmp_path / "out"
    done = command(str(root / folder), f"out={out}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(out / "orm.md")
    assert [line.split()[:2] for line in done.stdout.splitlines()[2:4]] == [
        ["train_orm-00", "held-out"],
        ["train_orm-00", "round"],
    ]
    (judge,) = json.loads((out / "orm.json").read_text())
    assert judge["judge"] == "train_orm-00"
    assert judge["held-out"]["right"] == {"value": 0.5, "ci95": list(wilson(10, 20)), "hits": 10, "n": 20}
    assert judge["rounds"]["n"] == 40
    assert judge["rounds"]["step_exact"]["value"] is None
    assert set(judge["rounds"]["by"]) == {"round", "model", "family", "level", "language"}
    assert judge["precision_at_base_rate"]["round 1"]["value"] == pytest.approx(
        2 / 9
    )  # a quarter is right; 0.6 and 0.7 accepted
    page = (out / "orm.html").read_text()
    assert "27 of the 39 solutions that train_orm-00 accepted; 24 are shown" in page
    assert "8 of the 21 solutions that train_orm-00 rejected; 8 are shown" in page
    assert page.count('class="card"') == 24 + 8
    assert "<figcaption>Reliability of the scores</figcaption>" in page
    assert "0.500 <span>[0.30, 0.70]</span>" in page, "the page has the numbers as well"
    assert (out / "orm.png").stat().st_size > 1000
    text = (out / "orm.md").read_text()
    assert text.count("](orm.png)") == 1
    assert "0.500 [0.30, 0.70]" in text


@pytest.mark.parametrize(
    ("source", "analysis", "name"),
    [
        ({}, None, "by"),
        ({"use_reference": True, "threshold": 0.9}, True, "by (shown the answer, threshold 0.9)"),
        ({"use_reference": False, "threshold": None}, False, "by (binary, not shown the answer)"),
        ({"orm": {"use_reference": True}}, True, "by (shown the answer)"),
        ({"use_reference": True}, None, "by (shown the answer)"),
    ],
)
def test_an_orm_is_called_by_what_tells_it_from_another(
    source: dict[str, Any], analysis: bool | None, name: str, tmp_path: Path
) -> None:
    if analysis is not None:
        (tmp_path / "train_orm-00").mkdir()
        (tmp_path / "train_orm-00" / "record.json").write_text(json.dumps({"inputs": {"analysis": analysis}}))
    orm = {"model": {"adapter": {"artifact": "train_orm-00"}}}
    assert called("by", {"orm": {**orm, **source["orm"]}} if "orm" in source else {**orm, **source}, tmp_path) == name


def test_the_teachers_solutions_do_not_count_as_the_rounds() -> None:
    authors = ["teacher", "M_0", "M_1", "M_1", "reflection on M_1"]
    judge = Instrument("by", loop=[checked(CORRECT, CORRECT, i, author) for i, author in enumerate(authors)])
    assert {name: len(part.rows) for name, part in judge.parts.items()} == {"rounds": 3, "teacher": 2}


def test_at_no_threshold_would_both_accept_what_answer_match_rejects(tmp_path: Path) -> None:
    root = store(tmp_path)
    source = {"_target_": "mathse.feedback.both.PreparedBoth", "orm": {**ORM, "threshold": None}}
    record = {"step": "mathse.steps.x.judge", "inputs": {"source": source}}
    rows = [
        Judged(solution(i, right=i % 4 == 0), Verdict("wrong", score=0.9, by="both/train_orm-00")) for i in range(40)
    ]
    write_jsonl(root / "judge-00" / "judged.jsonl", rows)
    (judge,) = instruments([(Artifact("judge-00", root / "judge-00"), record)])
    (point,) = trade(judge.loop, [0.5])
    assert (point.accepted, point.purity.value, point.found.value) == (10, 1.0, 1.0)


def test_two_thresholds_of_one_orm_are_two_judges(tmp_path: Path) -> None:
    first, second = store(tmp_path / "a"), store(tmp_path / "b", threshold=0.8)
    (second / "judge-00").rename(second / "judge-02")
    (second / "test_orm-00").rename(second / "test_orm-02")
    done = command(str(first), str(second), f"out={tmp_path / 'out'}")
    judges = [one["judge"] for one in json.loads((tmp_path / "out" / "orm.json").read_text())]
    assert judges == ["train_orm-00", "train_orm-00 (threshold 0.8)"], done.stderr


def test_a_binary_orm_which_is_not_asked_for_the_step_has_no_share_of_steps(tmp_path: Path) -> None:
    root = store(tmp_path / "runs")
    (root / "train_orm-00").mkdir()
    tested = root / "test_orm-00" / "record.json"
    record = json.loads(tested.read_text())
    record["inputs"]["source"]["model"] = {"adapter": {"artifact": "train_orm-00"}}
    for analysis, steps in ((True, 3), (False, 0)):  # three of the ten wrong solutions are rejected
        made = {"inputs": {"analysis": analysis}, "metrics": {}}
        (root / "train_orm-00" / "record.json").write_text(json.dumps(made))
        (judge, *_) = instruments([(Artifact("test_orm-00", root / "test_orm-00"), record)])
        assert card(judge.held_out)["step_exact"].n == steps
        assert bool(steps_score(judge.held_out)) is analysis


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["out=x"], "a run's report or a store is missing"),
        (["{runs}"], "out= is missing"),
        (["{runs}", "out=x", "rule=all"], "there is no 'rule'"),
        (["{tmp}/nowhere", "out=x"], "neither a run's report"),
        (["{runs}/reports/a-run", "store={tmp}", "out=x"], "give its store with store="),
    ],
)
def test_a_mistake_is_one_line(words: list[str], error: str, tmp_path: Path) -> None:
    runs = store(tmp_path / "runs")
    done = command(*(word.format(runs=runs, tmp=tmp_path) for word in words))
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert error in done.stderr
