"""Several runs side by side: what differs, which tests are made of which problems, and what does not compare."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mathse.report.__main__ import main
from mathse.report.charts import drawn
from mathse.report.charts.runs import folded
from mathse.report.compare import comparison
from mathse.report.compare.labels import labels
from mathse.report.compare.paired import benchmark_of, paired_tests
from mathse.report.compare.settings import arms
from mathse.report.parts import Chart, Report, to_markdown
from mathse.report.run import Run, read_run
from mathse.report.summary import Scored, summarise
from mathse.statistics import holm, paired_p
from mathse.store import Artifact
from mathse.types import Judged, Problem, Solution, Verdict, write_jsonl

ORM = {"_target_": "mathse.feedback.orm.TrainedOrm", "threshold": 0.9}


class Runs:
    """A store into which runs are put by hand."""

    def __init__(self, root: Path) -> None:
        self.root, self.count = root, 0

    def step(self, step: str, inputs: Any, metrics: Any, rows: Sequence[Judged] = ()) -> Artifact:
        self.count += 1
        folder = self.root / f"{step}-{self.count:012x}"
        folder.mkdir(parents=True)
        record = {
            "step": f"mathse.steps.{step}.{step}",
            "version": 1,
            "inputs": inputs,
            "metrics": metrics,
            "seconds": 4,
        }
        (folder / "record.json").write_text(json.dumps(record))
        write_jsonl(folder / "judged.jsonl", rows)
        return Artifact(folder.name, folder, metrics)

    def run(
        self,
        right: Sequence[int],
        *,
        seed: int = 0,
        K: int = 2,
        size: int = 100,
        lr: float = 0.1,
        n: int = 40,
        judge: Any = ORM,
        command: str = "",
    ) -> Path:
        """A run whose last model solves the problems `right` of `n`."""
        drawing = self.step("draw", {"problems": {"artifact": "p"}, "size": size, "seed": seed}, {"problems": size})
        taught = self.step("judge", {"solutions": {"artifact": "t"}, "source": judge}, {"generated": 1})
        fit = {"_target_": "mathse.fit.Fit", "lr": lr}
        tuned = self.step("sft", {"data": [{"artifact": taught.name}], "fit": fit, "seed": seed}, {"loss": 0.1})
        scores = []
        for name, adapter, solved in (("base", None, []), ("M_0", {"artifact": tuned.name}, right)):
            rows = [
                Judged(Solution(Problem(f"p{i}", "How long?", (), "5", source=f"f{i % 2}"), "5", name), Verdict(status))
                for i in range(n)
                for status in ("correct" if i in solved else "wrong",)
            ]
            inputs = {"model": {"name": name, "adapter": adapter}, "benchmark": {"name": "figures"}}
            metrics = {"n": n, "correct": len(solved), "accuracy": len(solved) / n}
            scores.append(Scored(name, self.step("evaluate", inputs, metrics, rows)))
        steps = [drawing, taught, tuned, *(scored.artifact for scored in scores)]
        summary = {
            "command": command or f"python train.py K={K}",
            **{"seed": seed, "scale": "tiny", "backbone": "qwen2vl", "stage": "evolve", "K": K},
            **summarise("figures", scores, [], {}),
            "steps": [{"name": step.name, "cached": i < 2, "seconds": 0.5} for i, step in enumerate(steps)],
            "seconds": 2.0,
        }
        folder = self.root / "reports" / f"evolve-K{K}-{self.count}"
        folder.mkdir(parents=True)
        (folder / "summary.json").write_text(json.dumps(summary))
        return folder


@pytest.fixture
def made(tmp_path: Path) -> Runs:
    return Runs(tmp_path / "store")


def report_of(*folders: Path) -> tuple[Report, str]:
    report = comparison([read_run(folder) for folder in folders])
    return report, to_markdown(report)


def found(*folders: Path) -> list[Run]:
    return [read_run(folder) for folder in folders]


def test_runs_that_differ_in_their_seed_are_one_arm_and_arms_are_named_by_what_tells_them_apart(made: Runs) -> None:
    runs = [made.run(range(9), K=K, seed=seed) for K in (0, 2) for seed in (0, 1)]
    these, differ = arms(found(*runs))
    assert [(arm.label, len(arm.runs)) for arm in these] == [("K=0", 2), ("K=2", 2)]
    assert differ == {"K": ["0", "2"]}


def test_what_differs_is_read_off_the_recipes_under_the_names_of_the_command_line(made: Runs) -> None:
    judge = {"_target_": "mathse.feedback.self.SelfCritic"}
    runs = [made.run(range(9)), made.run(range(9), lr=0.2, size=50), made.run(range(9), judge=judge)]
    _, text = report_of(*runs)
    assert "| seed_size | 100 | 50 | 100 |" in text
    assert "| fit.lr | 0.1 | 0.2 | 0.1 |" in text
    assert "| judge | TrainedOrm | TrainedOrm | SelfCritic |" in text
    assert "| judge.threshold | 0.9 | 0.9 | |" in text.replace("|  |", "| |")


def test_a_model_behind_an_api_tells_runs_apart_by_its_name(tmp_path: Path) -> None:
    """A model of ours is told by its training; another's has nothing but a name."""
    judges = [{"_target_": "mathse.teacher.openai.ApiTeacher", "model": name} for name in ("gpt-4o", "gpt-5")]
    runs = Runs(tmp_path)
    told, differ = arms([read_run(runs.run([1], judge=judge)) for judge in judges])
    assert differ == {"judge.model": ["gpt-4o", "gpt-5"]}
    assert [arm.label for arm in told] == ["judge.model=gpt-4o", "judge.model=gpt-5"]


