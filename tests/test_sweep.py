"""Sweeps: what their jobs are, that one that fails takes no other along, the table at the end, and the presets."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

from mathse.config import CONF, load
from mathse.report.run import runs_below
from mathse.sweep import FOLDER, GROUP, closing, comparing, label, outcome

ROOT = CONF.parent
PRESETS = sorted(path.stem for path in (ROOT / "sweeps").glob("*.yaml"))
TINY = [
    "tracker=none",
    "runtime.threads=1",
    "stage=sft",
    "judge=answer",
    "data.size=130",
    "orm_problems=26",
    "benchmark.data.size=26",
    "fit.min_steps=3",
    "fit.epochs=1",
]


def train(store: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {key: value for key, value in os.environ.items() if key != FOLDER}
    command = [sys.executable, "train.py", *words, f"store={store}"]
    return subprocess.run(command, cwd=ROOT, env=env, text=True, capture_output=True)


def table(out: str) -> list[str]:
    """The rows of the table at the end of a sweep."""
    lines = out.rstrip().splitlines()
    start = max(i for i, line in enumerate(lines) if line.startswith("job  "))
    return [line for line in lines[start + 2 :] if line[:1].isdigit()]


def test_a_job_that_fails_takes_no_other_along_and_is_shown_as_failed(tmp_path: Path) -> None:
    done = train(tmp_path, "-m", "K=0,x,1", "dry_run=true", "seed_size=30", *TINY[3:])
    assert done.returncode == 1
    rows = table(done.stdout)
    assert [row.split()[:3] for row in rows] == [["1", "K=0", "done"], ["2", "K=x", "failed:"], ["3", "K=1", "done"]]
    assert "Experiment.K should be int >= 0, got 'x'" in rows[1]
    assert "[2/3 K=x] mathse: Experiment.K should be int >= 0, got 'x'" in done.stderr
    assert "1 of the jobs failed; the same command again computes only what is missing" in done.stderr
    jobs = [line for line in done.stdout.splitlines() if line.startswith("[")]
    assert {line.split("]")[0] for line in jobs} == {"[1/3 K=0", "[3/3 K=1"}
    assert "seed_size" not in rows[0]  # all jobs have it
    (kept,) = tmp_path.glob("sweeps/*/sweep.md")
    assert rows[1] in kept.read_text()


def test_what_cannot_be_composed_ends_the_sweep_before_it_begins(tmp_path: Path) -> None:
    done = train(tmp_path, "-m", "backbone=qwen2vl,llava", "dry_run=true")
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert "llava" in done.stderr


def test_a_sweep_into_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = train(tmp_path / "file" / "runs", "-m", "K=0,1", "dry_run=true")
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert str(tmp_path / "file") in done.stderr


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sweep of four jobs that is going on."""
    (tmp_path / "jobs.json").write_text(json.dumps([["K=0"], ["K=1"], ["K=2"], ["K=3"]]))
    monkeypatch.setenv(FOLDER, str(tmp_path))
    return tmp_path


def _killed() -> None:
    with outcome(3):
        os.kill(os.getpid(), signal.SIGKILL)


def test_the_table_has_the_last_models_accuracy_and_what_was_computed(at: Path) -> None:
    steps = [{"name": "a", "cached": True}, {"name": "b", "cached": False}]
    models = [
        {"name": "M_0", "accuracy": 0.1, "ci95": [0.05, 0.2]},
        {"name": "M_1", "accuracy": 0.25, "ci95": [0.2, 0.3]},
    ]
    (at / "summary.json").write_text(json.dumps({"models": models, "steps": steps}))
    with outcome(1) as told:
        told["summary"] = str(at / "summary.json")
    with pytest.raises(KeyboardInterrupt), outcome(2):
        raise KeyboardInterrupt
    killed = multiprocessing.get_context("fork").Process(target=_killed)
    killed.start()
    killed.join()
    text, failed = closing(at)
    never, good, cut, dead = text.splitlines()[2:]
    assert good.split()[:4] == ["2", "K=1", "done", "M_1"]
    assert "25.0" in good
    assert "20.0 to 30.0" in good
    assert "1 of 2 steps" in good
    assert "failed: was not begun" in never
    assert "failed: interrupted" in cut
    assert "failed: did not end" in dead
    assert failed == 3
    assert comparing(at) == f"python -m mathse.report {at} out={at}/report"
    assert runs_below(at) == [at]  # where the job's summary lies


def test_of_a_sweep_without_any_run_there_is_nothing_to_compare(at: Path) -> None:
    with outcome(0) as told:
        told["failed"] = "out of memory"
    assert comparing(at) == ""
    with pytest.raises(ValueError, match="no job of this sweep has ended well"):
        runs_below(at)


