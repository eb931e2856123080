"""A whole run whose teacher is behind an API: a real endpoint, whose answers are the offline teacher's."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from endpoint import Endpoint

from mathse.steps.annotate import SCHEMA
from mathse.teacher.figures import FiguresTeacher
from mathse.types import Turn

ROOT = Path(__file__).parent.parent
KEY = "sk-run-9876543210zyxwvutsrq"
SMALL = [
    "teacher=openai",
    "teacher.model=gpt-4o",
    "teacher.key_env=TEACHER_KEY",
    "teacher.requests_per_minute=0",
    "teacher.max_tokens=100",
    "teacher.retries=1",
    "teacher.concurrency=4",
    "judge=answer",
    "feedback=answer",
    "K=1",
    "data.size=52",
    "orm_problems=1",
    "seed_size=26",
    "benchmark.data.size=26",
    "fit.min_steps=4",
    "fit.epochs=1",
    "runtime.batch_size=32",
]


def start(endpoint: Endpoint, store: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    words = [*SMALL, f"teacher.base_url={endpoint.url}", f"store={store}", f"report={store}/reports", *overrides]
    env = {**os.environ, "WANDB_MODE": "offline", "TEACHER_KEY": KEY, "OPENAI_LOG": "debug"}
    return subprocess.run([sys.executable, "train.py", *words], cwd=ROOT, env=env, capture_output=True, text=True)


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    folder = tmp_path_factory.mktemp("pictures")
    teacher = FiguresTeacher(slip_rate=0.04, find_rate=0.6, seed=0)

    def answer(body: dict[str, Any]) -> str:
        shown, *_, text = body["messages"][0]["content"]
        data = base64.b64decode(shown["image_url"]["url"].partition(",")[2])
        path = folder / f"{hashlib.sha256(data).hexdigest()}.png"
        path.write_bytes(data)
        schema = SCHEMA if "response_format" in body else None
        return teacher([(Turn("user", text["text"], (str(path),)),)], schema=schema)[0]

    with Endpoint(answer=answer, key=KEY) as running:
        yield running


@pytest.fixture(scope="module")
def stopped(endpoint: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store whose run has stopped at its budget, and what it said."""
    store = tmp_path_factory.mktemp("run")
    for name, faults in (("refused", ["401"] * 4), ("echoed", ["echo"] * 4), ("budget", ["500"])):
        endpoint.faults = faults
        done = start(endpoint, store, "teacher.budget_usd=0.01")
        (store / f"{name}.txt").write_text(done.stdout + done.stderr)
        assert done.returncode == 1, done.stdout
        assert len([line for line in done.stderr.splitlines() if line.startswith("mathse: ")]) == 1, done.stderr
    return store


@pytest.fixture(scope="module")
def finished(endpoint: Endpoint, stopped: Path) -> Path:
    done = start(endpoint, stopped, "teacher.budget_usd=5")
    (stopped / "finished.txt").write_text(done.stdout)
    (stopped / "finished.err").write_text(done.stderr)
    assert done.returncode == 0, done.stderr
    return stopped


def test_a_run_stops_at_its_budget_with_what_to_do(stopped: Path) -> None:
    assert "raise teacher.budget_usd and run the same command" in (stopped / "budget.txt").read_text()


def test_it_goes_on_when_the_budget_is_raised_and_asks_nothing_twice(endpoint: Endpoint, finished: Path) -> None:
    asked = [seen.identity for seen in endpoint.seen if seen.answered]
    assert len(asked) == len(set(asked)) >= 26


def test_what_it_cost_is_in_record_summary_report_and_terminal(endpoint: Endpoint, finished: Path) -> None:
    out = (finished / "finished.txt").read_text().strip().splitlines()
    folder = Path(out[-1]).parent
    teacher = json.loads((folder / "summary.json").read_text())["teacher"]
    records = [json.loads(path.read_text()) for path in sorted(finished.glob("*-*/record.json"))]
    asked = [record for record in records if "calls_paid" in record["metrics"]]
    assert {record["step"].rpartition(".")[2] for record in asked} == {"distill", "reflect"}
    total = sum(record["metrics"]["dollars"] for record in asked)
    assert teacher["total"]["dollars"] == pytest.approx(total)
    assert 0 < total <= 5
    assert teacher["total"]["calls_paid"] == sum(seen.answered for seen in endpoint.seen)
    for text in ("\n".join(out), (folder / "report.md").read_text()):
        assert f"{total:.4f}" in text


def test_the_key_is_in_nothing_that_the_run_wrote(finished: Path) -> None:
    files = [path for path in finished.rglob("*") if path.is_file()]
    assert len(files) > 50
    assert any("wandb" in str(path) for path in files)
    assert with_key(finished) == []


def with_key(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]


def test_the_run_is_the_same_whatever_reaches_the_model(endpoint: Endpoint, finished: Path) -> None:
    """Another address, other limits and budgets: every step is found, and no key is needed."""
    there = Endpoint(port=9)
    limits = ["teacher.key_env=NO_SUCH_KEY", "teacher.concurrency=3", "teacher.budget_usd=null"]
    done = start(there, finished, *limits)
    assert done.returncode == 0, done.stderr
    summary = json.loads(Path(done.stdout.strip().splitlines()[-1]).read_text())
    assert all(step["cached"] for step in summary["steps"])
    assert summary["teacher"]["new"]["dollars"] == 0


def test_a_dry_run_of_it_has_nothing_left_to_pay(endpoint: Endpoint, finished: Path) -> None:
    before = len(endpoint.seen)
    done = start(endpoint, finished, "dry_run=true")
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith(("distill", "reflect", "sft", "evaluate"))]
    assert len(rows) == 1 + 1 + 3 + 4
    assert all("in the store" in row for row in rows)
    assert len(endpoint.seen) == before


def test_a_step_in_a_process_of_its_own_reaches_the_same_teacher(endpoint: Endpoint, finished: Path) -> None:
    for path in finished.glob("distill-*"):
        path.rename(finished / f"old-{path.name}")
    before = len(endpoint.seen)
    done = start(endpoint, finished, "teacher.budget_usd=5", "runtime.isolate=true")
    assert done.returncode == 0, done.stderr
    assert len(endpoint.seen) == before  # the cache held every answer
    assert with_key(finished) == []
