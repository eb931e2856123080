"""W&B, read back from the files of offline runs: what was logged, on which axes, under which names, and that no secret is among it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from test_report import ORM_CARD, Story, experiment

from mathse.config import Experiment, load
from mathse.report import Reporter
from mathse.report.wandb import mode
from mathse.types import Judged, Verdict


def go_offline(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("WANDB_MODE", "offline")
    for name in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_ARTIFACT_DIR", "WANDB_SILENT"):
        environment.delenv(name, raising=False)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    go_offline(monkeypatch)
    return tmp_path


Found = dict[str, list[Any]]


def logged(root: Path) -> Found:
    """What the one offline run below `root` holds. W&B's own process may write its end a moment after `finish`."""
    for _ in range(300):
        if (found := read(root))["exit"]:
            return found
        time.sleep(0.1)
    raise AssertionError("the run has no end")


def read(root: Path) -> Found:
    """The records of the file that `wandb sync` sends, read with W&B's own protocol buffers."""
    from wandb.proto import wandb_internal_pb2

    (path,) = root.glob("store/wandb/offline-run-*/run-*.wandb")
    found: Found = {kind: [] for kind in ("run", "history", "exit", "summary", "metric", "artifact")}
    for block in blocks(path.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(block)
        kind = record.WhichOneof("record_type")
        if kind == "history":
            found[kind].append(values(record.history.item))
        elif kind == "summary":
            found[kind].append(values(record.summary.update))
        elif kind == "exit":
            found[kind].append({"code": record.exit.exit_code})
        elif kind == "metric":
            found[kind].append({"name": record.metric.name or record.metric.glob_name, "on": record.metric.step_metric})
        elif kind == "run":
            config = values(record.run.config.update)
            found[kind].append(
                {
                    "group": record.run.run_group,
                    "tags": list(record.run.tags),
                    "config": config,
                    "name": record.run.display_name,
                }
            )
        elif kind == "artifact" or (kind == "request" and record.request.WhichOneof("request_type") == "log_artifact"):
            found["artifact"].append(record.artifact if kind == "artifact" else record.request.log_artifact.artifact)
    return found


def values(items: Any) -> dict[str, Any]:
    return {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items}


def blocks(data: bytes) -> list[bytes]:
    """The records of W&B's file that are there whole (its end may still be written): LevelDB's log format after a header of seven bytes."""
    found, whole, at = [], b"", 7
    while at + 7 <= len(data):
        left = 32768 - at % 32768
        if left < 7:
            at += left
            continue
        length, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        if at + 7 + length > len(data):
            break
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            found.append(whole)
            whole = b""
    return found


def test_wandb_gets_curves_rounds_accuracies_and_samples_and_says_nothing(
    offline: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    exp = experiment(offline, "wandb")
    begun = time.monotonic()
    with Reporter(exp) as reporter:
        Story(exp, reporter).tell()
        reporter.finish()
    assert time.monotonic() - begun < 30
    captured = capfd.readouterr()
    assert captured.out.splitlines()[-1] == str(reporter.folder / "summary.json")
    assert "going on without" not in captured.out
    assert "wandb sync " in captured.out
    assert captured.err == ""
    found = logged(offline)
    history = found["history"]
    assert [row["rounds/accepted"] for row in history if "round" in row] == [
        r["accepted"] for r in summary_of(reporter)
    ]
    assert [row["model"] for row in history if "models/accuracy" in row] == [0, 1, 2, 3, 4]
    for name in ("student", "orm", "M_0", "M_1", "M_2", "M_final"):
        assert [row[f"{name}/step"] for row in history if f"{name}/loss" in row] == list(range(1, 61))
        assert {"name": f"{name}/*", "on": f"{name}/step"} in found["metric"]
    updates = {key: value for row in found["summary"] for key, value in row.items()}
    assert updates["accuracy/figures/M_0"] == pytest.approx(0.3)
    assert found["exit"] == [{"code": 0}]
    media = [*offline.glob("store/wandb/offline-run-*/files/media/images/**/*.png")]
    assert len(media) <= 5  # there are five pictures, however many rows show them
    (table,) = offline.glob("store/wandb/offline-run-*/files/media/table/*.json")
    assert len(json.loads(table.read_text())["data"]) == 30


def summary_of(reporter: Reporter) -> list[dict[str, Any]]:
    rounds: list[dict[str, Any]] = json.loads((reporter.folder / "summary.json").read_text())["rounds"]
    return rounds


def test_an_error_marks_the_run_as_failed_and_goes_on(offline: Path) -> None:
    with pytest.raises(RuntimeError, match="out of memory"), Reporter(experiment(offline, "wandb")):
        raise RuntimeError("out of memory")
    found = logged(offline)
    assert found["exit"] == [{"code": 1}]


def test_wandb_that_cannot_start_is_one_line_and_the_run_goes_on(
    offline: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_MODE", "sideways")
    with Reporter(experiment(offline, "wandb")) as reporter:
        assert reporter.tell.tracking is None
    assert len([line for line in capsys.readouterr().out.splitlines() if "going on without" in line]) == 1


@pytest.mark.parametrize(
    ("environment", "netrc", "expected"),
    [
        ({}, "", "offline"),
        ({"WANDB_API_KEY": "k"}, "", "online"),
        ({}, "machine api.wandb.ai login user password k", "online"),
        ({}, "machine elsewhere.org login user password k", "offline"),
        ({"WANDB_MODE": "disabled", "WANDB_API_KEY": "k"}, "", "disabled"),
    ],
)
def test_wandb_is_offline_unless_logged_in_and_its_own_variable_wins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, environment: dict[str, str], netrc: str, expected: str
) -> None:
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "netrc").write_text(netrc)
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert mode() == expected


# ---- what it is for: comparing runs ----


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a whole run lies, which had keys around that nobody should hear of."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as environment:
        go_offline(environment)
        for name in ("OPENAI_API_KEY", "WANDB_API_KEY", "HF_TOKEN"):
            environment.setenv(name, SECRET)
        environment.setenv("MATHSE_GROUP", "sweep K=0,1,2")
        environment.setenv("MATHSE_ARM", "answer match")
        with Reporter(experiment(folder, "wandb")) as reporter:
            Story(reporter.exp, reporter).tell()
            reporter.finish()
    return folder


@pytest.fixture(scope="module")
def told(whole: Path) -> Found:
    return logged(whole)


SECRET = "sk-never-told-0123456789abcdef"


def summary_in(found: Found) -> dict[str, Any]:
    return {key: value for row in found["summary"] for key, value in row.items()}


def test_a_run_is_grouped_and_tagged_and_its_settings_are_one_level_that_can_be_compared(told: Found) -> None:
    (run,) = told["run"][:1]
    assert run["group"] == "sweep K=0,1,2"
    assert set(run["tags"]) == {"tiny", "qwen2vl", "reflect", "arm: answer match"}
    config = run["config"]
    assert (config["K"], config["seed_size"], config["seed"]) == (2, 100, 0)
    assert config["fit.lr"] == 0.004
    assert config["judge._target_"] == "mathse.feedback.orm.Orm"
    assert not [key for key, value in config.items() if isinstance(value, dict) and key != "_wandb"]
    assert not {"store", "report", "plan.gpu"} & set(config), (
        "where a run is and what a bill assumes make no difference"
    )


def test_a_parallel_plot_of_k_seed_size_and_accuracy_has_its_axes(told: Found) -> None:
    summary = summary_in(told)
    assert {f"accuracy/figures/{name}" for name in ("base", "M_0", "M_1", "M_2", "M_final")} <= set(summary)
    assert summary["accuracy/last"] == summary["accuracy/figures/M_final"]
    assert {"K", "seed_size"} <= set(told["run"][0]["config"])


def test_the_orms_report_and_the_ledger_are_logged_and_the_unknown_is_left_out(told: Found) -> None:
    summary = summary_in(told)
    assert summary["orm/test/wrong_accuracy"] == pytest.approx(0.8)
    assert 0 <= summary["orm/held-out/right_accepted"] <= 1
    assert len([name for name in summary if name.startswith("orm/held-out/")]) < 15, (
        "the parts by family are in orm.json"
    )
    assert [row for row in told["history"] if "orm/reliability" in row or "orm/reliability._type" in row]
    assert summary["ledger/all/calls"] > 0
    assert "ledger/all/flops" not in summary, "the story's steps have no records"


def test_data_adapters_and_the_orm_are_artifacts_under_the_recipes_hash(told: Found) -> None:
    artifacts = {(one.name, alias): one for one in told["artifact"] for alias in one.aliases}
    adapters = [alias for name, alias in artifacts if name == "adapter" and alias != "latest"]
    assert len(adapters) == 5, "the ORM's student, M_0, M_1, M_2 and M_final"
    assert all(("D_SFT", alias) in artifacts for alias in adapters)
    assert len([name for name, alias in artifacts if name == "orm" and alias != "latest"]) == 1
    about = json.loads(artifacts["D_SFT", adapters[-1]].metadata)
    assert about["model"] == "M_final"
    assert len(about["learned_from"]) == 4
    assert all(name.startswith("judge-") for name in about["learned_from"])
    inputs = {key for key, one in artifacts.items() if one.use_after_commit}
    assert {key for key in artifacts if key[0] in ("D_SFT", "orm_data")} <= inputs, (
        "an input of the run, once it is synced"
    )
    made = {key for key in artifacts if key[0] in ("adapter", "orm")} - inputs
    assert made, "adapters that were computed are outputs; those that were found are inputs"
    entries = artifacts["D_SFT", adapters[-1]].manifest.contents
    assert {entry.path for entry in entries} == {f"{name}/judged.jsonl" for name in about["learned_from"]}
    assert all(entry.ref.startswith("file:") and entry.digest for entry in entries), "named by checksum, not copied"


def test_no_secret_is_in_any_file_of_the_run(told: Found, whole: Path) -> None:
    files = [path for path in (whole / "store").rglob("*") if path.is_file()]
    assert len(files) > 10
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]


