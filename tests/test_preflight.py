"""Before a run: what it needs is known from config.json, what cannot fit is refused with what would, and the rest is measured."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mathse.backbones import Batch, Loaded
from mathse.backbones.cogvlm2 import CogVLM2
from mathse.backbones.internvl25 import InternVL25
from mathse.backbones.loading import Member
from mathse.backbones.qlora import Lora
from mathse.backbones.qwen2vl import Qwen2VL
from mathse.config import CONF, Experiment, load
from mathse.preflight.__main__ import main
from mathse.preflight.check import check, refuse
from mathse.preflight.measure import measure
from mathse.preflight.memory import GIB, Job, Need, jobs, needs
from mathse.steps.generate import ask
from mathse.training import recompute
from mathse.types import Problem, Turn

SEVEN = {  # Qwen/Qwen2-VL-7B-Instruct
    "architectures": ["Qwen2VLForConditionalGeneration"],
    "model_type": "qwen2_vl",
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "num_attention_heads": 28,
    "num_hidden_layers": 28,
    "num_key_value_heads": 4,
    "vocab_size": 152064,
    "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]},
    "vision_config": {"depth": 32, "embed_dim": 1280, "hidden_size": 3584, "patch_size": 14, "spatial_merge_size": 2},
}


@pytest.fixture
def seven(tmp_path: Path) -> Experiment:
    """A run at paper scale of which nothing is there but config.json."""
    (tmp_path / "config.json").write_text(json.dumps(SEVEN))
    fit = "fit.micro_batch_size=4"
    return load("scale=paper", "runtime=gpu", "runtime.recompute=false", fit, f"backbone.checkpoint={tmp_path}")


def test_the_tiny_table_shows_parts_memory_mask_loss_and_round_trip(capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    out = capsys.readouterr().out
    for words in (
        "student: qwen2vl",
        "ORM: qwen2vl",
        "language, linear layers        1,572,864     4             0",
        "adapter                          434,176    32       434,176",
        "GiB for fine-tuning",
        "key-value cache",
        "tokens of a sample picture                  16",
        "«Step 1: Look closely.⏎The answer to this problem is",
        "0 away",
    ):
        assert words in out
    assert out.count("measured:") == 1, "student and ORM are one member"


def test_a_judge_without_weights_needs_no_memory() -> None:
    assert [job.name for job in jobs(load())] == ["student", "ORM"]
    assert [job.name for job in jobs(load("judge=answer", "feedback=answer"))] == ["student"]


def test_what_cannot_fit_is_refused_before_any_weights_are_there_with_what_would(seven: Experiment) -> None:
    found = needs(seven)
    refuse(seven, found, 10_000 * GIB)
    for room, words in (
        (
            80,
            ["fine-tuning of the student needs", "activations", "80 are free on cuda; runtime.recompute=true fits"],
        ),
        (20, ["; runtime.recompute=true fit.micro_batch_size=1 fits"]),
        (16, ["; runtime.recompute=true fit.micro_batch_size=1 backbone.max_length=", "fits"]),
        (8, ["a smaller member (backbone.checkpoint=…"]),
    ):
        with pytest.raises(ValueError, match="needs about") as error:
            refuse(seven, found, room * GIB)
        for word in words:
            assert word in str(error.value)


def test_what_is_said_to_fit_fits(seven: Experiment) -> None:
    """Generation: half the rows, until it does."""
    student = needs(seven)[0]
    only = Need(student.job, student.shape, {"generation": student.phases["generation"]})
    with pytest.raises(ValueError, match=r"runtime\.batch_size=(\d+) fits") as error:
        refuse(seven, [only], 24 * GIB)
    rows = int(str(error.value).split("runtime.batch_size=")[1].split()[0])
    less = dataclasses.replace(seven, runtime=dataclasses.replace(seven.runtime, batch_size=rows))
    assert sum(needs(less)[0].phases["generation"].values()) <= 24 * GIB


def test_models_that_stay_in_memory_are_the_first_to_go(seven: Experiment) -> None:
    together = dataclasses.replace(seven, runtime=dataclasses.replace(seven.runtime, isolate=False))
    alone, kept = needs(seven)[1].phases["fine-tuning"], needs(together)[1].phases["fine-tuning"]
    assert sum(kept.values()) > sum(alone.values())
    orm = Need(needs(seven)[1].job, needs(seven)[1].shape, {"fine-tuning": kept})
    with pytest.raises(ValueError, match=r"models that were asked .* runtime\.isolate=true fits"):
        refuse(together, [orm], sum(alone.values()))


def test_a_picture_that_fills_the_row_is_refused(seven: Experiment) -> None:
    short = dataclasses.replace(seven, backbone=dataclasses.replace(seven.backbone, max_length=1280))
    with pytest.raises(ValueError, match=r"backbone\.max_length=1280 leaves no room .* 1280 tokens"):
        refuse(short, needs(short), 10_000 * GIB)


def test_a_run_at_real_scale_ends_in_one_line_before_anything_is_computed(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "train.py",
        "scale=small",
        "backbone.checkpoint=nobody/nothing",
        f"store={tmp_path}/runs",
    ]
    done = subprocess.run(command, cwd=CONF.parent, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("mathse: backbone.checkpoint=nobody/nothing")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_check_reads_the_files_of_every_model_that_is_asked(folder: Path) -> None:
    judge = ["backbone@orm.backbone=qwen2vl", f"orm.backbone.checkpoint={folder}"]
    check(load(*judge))
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"model\.safetensors: .*missing"):
        check(load(*judge))
    check(load(*judge, "judge=answer", "feedback=answer"))


def kept_bytes(loaded: Loaded, batch: Batch) -> int:
    """What autograd keeps of the way there, weights apart."""
    frozen = {parameter.untyped_storage().data_ptr() for parameter in loaded.module.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if (place := tensor.untyped_storage().data_ptr()) not in frozen:
            kept[place] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t), torch.autocast("cpu", torch.bfloat16):
        loss = loaded.loss(batch)
    assert bool(loss > 0)
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


@pytest.mark.parametrize(("dropout", "again"), [(0.0, False), (0.1, False), (0.0, True), (0.1, True)])
def test_the_estimate_of_what_layers_keep_is_near_what_they_keep(
    backbone: Qwen2VL, problems: list[Problem], dropout: float, again: bool
) -> None:
    loaded = backbone.load(lora=Lora(rank=8, alpha=8, dropout=dropout))
    loaded.module.train()
    reply = Turn("assistant", "Step 1: The width is 7. " * 20)
    rows = [loaded.encode((*ask(problem), reply)) for problem in problems[:4]]
    batch = loaded.batch(rows, side="right")
    measured: float = kept_bytes(loaded, batch)
    if again:  # the inputs of all layers, and on the way back what one of them keeps
        recompute(loaded.module)
        inputs = kept_bytes(loaded, batch)
        measured = inputs + (measured - inputs) / loaded.layers
    row = [f"backbone.max_length={batch.mask.shape[1]}", f"lora.dropout={dropout}", f"runtime.recompute={again}"]
    estimated = needs(load("fit.micro_batch_size=4", *row))[0].phases["fine-tuning"]["activations"]
    assert 0.9 * measured < estimated < 2 * measured


def settings_of(folder: Path) -> Member:
    if folder.name == "cogvlm2":
        return CogVLM2(checkpoint=str(folder), max_length=1024, several="tile", exact_rope=True)
    return InternVL25(checkpoint=str(folder), max_tiles=1, max_length=1024, system="Solve.")


@pytest.mark.parametrize("golden", ["cogvlm2", "internvl25"], indirect=True)
def test_the_other_families_pass_the_same_checks(golden: Path) -> None:
    exp = load()
    member = settings_of(golden)
    job = Job("student", "backbone", "fit", member, exp.fit, exp.lora, 8)  # type: ignore[arg-type]
    lines, wrong = measure(job, "cpu")
    assert wrong == []
    assert "«" in "".join(lines)