def test_a_label_says_which_of_how_many_and_how_it_differs(at: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert label(1) == "[2/4 K=1] "
    monkeypatch.delenv(FOLDER)
    assert label(1) == ""


def test_there_is_a_preset_for_each_question() -> None:
    assert sorted(path.stem for path in (CONF / "sweep").glob("*.yaml")) == PRESETS
    assert PRESETS == ["k", "lora", "sampling", "seed_size", "seeds"]


def grid(name: str) -> list[list[str]]:
    """The jobs of a W&B sweep file, each as the words that W&B's agent puts behind `train.py`."""
    from wandb.sdk.launch.sweeps.utils import create_sweep_command_args, load_sweep_config

    config = load_sweep_config(str(ROOT / "sweeps" / f"{name}.yaml"))
    assert config is not None
    keys = list(config["parameters"])
    values = itertools.product(*(parameter["values"] for parameter in config["parameters"].values()))
    jobs = [{key: {"value": value} for key, value in zip(keys, chosen)} for chosen in values]
    return [create_sweep_command_args({"args": job})["args_no_hyphens"] for job in jobs]


@pytest.mark.parametrize("name", PRESETS)
def test_wandb_can_read_a_sweep_file_and_its_agent_starts_train_py_with_overrides(name: str) -> None:
    sweep = yaml.safe_load((ROOT / "sweeps" / f"{name}.yaml").read_text())
    assert set(sweep) == {"program", "name", "method", "metric", "parameters", "command"}
    assert sweep["method"] == "grid"
    assert sweep["metric"] == {"name": "accuracy/last", "goal": "maximize"}  # what report/wandb.py logs
    assert (ROOT / sweep["program"]).exists()
    assert sweep["command"] == ["${env}", "${interpreter}", "${program}", "${args_no_hyphens}"]
    assert all(set(parameter) == {"values"} and parameter["values"] for parameter in sweep["parameters"].values())
    for words in grid(name):
        load(*words)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_and_the_wandb_file_of_its_name_have_the_same_jobs(name: str, tmp_path: Path) -> None:
    """Hydra lists the jobs; `seed_size=0` lets each of them end at once."""
    done = train(tmp_path, f"sweep={name}", "dry_run=true", *(["seed_size=0"] if name != "seed_size" else ["K=-1"]))
    assert done.returncode == 1
    (jobs,) = tmp_path.glob("sweeps/*/jobs.json")
    found = json.loads(jobs.read_text())
    wanted = grid(name)
    assert sorted(map(sorted, found)) == sorted(map(sorted, wanted))
    assert len(table(done.stdout)) == len(wanted)


@pytest.mark.slow
def test_parallel_jobs_compute_each_recipe_once_and_running_again_only_what_is_missing(tmp_path: Path) -> None:
    parallel = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    done = train(tmp_path, "-m", "seed_size=20,0,30", *TINY, *parallel)
    assert done.returncode == 1
    assert [row.split()[2] for row in table(done.stdout)] == ["done", "failed:", "done"]
    computed = Counter(
        step["name"]
        for path in tmp_path.glob("reports/*/summary.json")
        for step in json.loads(path.read_text())["steps"]
        if not step["cached"]
    )
    assert set(computed) == {path.parent.name for path in tmp_path.glob("*-*/record.json")}
    assert set(computed.values()) == {1}
    again = train(tmp_path, "-m", "seed_size=20,25,30", *TINY, *parallel)
    assert again.returncode == 0
    rows = table(again.stdout)
    assert ["0 of 11 steps" in row for row in rows] == [True, False, True]


@pytest.mark.slow
def test_two_shells_on_one_store_compute_each_recipe_once(tmp_path: Path) -> None:
    commands = [
        [sys.executable, "train.py", *TINY, "seed_size=20", f"store={tmp_path}", f"report={tmp_path}/{i}"]
        for i in range(2)
    ]
    shells = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for command in commands]
    said = [shell.communicate()[0] for shell in shells]
    assert [shell.returncode for shell in shells] == [0, 0]
    computed = [
        step["name"]
        for path in tmp_path.glob("*/*/summary.json")
        for step in json.loads(path.read_text())["steps"]
        if not step["cached"]
    ]
    assert len(computed) == len(set(computed)) == 11
    assert "is computing it, waiting" in "".join(said)


@pytest.mark.parametrize(
    ("words", "group"),
    [
        (["-m", "K=0,x", "seed_size=0"], "sweep K=0,x"),
        (["sweep=k", "seed_size=0"], "sweep K=0,1,2,3,4"),
    ],
)
def test_the_jobs_of_a_sweep_are_one_group_however_it_was_asked_for(
    words: list[str], group: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    heard = tmp_path / "sitecustomize.py"
    heard.write_text(f"import atexit, os\natexit.register(lambda: print('group:', os.environ.get({GROUP!r})))\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.delenv(GROUP, raising=False)
    assert f"group: {group}\n" in train(tmp_path, *words, "dry_run=true").stdout