def test_two_runs_of_one_seed_are_never_one_arm(made: Runs) -> None:
    these, _ = arms(found(made.run(range(9)), made.run(range(9))))
    assert [len(arm.runs) for arm in these] == [1, 1]
    assert len({arm.label for arm in these}) == 2


@pytest.mark.parametrize(
    ("between", "count", "expected"),
    [
        ({"K": ["0", "1"], "fit.lr": ["1", "1.5"]}, 2, ["K=0", "K=1"]),
        ({"a.b": ["1", "1", "2"], "K": ["0", "1", "0"]}, 3, ["K=0, a.b=1", "K=1, a.b=1", "K=0, a.b=2"]),
        ({"feedback": ["A", "B", ""], "stage": ["r", "r", "s"]}, 3, ["feedback=A", "feedback=B", "stage=s"]),
    ],
)
def test_labels_are_as_short_as_they_can_be(between: dict[str, list[str]], count: int, expected: list[str]) -> None:
    assert labels(between, count) == expected


def test_arms_are_called_by_what_users_typed_whichever_class_that_stands_for(made: Runs) -> None:
    critic = {"_target_": "mathse.feedback.self.SelfCritic"}
    usual = {"command": "python train.py tracker=none seed=0"}
    runs = [made.run(range(9), **usual), made.run(range(9), seed=1, command="python train.py judge=orm seed=1")]
    runs.append(made.run(range(9), judge=critic, command="python train.py judge=self store=elsewhere"))
    these, _ = arms(found(*runs))
    assert [(arm.label, len(arm.runs)) for arm in these] == [("judge=orm", 2), ("judge=self", 1)]


def test_an_arm_of_which_nobody_said_anything_is_the_default_and_a_sweeps_list_is_no_value(made: Runs) -> None:
    binary = {**ORM, "threshold": 0.5}
    runs = [made.run(range(9)), made.run(range(9), judge=binary, command="python train.py judge=binary -m K=1,2")]
    assert [arm.label for arm in arms(found(*runs))[0]] == ["default", "judge=binary"]
    runs = [made.run(range(9), K=K, command="python train.py -m K=1,2 seed=0,1") for K in (1, 2)]
    assert [arm.label for arm in arms(found(*runs))[0]] == ["K=1", "K=2"]


def test_every_arm_is_tested_against_the_first_with_holm(made: Runs) -> None:
    runs = [made.run(range(10)), made.run(range(20), K=3), made.run(range(12), K=4)]
    rows = paired_tests(arms(found(*runs))[0])
    p = [paired_p([False] * 10, [True] * 10), paired_p([False] * 2, [True] * 2)]
    assert [(row.arm, row.against, row.n) for row in rows] == [("K=3", "K=2", 40), ("K=4", "K=2", 40)]
    assert [row.difference for row in rows] == pytest.approx([0.25, 0.05])
    assert [row.p for row in rows] == pytest.approx(p)
    assert [row.adjusted for row in rows] == pytest.approx(holm(p))
    _, text = report_of(*runs)
    assert "| K=3 | +25.0 | " in text
    assert "neither a difference nor its absence is shown: K=4." in text