@pytest.mark.parametrize(("artifacts", "kept"), [("none", 0), ("upload", 12)])
def test_artifacts_can_be_left_out_or_copied(offline: Path, artifacts: str, kept: int) -> None:
    exp = load(
        f"store={offline}/store", f"report={offline}/reports", f"tracker.artifacts={artifacts}", "tracker.samples=0"
    )
    with Reporter(exp) as reporter:
        Story(exp, reporter).tell()
        reporter.finish()
    found = logged(offline)
    assert len(found["artifact"]) == kept
    assert not any(entry.ref for one in found["artifact"] for entry in one.manifest.contents)
    assert not [row for row in found["history"] if "samples" in row or "samples._type" in row]


def test_a_run_that_is_interrupted_is_marked_as_failed(offline: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Reporter(experiment(offline, "wandb")):
        raise KeyboardInterrupt
    assert logged(offline)["exit"] == [{"code": 1}]


def test_without_a_sweep_the_seeds_of_one_setting_are_a_group(offline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MATHSE_GROUP", raising=False)
    with pytest.raises(RuntimeError), Reporter(experiment(offline, "wandb")):
        raise RuntimeError
    assert logged(offline)["run"][0]["group"] == "tiny-qwen2vl-reflect-K2"


class Heard:
    """A tracker of one's own."""

    def __init__(self) -> None:
        self.where = "here"
        self.said: list[str] = []

    def step(self, artifact: Any, role: str, recipe: Any, *, cached: bool) -> None:
        self.said.append(f"{artifact.step} {role}")

    def score(self, model: str, benchmark: str, artifact: Any, index: int) -> None:
        self.said.append(f"{model} on {benchmark}")

    def finish(self, summary: Any, groups: Any, folder: Path) -> None:
        self.said.append("results")

    def close(self, *, failed: bool) -> None:
        self.said.append("failed" if failed else "done")


def test_a_tracker_of_ones_own_hears_steps_scores_results_and_the_end(offline: Path) -> None:
    import dataclasses

    heard = Heard()

    @dataclasses.dataclass(frozen=True)
    class Mine:
        def start(self, exp: Experiment, name: str) -> Heard:
            return heard

    exp = dataclasses.replace(experiment(offline), tracker=Mine())
    with Reporter(exp) as reporter:
        Story(exp, reporter).tell()
        reporter.finish()
    assert "sft M_1" in heard.said
    assert "M_final on figures" in heard.said
    assert heard.said[-2:] == ["results", "done"]


def test_what_was_not_measured_is_not_logged(offline: Path) -> None:
    exp = experiment(offline, "wandb")
    with Reporter(exp) as reporter:
        story = Story(exp, reporter)
        nobody = {**ORM_CARD, "n_wrong": 0, "wrong_accuracy": 0.0, "step_hit_rate": 0.0}
        story.step("test_orm", nobody, source={"_target_": "mathse.feedback.orm.TrainedOrm"}, data={})
        written = story.step("generate", {"problems": 9, "solutions": 9}, model={"name": "M_0", "adapter": None})
        none = {
            "accepted": 0,
            "rejected": 9,
            "unreadable": 0,
            "right": 2,
            "accept_precision": 0.0,
            "accept_recall": 0.0,
        }
        rows = [Judged(story.solution(i, "M_0", right=i < 2), Verdict("wrong")) for i in range(9)]
        story.step("judge", {"generated": 9, **none}, rows, solutions=written, source=exp.judge)
    found = logged(offline)
    summary, (row,) = summary_in(found), [row for row in found["history"] if "round" in row]
    assert summary["orm/test/correct_accuracy"] == pytest.approx(0.9)
    assert not {"orm/test/wrong_accuracy", "orm/test/step_hit_rate"} & set(summary)
    assert row["rounds/accept_recall"] == 0.0
    assert "rounds/accept_precision" not in row, "nothing was accepted"
