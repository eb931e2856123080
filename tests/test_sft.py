"""What fine-tuning learns from: what was accepted, each text once, nothing cut; what it starts from, and what its seed decides."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from mathse.backbones.qlora import Lora
from mathse.backbones.qwen2vl import Qwen2VL
from mathse.fit import Fit
from mathse.steps.sft import sft, share
from mathse.store import Artifact, Runtime
from mathse.types import Judged, Problem, Solution, Status, Verdict, write_jsonl

FIT = Fit(
    epochs=1,
    min_steps=1,
    batch_size=4,
    micro_batch_size=4,
    lr=1e-3,
    weight_decay=0.05,
    warmup=0.0,
    clip=1.0,
    validation=0.0,
)
LORA = Lora(rank=4, alpha=8, dropout=0.1)


def judged(problem: Problem, text: str, status: Status = "correct") -> Judged:
    return Judged(Solution(problem, text, "M_0"), Verdict(status))


def tuned(
    out: Path, backbone: Qwen2VL, data: list[list[Judged]], runtime: Runtime, **changed: Any
) -> tuple[dict[str, float], dict[str, torch.Tensor]]:
    """The metrics of `sft` on judged solutions, an artifact each, and the adapter."""
    artifacts = []
    for i, rows in enumerate(data):
        (out / f"judge-{i}").mkdir(parents=True)
        write_jsonl(out / f"judge-{i}" / "judged.jsonl", rows)
        artifacts.append(Artifact(f"judge-{i}", out / f"judge-{i}"))
    how = {"fit": FIT, "lora": LORA, "start": None, "seed": 0} | changed
    metrics = sft(out, backbone=backbone, data=artifacts, runtime=runtime, **how)
    return metrics, load_file(out / "adapter" / "adapter_model.safetensors")


def test_each_accepted_text_is_learned_once_and_what_is_too_long_is_dropped_and_counted(
    backbone: Qwen2VL, problems: list[Problem], runtime: Runtime, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = [
        judged(problems[0], "Step 1: It is 3."),
        judged(problems[0], "Step 1: So it is 3."),
        judged(problems[1], "Step 1: It is 3."),
        judged(problems[2], "Step 1: It is 4.", "wrong"),
        judged(problems[3], "Step 1: It is 5.", "unreadable"),
    ]
    second = [judged(problems[0], "Step 1: It is 3."), judged(problems[4], "Step 1: It is 3. " * 200)]
    metrics, _ = tuned(tmp_path, backbone, [first, second], runtime)
    assert (metrics["rows"], metrics["dropped"]) == (3, 1)
    assert "1 of 4 rows are longer than 512 tokens and were dropped" in capsys.readouterr().out


def test_a_problem_is_held_out_with_all_its_solutions(
    backbone: Qwen2VL, problems: list[Problem], runtime: Runtime, tmp_path: Path
) -> None:
    rows = [judged(problem, f"Step {i}: It is 3.") for problem in problems[:8] for i in (1, 2)]
    metrics, _ = tuned(tmp_path, backbone, [rows], runtime, fit=dataclasses.replace(FIT, validation=0.5))
    learned = [problem for problem in problems[:8] if share(problem.id) >= 0.5]
    assert 0 < len(learned) < 8
    assert metrics["rows"] == 2 * len(learned)
    assert metrics["validation_loss"] > 0


def test_training_starts_from_the_adapter_that_it_is_given_and_else_from_the_base(
    backbone: Qwen2VL, problems: list[Problem], runtime: Runtime, tmp_path: Path
) -> None:
    rows = [judged(problem, "Step 1: It is 3.") for problem in problems[:4]]
    _, earlier = tuned(tmp_path / "a", backbone, [rows], runtime, fit=dataclasses.replace(FIT, lr=1e-2))
    still, start = dataclasses.replace(FIT, lr=1e-12), Artifact("sft-0", tmp_path / "a")
    _, gone_on = tuned(tmp_path / "b", backbone, [rows], runtime, fit=still, start=start)
    _, fresh = tuned(tmp_path / "c", backbone, [rows], runtime, fit=still)
    for name, matrix in earlier.items():
        assert torch.allclose(gone_on[name], matrix, atol=1e-6)
        if "lora_B" in name:
            assert bool(matrix.any())
            assert fresh[name].abs().max() < 1e-6


def test_the_seed_decides_the_adapter(
    backbone: Qwen2VL, problems: list[Problem], runtime: Runtime, tmp_path: Path
) -> None:
    rows = [judged(problem, "Step 1: It is 3.") for problem in problems[:6]]
    once, again, other = (tuned(tmp_path / str(i), backbone, [rows], runtime, seed=i // 2)[1] for i in range(3))
    assert all(torch.equal(again[name], matrix) for name, matrix in once.items())
    assert not any(torch.equal(other[name], matrix) for name, matrix in once.items())
