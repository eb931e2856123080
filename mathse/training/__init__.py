"""Fine-tuning with Lightning: `fit`, over SftModule and OrmModule on a 4-bit base, SolutionData, and what is saved meanwhile.

Three things are done here rather than left to Lightning, each because it is silently wrong there or cannot resume exactly:
the loss is weighted by trained tokens over the whole accumulation window (Lightning averages micro-batch means); the order of
rows, the learning rate and the dropout's seed are functions of (seed, step), so a resumed run needs no sampler state; and
checkpoints are safetensors of adapter and optimizer, so that on a CPU the resumed weights equal the uninterrupted ones bit by
bit.
"""

from __future__ import annotations

import functools
import json
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path

import pytorch_lightning as lightning
import torch
from torch.utils.checkpoint import checkpoint

from mathse.backbones import Loaded, Row
from mathse.fit import Fit
from mathse.memory import release
from mathse.progress import progress
from mathse.store import Runtime
from mathse.training.module import SftModule, SolutionData
from mathse.training.state import Keeper, Restore, saved_step


def fit(
    loaded: Loaded,
    rows: Sequence[Row],
    held_out: Sequence[Row],
    settings: Fit,
    *,
    seed: int,
    out: Path,
    label: str,
    runtime: Runtime,
    kind: type[SftModule] = SftModule,
) -> dict[str, float]:
    """Train the adapter of `loaded`, from where a killed run left it in `out`; leaves `out/adapter` and `out/curve.jsonl`."""
    first = saved_step(out)
    data = SolutionData(rows, held_out, settings, seed, first)
    steps = len(data.batches)
    module = kind(loaded, settings, seed, steps, first)
    loaded.module.train()
    if runtime.recompute:
        recompute(loaded.module)
    _quiet()
    micro = settings.batch_size // settings.micro_batch_size
    with progress(label, steps, "steps", first) as shown:
        trainer = lightning.Trainer(
            accelerator="cpu" if runtime.device == "cpu" else "gpu",
            devices=1 if runtime.device == "cpu" else "auto",
            precision="bf16-mixed",
            max_epochs=1,
            accumulate_grad_batches=max(1, micro),
            gradient_clip_val=settings.clip,
            check_val_every_n_epoch=1,
            num_sanity_val_steps=0,
            callbacks=[Restore(out), Keeper(out, runtime.save_every, shown)],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
        )
        trainer.fit(module, datamodule=data)
    release(cycles=True)
    loaded.module.eval()
    loaded.module.save_pretrained(out / "adapter")
    (out / "adapter" / "README.md").unlink(missing_ok=True)
    with (out / "curve.jsonl").open("w", encoding="utf-8") as curve:
        curve.writelines(json.dumps(point) + "\n" for point in module.curve)
    losses = [point["loss"] for point in module.curve if "loss" in point]
    tail = losses[-max(1, len(losses) // 10) :]
    metrics = {"rows": len(rows), "steps": steps, "loss": sum(tail) / len(tail)}
    validation = [point["validation_loss"] for point in module.curve if "validation_loss" in point]
    return metrics | ({"validation_loss": validation[-1]} if validation else {})


def _quiet() -> None:
    """Lightning's advice on hardware and worker counts is not for our users, who have `runtime`."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")


def recompute(module: torch.nn.Module) -> None:
    """Let each layer with something to train keep its input alone and compute the rest again on the way back, dropout's draws
    included. Raises ValueError where no layer can."""
    from transformers.modeling_layers import GradientCheckpointingLayer

    layers = [
        layer
        for layer in module.modules()
        if isinstance(layer, GradientCheckpointingLayer) and any(p.requires_grad for p in layer.parameters())
    ]
    if not layers:
        raise ValueError(
            "runtime.recompute=true: no layer of this backbone is a GradientCheckpointingLayer; take false"
        )
    for layer in layers:
        layer.gradient_checkpointing = True
        # The other kind needs an input with a gradient, which the first layer of a frozen base does not have.
        layer._gradient_checkpointing_func = functools.partial(checkpoint, use_reentrant=False)
