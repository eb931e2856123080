"""Several devices share a step: a process each, one artifact, and what one device alone would have left. Here two of the CPU's."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file

from mathse.backbones.qwen2vl import Qwen2VL
from mathse.config import load, load_with_engine
from mathse.feedback.unfiltered import Unfiltered
from mathse.figures.data import Figures
from mathse.preflight.check import refuse
from mathse.preflight.memory import needs
from mathse.steps.data import load as read
from mathse.steps.distill import distill
from mathse.steps.generate import generate
from mathse.steps.judging import judge
from mathse.steps.sft import sft
from mathse.store import Artifact, Runtime, Store
from mathse.store.apart import in_own_process, needs_weights
from mathse.store.artifact import read_record
from mathse.store.work import COUNTS
from mathse.types import Model

RUNTIME = Runtime(
    device="cpu", devices=1, threads=1, batch_size=2, isolate=False, unfold=True, recompute=False, save_every=0.0
)
TWO = dataclasses.replace(RUNTIME, devices=2)


@pytest.fixture
def ranks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """A work directory whose step, in place of Python's, is these lines of a shell, for each rank $MATHSE_RANK."""

    def of(lines: str) -> Path:
        python = tmp_path / "python"
        python.write_text(f"#!/bin/sh\n{lines}\n")
        python.chmod(0o700)
        monkeypatch.setattr("sys.executable", str(python))
        return tmp_path

    return of


def test_ranks_add_up_what_they_did_and_the_first_one_says_what_came_of_it(ranks: Callable[[str], Path]) -> None:
    done = json.dumps([{"rows": 5}, dict.fromkeys(COUNTS, 0) | {"tokens_read": 8}])
    work = ranks(f"echo '{done}' > $3/.metrics-${{MATHSE_RANK%/*}}.json")
    assert in_own_process(work, 2) == ({"rows": 5}, dict.fromkeys(COUNTS, 0) | {"tokens_read": 16})


@pytest.mark.parametrize("who", ["0/2", "1/2", "?/2"])
def test_a_rank_that_fails_ends_the_others_and_is_heard_once(
    who: str, ranks: Callable[[str], Path], capfd: pytest.CaptureFixture[str]
) -> None:
    work = ranks(f"case $MATHSE_RANK in {who}) echo no room >&2; exit 1;; esac\nexec sleep 100")
    with pytest.raises(RuntimeError, match=r"failed with exit status 1; see above"):
        in_own_process(work, 2)
    assert capfd.readouterr().err == "no room\n"


@pytest.mark.parametrize(
    ("given", "needed"),
    [
        ("a model of ours", True),
        ("a model behind an API", False),
        ("the ORM among settings", True),
        ("a teacher", False),
    ],
)
def test_only_a_step_that_loads_weights_is_shared(given: str, needed: bool) -> None:
    """An API is asked by one process, which keeps to its limits."""
    exp, server = load_with_engine("server", "engine.model=m")
    values = {
        "a model of ours": Model(exp.backbone),
        "a model behind an API": Model(server),  # type: ignore[arg-type]
        "the ORM among settings": {"source": [exp.judge]},
        "a teacher": exp.teacher,
    }
    assert needs_weights(values[given]) == needed


@pytest.mark.parametrize(
    ("devices", "sizes", "fits"),
    [
        (2, (16, 16), "micro_batch_size=8"),
        (3, (12, 3), "micro_batch_size=2"),
        (3, (32, 1), "a number of devices that divides 32"),
    ],
)
def test_micro_batches_that_cannot_be_shared_evenly_are_refused_with_what_can(
    devices: int, sizes: tuple[int, int], fits: str
) -> None:
    fit = dataclasses.replace(load().fit, batch_size=sizes[0], micro_batch_size=sizes[1])
    with pytest.raises(ValueError, match=f"^runtime.devices={devices} cannot share .* evenly; {fits} fits$"):
        fit.micro_batches(devices)
    assert fit.micro_batches(1) == sizes[0] // sizes[1]


def test_that_is_said_before_a_run() -> None:
    exp = load("runtime.devices=2", "fit.micro_batch_size=8")
    with pytest.raises(ValueError, match=r"^orm\.fit: runtime\.devices=2 cannot share"):
        refuse(exp, needs(exp), 1e15)


def on_one_and_two(tmp_path: Path, steps: Callable[[Store, Artifact], Artifact]) -> list[Artifact]:
    """What steps leave on one device, and on two."""
    stores = [Store(tmp_path / str(runtime.devices), runtime) for runtime in (RUNTIME, TWO)]
    data = Figures(size=22, seed=1, split="train", families=())
    one, two = (steps(store, store.run(read, data=data)) for store in stores)
    assert one == two, "the same recipe"
    return [one, two]


def test_two_devices_learn_what_one_does(tmp_path: Path, backbone: Qwen2VL) -> None:
    """Dropout included: gradients are only added up in another order. No row is learned from twice."""
    exp = load("fit.batch_size=8", "fit.micro_batch_size=2", "fit.min_steps=4", "fit.epochs=1", "lora.dropout=0.1")

    def steps(store: Store, problems: Artifact) -> Artifact:
        taught = store.run(distill, problems=problems, teacher=exp.teacher)
        data = [store.run(judge, solutions=taught, source=Unfiltered())]
        return store.run(sft, backbone=backbone, data=data, fit=exp.fit, lora=exp.lora, start=None, seed=0)

    found = on_one_and_two(tmp_path, steps)
    assert [made.metrics["rows"] + made.metrics["steps"] for made in found] == [26, 26]
    work = [read_record(made.path)["work"] for made in found]
    assert work[0]["tokens_trained"] == work[1]["tokens_trained"] > 0
    ours, theirs = ([json.loads(line) for line in (a.path / "curve.jsonl").read_text().splitlines()] for a in found)
    assert ours[0] == pytest.approx(theirs[0], rel=1e-6)
    assert [point["loss"] for point in ours] == pytest.approx([point["loss"] for point in theirs], rel=0.02)
    one, two = (load_file(made.path / "adapter" / "adapter_model.safetensors") for made in found)
    apart = sum(float((one[key] - two[key]).norm() ** 2) for key in one if "lora_B" in key)
    assert apart < 1e-3 * sum(float(one[key].norm() ** 2) for key in one if "lora_B" in key)


@pytest.mark.slow
def test_two_devices_write_what_one_does(tmp_path: Path, backbone: Qwen2VL) -> None:
    sampling = dataclasses.replace(load().sampling, max_new_tokens=12)

    def steps(store: Store, problems: Artifact) -> Artifact:
        return store.run(generate, model=Model(backbone), problems=problems, sampling=sampling, seed=0)

    one, two = ((made.path / "solutions.jsonl").read_text() for made in on_one_and_two(tmp_path, steps))
    assert one == two
    assert one.count("\n") == 22
