"""Fine-tuning: what a step is made of, that it does not depend on the micro-batch, and that a killed run ends the same."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mathse import training
from mathse.backbones.qlora import Lora
from mathse.backbones.qwen2vl import Qwen2VL
from mathse.fit import Fit, plan
from mathse.steps.generate import ask
from mathse.store import Runtime
from mathse.training.state import STATE, saved_step
from mathse.types import Problem, Turn

FIT = Fit(
    epochs=2,
    min_steps=6,
    batch_size=8,
    micro_batch_size=8,
    lr=2e-3,
    weight_decay=0.05,
    warmup=0.2,
    clip=1.0,
    validation=0.0,
)
LORA = Lora(rank=4, alpha=8, dropout=0.1)


def fit_of(**changes: float) -> Fit:
    import dataclasses

    return dataclasses.replace(FIT, **changes)


def test_every_row_is_used_once_an_epoch_before_any_is_used_again() -> None:
    batches = plan([5] * 16, fit_of(epochs=2), seed=0)
    assert [len(batch) for batch in batches] == [8] * 6
    uses = [row for batch in batches for row in batch]
    assert sorted(uses) == sorted([*range(16)] * 3)


def test_the_order_is_a_function_of_the_seed() -> None:
    lengths = [i % 7 for i in range(40)]
    assert plan(lengths, FIT, 1) == plan(lengths, FIT, 1) != plan(lengths, FIT, 2)


def test_rows_of_similar_length_share_a_step() -> None:
    lengths = [1, 100] * 32
    for batch in plan(lengths, fit_of(epochs=1, min_steps=1), seed=0):
        assert len({lengths[row] for row in batch}) == 1


def test_a_micro_batch_that_does_not_divide_the_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="should divide"):
        fit_of(micro_batch_size=3)


def train(
    backbone: Qwen2VL,
    problems: list[Problem],
    fit: Fit,
    out: Path,
    save_every: float,
    lora: Lora = LORA,
    recompute: bool = False,
) -> None:
    runtime = Runtime(
        device="cpu",
        devices=1,
        threads=1,
        batch_size=8,
        isolate=False,
        unfold=True,
        recompute=recompute,
        save_every=save_every,
    )
    torch.set_num_threads(1)
    torch.manual_seed(0)
    loaded = backbone.load(lora=lora)
    replies = [f"Step 1: The answer is {p.answer}.\n" * (1 + i % 4) for i, p in enumerate(problems)]
    rows = [loaded.encode((*ask(p), Turn("assistant", reply))) for p, reply in zip(problems, replies, strict=True)]
    training.fit(loaded, rows[2:], rows[:2], fit, seed=0, out=out, label="test", runtime=runtime)


def curve(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "curve.jsonl").read_text().splitlines()]


def test_the_loss_is_weighted_by_tokens_over_the_whole_window(
    backbone: Qwen2VL, problems: list[Problem], tmp_path: Path
) -> None:
    """Rows have very different lengths: a mean of micro-batch means would give another loss, and another gradient, of which Adam's
    weights alone would not tell (their scale is nothing to it)."""
    still, gradients = Lora(rank=4, alpha=8, dropout=0.0), []
    for size in (8, 2):
        (tmp_path / str(size)).mkdir()
        train(backbone, problems, fit_of(micro_batch_size=size, clip=1e9), tmp_path / str(size), 0.0, still)
        state = load_file(tmp_path / str(size) / STATE)  # of the last step but one
        gradients.append(torch.cat([state[key].flatten() for key in sorted(state) if key.endswith("/exp_avg")]))
    assert (gradients[0] - gradients[1]).norm() < 0.05 * gradients[0].norm()
    whole, parts = curve(tmp_path / "8"), curve(tmp_path / "2")
    for a, b in zip(whole, parts, strict=True):
        assert a.keys() == b.keys()
        assert all(a[key] == pytest.approx(b[key], rel=5e-3) for key in a)


def test_validation_loss_and_learning_rate_are_on_the_curve(
    backbone: Qwen2VL, problems: list[Problem], tmp_path: Path
) -> None:
    train(backbone, problems, FIT, tmp_path, 1e9)
    points = curve(tmp_path)
    rates = [point["lr"] for point in points if "lr" in point]
    cosine = [FIT.lr * (1 + math.cos(math.pi * step / 5)) / 2 for step in range(5)]
    assert rates == pytest.approx([FIT.lr, *cosine]), (
        "a warm-up of one step, then down to zero over the five that are left"
    )
    assert "validation_loss" in points[-1]


def test_a_loss_that_is_no_number_ends_the_training_and_leaves_no_adapter(
    backbone: Qwen2VL, problems: list[Problem], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"the loss of step \d of 6 is nan: .*lower lr=1e\+30"):
        train(backbone, problems, fit_of(lr=1e30), tmp_path, 1e9)
    assert not (tmp_path / "adapter").exists()


def test_a_killed_run_goes_on_and_ends_with_the_same_weights(
    backbone: Qwen2VL, problems: list[Problem], tmp_path: Path
) -> None:
    """Bit by bit, dropout included."""
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    longer = fit_of(min_steps=10, micro_batch_size=4)
    train(backbone, problems, longer, tmp_path / "whole", 1e9)
    context = multiprocessing.get_context("spawn")
    killed = context.Process(target=train, args=(backbone, problems, longer, tmp_path / "killed", 0.0))
    killed.start()
    while saved_step(tmp_path / "killed") < 3:
        assert killed.is_alive()
        time.sleep(0.01)
    assert killed.pid is not None
    os.kill(killed.pid, signal.SIGKILL)
    killed.join()
    assert 3 <= saved_step(tmp_path / "killed") < 10
    resumed = context.Process(target=train, args=(backbone, problems, longer, tmp_path / "killed", 0.0))
    resumed.start()
    resumed.join()
    weights = [tmp_path / name / "adapter" / "adapter_model.safetensors" for name in ("whole", "killed")]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    assert curve(tmp_path / "whole") == curve(tmp_path / "killed")


def test_recomputing_what_layers_keep_changes_no_weight(
    backbone: Qwen2VL, problems: list[Problem], tmp_path: Path
) -> None:
    """Bit by bit, dropout included."""
    for name, recompute in (("kept", False), ("again", True)):
        (tmp_path / name).mkdir()
        train(backbone, problems[:10], fit_of(min_steps=2), tmp_path / name, 1e9, recompute=recompute)
    weights = [tmp_path / name / "adapter" / "adapter_model.safetensors" for name in ("kept", "again")]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    assert curve(tmp_path / "kept") == curve(tmp_path / "again")
