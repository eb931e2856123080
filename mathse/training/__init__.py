"""Fine-tuning with Lightning: `fit`, over SftModule and OrmModule on a 4-bit base, SolutionData, and what is saved meanwhile.

Three things are done here rather than left to Lightning, each because it is silently wrong there or cannot resume exactly:
the loss is weighted by trained tokens over the whole accumulation window (Lightning averages micro-batch means); the order of
rows, the learning rate and the dropout's seed are functions of (seed, step), so a resumed run needs no sampler state; and
checkpoints are safetensors of adapter and optimizer, so that on a CPU the resumed weights equal the uninterrupted ones bit by
bit.

Where devices share a step (DDP, a process each), its micro-batches are dealt out among them: the same rows, weights and dropout
as on one device, only added up in another order. The first one alone writes.
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
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from torch.utils.checkpoint import checkpoint

from mathse.backbones import Loaded, Row
from mathse.fit import Fit
from mathse.memory import release
from mathse.progress import progress
from mathse.store import Rank, Runtime, ShareDone
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
    """Train the adapter of `loaded`, from where a killed run left it in `out`; leaves `out/adapter` and `out/curve.jsonl`.

    Raises ValueError where the processes that share the step cannot share its micro-batches evenly, ShareDone in all but the first.
    """
    rank = Rank.mine()
    micro_batches = settings.micro_batches(rank.of)
    first = saved_step(out)
    data = SolutionData(rows, held_out, settings, seed, first)
    steps = len(data.batches)
    module = kind(loaded, settings, seed, steps, first)
    loaded.module.train()
    if runtime.recompute:
        recompute(loaded.module)
    _quiet()
    with progress(label, steps, "steps", first) as shown:
        trainer = lightning.Trainer(
            accelerator="cpu" if runtime.device == "cpu" else "gpu",
            devices=rank.of,
            strategy="ddp" if rank.of > 1 else "auto",
            plugins=LightningEnvironment(),  # whatever started the run (Slurm, torchrun): ranks are started by the store
            precision="bf16-mixed",
            max_epochs=1,
            accumulate_grad_batches=micro_batches,
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
    if rank.of > 1:
        torch.distributed.destroy_process_group()
    if rank.number:
        raise ShareDone
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
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
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