def test_pairs_are_of_the_same_seed_and_arms_without_one_are_said_to_be_untested(made: Runs) -> None:
    runs = [made.run(range(10), seed=0), made.run(range(10), seed=1), made.run(range(20), K=3, seed=1)]
    assert [row.n for row in paired_tests(arms(found(*runs))[0])] == [40]
    other = made.run(range(20), K=4, seed=7)
    _, text = report_of(*runs, other)
    assert "1 of the arms share no seed with the first and are not tested" in text


def test_runs_on_other_test_problems_are_said_so_and_stand_apart(made: Runs) -> None:
    runs = [made.run(range(10)), made.run(range(20), K=3), made.run(range(5), K=3, n=20), made.run(range(6), K=4, n=20)]
    assert len({benchmark_of(run) for run in found(*runs)}) == 2
    report, text = report_of(*runs)
    assert "tested on different problems, so they are compared only within each test set" in report.notices[0]
    assert [s.name for s in report.sections if s.name.startswith("tests")] == ["tests", "tests-1"]
    assert text.count("| K=3 | +25.0 |") == 1


def test_accuracy_is_drawn_against_every_number_that_differs(made: Runs) -> None:
    runs = [made.run(range(5 * K + 5), K=K, seed=seed) for K in (0, 1, 2) for seed in (0, 1)]
    runs += [made.run(range(9), K=2, size=size) for size in (50, 200)]
    report, _ = report_of(*runs)
    charts = [part for s in report.sections if s.name == "curves" for part in s.parts if isinstance(part, Chart)]
    assert [chart.title for chart in charts] == ["Accuracy against seed_size", "Accuracy against K"]
    figure = drawn(charts[1].draw, *charts[1].size)
    (line,) = [line for line in figure.axes[0].get_lines() if len(line.get_xdata()) == 3]
    assert list(line.get_ydata()) == pytest.approx([12.5, 25.0, 37.5])


def test_an_arm_of_several_seeds_has_their_mean_and_how_far_they_are_apart(made: Runs) -> None:
    runs = [made.run(range(solved), K=K, seed=seed) for K, seed, solved in ((0, 0, 8), (0, 1, 12), (2, 0, 20))]
    _, text = report_of(*runs)
    assert "| K=0 | 2 | 0.0 ± 0.0 | 25.0 ± 7.1 |" in text
    assert "| K=2 | 1 | 0.0 | 50.0 |" in text
    _, text = report_of(runs[0], runs[2])
    assert "Mean over seeds" not in text


def test_arms_that_share_no_seed_with_the_first_are_said_to_be_untested(made: Runs) -> None:
    _, text = report_of(made.run(range(9), K=0), made.run(range(9), K=2, seed=1))
    assert "> **Note** No arm has a seed that the first, K=0, has too, so nothing is tested." in text


def test_a_run_without_a_model_and_one_with_lost_answers_are_named(made: Runs) -> None:
    good, lost = made.run(range(10)), made.run(range(20), K=3)
    for step in json.loads((lost / "summary.json").read_text())["steps"][-2:]:
        (made.root / step["name"] / "judged.jsonl").write_text("no JSON\n")
    early = made.root / "reports" / "early"
    early.mkdir()
    head = {"command": "c", "seed": 0, "scale": "tiny", "backbone": "b", "stage": "sft", "K": 0, "steps": []}
    (early / "unfinished.json").write_text(json.dumps(head))
    _, text = report_of(good, lost, early)
    assert "its test answers cannot be read" in text
    assert "early: This run has not finished" in text
    assert "early has no evaluated model yet, so it is not compared." in text
    assert "| 25.0 |" in text


def test_a_store_stands_for_all_of_its_runs(made: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for K in (1, 2):
        made.run(range(10 * K), K=K)
    assert main([str(made.root), f"out={tmp_path}/out"]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/out/report.html\n"
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<h1>2 runs</h1>" in page
    assert "<script" in page


def test_a_long_label_is_broken_behind_commas() -> None:
    assert folded("K=2, seed_size=100, x", 15) == "K=2,\nseed_size=100,\nx"
