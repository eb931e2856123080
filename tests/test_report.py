"""What a run reports, from artifacts made by hand."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from mathse.config import Experiment, load
from mathse.report import Reporter, run_name
from mathse.report.text import next_thing
from mathse.report.wandb import mode
from mathse.store import Artifact
from mathse.types import Judged, Model, Problem, Solution, Verdict, write_jsonl

HOSTILE = "Step 1: <script>alert(1)</script> {{ 7 * 7 }}\nThe answer to this problem is 3."


@pytest.fixture
def exp(tmp_path: Path) -> Experiment:
    return dataclasses.replace(load("tracker=none"), store=str(tmp_path), report=str(tmp_path / "reports"))


@pytest.fixture
def problem(problems: list[Problem]) -> Problem:
    return problems[0]


def artifact(root: Path, name: str, rows: list[Judged] | None = None, **metrics: float) -> Artifact:
    folder = root / name
    folder.mkdir()
    if rows is not None:
        write_jsonl(folder / "judged.jsonl", rows)
    return Artifact(name, folder, metrics)


def scored(root: Path, problem: Problem, name: str, right: int, n: int = 20) -> tuple[Model, Artifact]:
    status: list[Any] = ["correct"] * right + ["wrong"] * (n - right)
    rows = [
        Judged(Solution(dataclasses.replace(problem, id=f"p{i}"), HOSTILE, name), Verdict(s))
        for i, s in enumerate(status)
    ]
    made = artifact(root, f"evaluate-{name}", rows, n=n, correct=right, accuracy=right / n)
    return Model(load().backbone, None, name), made


def drive(exp: Experiment, problem: Problem, reporter: Reporter) -> None:
    """A round of judging and three evaluated models."""
    root = Path(exp.store)
    generated = artifact(root, "generate-1", solutions=3, problems=3)
    recipe = {"step": "mathse.steps.generate.generate", "inputs": {"model": {"name": "M_0"}}}
    reporter.step(generated, recipe, cached=False, seconds=1.0)
    verdicts = [
        Verdict("correct", by="orm"),
        Verdict("wrong", 1, "look again", by="orm"),
        Verdict("unreadable", raw=HOSTILE),
    ]
    rows = [Judged(Solution(problem, HOSTILE, "M_0"), verdict) for verdict in verdicts]
    metrics = {
        "generated": 3,
        "accepted": 1,
        "rejected": 1,
        "unreadable": 1,
        "accept_precision": 0.5,
        "accept_recall": 1.0,
    }
    judged = artifact(root, "judge-1", rows, **metrics)
    recipe = {"step": "mathse.steps.judging.judge", "inputs": {"solutions": {"artifact": "generate-1"}}}
    reporter.step(judged, recipe, cached=True, seconds=0.1)
    for name, right in (("base", 1), ("M_0", 12), ("M_1", 19)):
        reporter.score(*scored(root, problem, name, right))
    reporter.finish()


def test_the_last_line_printed_is_the_summary_and_it_adds_up(
    exp: Experiment, problem: Problem, capsys: pytest.CaptureFixture[str]
) -> None:
    with Reporter(exp) as reporter:
        drive(exp, problem, reporter)
    printed = capsys.readouterr().out
    summary = json.loads(Path(printed.strip().splitlines()[-1]).read_text())
    assert [(m["name"], m["correct"], m["n"]) for m in summary["models"]] == [
        ("base", 1, 20),
        ("M_0", 12, 20),
        ("M_1", 19, 20),
    ]
    assert [(c["a"], c["b"]) for c in summary["comparisons"]] == [("base", "M_0"), ("M_0", "M_1"), ("base", "M_1")]
    assert summary["comparisons"][1]["difference"] == pytest.approx(0.35)
    assert summary["comparisons"][1]["p_mcnemar"] == pytest.approx(2 / 2**7)  # seven won, none lost
    assert summary["rounds"][0]["unreadable"] == 1
    assert [step["cached"] for step in summary["steps"]] == [False, True]
    assert "found" in printed


def test_what_models_write_is_never_markup(exp: Experiment, problem: Problem) -> None:
    with Reporter(exp) as reporter:
        drive(exp, problem, reporter)
    page = (reporter.folder / "examples.html").read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "{{ 7 * 7 }}" in page
    assert 'class="wrong"' in page, "the named step is marked"
    assert "http://" not in page
    assert "https://" not in page


def test_the_report_shows_models_rounds_and_families(exp: Experiment, problem: Problem) -> None:
    with Reporter(exp) as reporter:
        drive(exp, problem, reporter)
    text = (reporter.folder / "report.md").read_text()
    for words in ("| M_1 | 95.0 |", "## Rounds", problem.source, "accuracy.png"):
        assert words in text
    assert (reporter.folder / "accuracy.png").stat().st_size > 5000


def test_the_name_of_a_run_depends_on_its_settings_and_not_on_where_it_runs() -> None:
    assert run_name(load()) == run_name(load("runtime=gpu", "store=elsewhere", "tracker=none"))
    assert len({run_name(load()), run_name(load("seed=1")), run_name(load("fit.lr=0.1"))}) == 3


@pytest.mark.parametrize(
    ("stage", "command"), [("sft", "stage=evolve"), ("evolve", "stage=reflect"), ("reflect", "K=3")]
)
def test_the_next_thing_builds_on_this_run(stage: str, command: str) -> None:
    assert command in next_thing({"stage": stage, "K": 2})


def test_nobody_is_asked_to_log_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert mode() == "offline"
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    assert mode() == "online"
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert mode() == "disabled"


def test_wandb_runs_offline_and_an_error_passes_through(
    exp: Experiment, problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    logged = dataclasses.replace(exp, tracker="wandb")

    def fails() -> None:
        with Reporter(logged) as reporter:
            drive(logged, problem, reporter)
            raise RuntimeError("half-way")

    with pytest.raises(RuntimeError, match="half-way"):
        fails()
    (file,) = Path(exp.store).glob("wandb/offline-run-*/*.wandb")
    assert file.stat().st_size > 1000
    assert b"accuracy/M_1" in file.read_bytes()


def test_a_report_folder_that_cannot_be_written_is_named(exp: Experiment, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    broken = dataclasses.replace(exp, report=str(tmp_path / "file"))
    with pytest.raises(ValueError, match=r"report=.*cannot be written"), Reporter(broken):
        pass
