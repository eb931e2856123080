"""Fine-tuning with Lightning: SftModule and OrmModule over a 4-bit base, SolutionData, and `fit`.

Three things are done here rather than left to Lightning, each because it is silently wrong there or cannot resume exactly:
the loss is weighted by trained tokens over the whole accumulation window (Lightning averages micro-batch means); the order of
rows, the learning rate and the dropout's seed are functions of (seed, step), so a resumed run needs no sampler state; and
checkpoints are safetensors of adapter and optimizer, so that the resumed weights equal the uninterrupted ones bit by bit.

Where devices share a step (DDP, a process each), its micro-batches are dealt out among them: the same rows, weights and dropout
as on one device, only added up in another order. The first one alone writes.
"""

from __future__ import annotations

import functools
import json
import logging
import math
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, Dataset

from mathse.backbones import Loaded, Row
from mathse.fit import Fit, plan
from mathse.memory import release
from mathse.progress import Progress, progress
from mathse.store import Rank, Runtime, ShareDone
from mathse.store.work import count

STATE = ".training.safetensors"  # scratch, until the step's record is written
RELEASE_EVERY = 16  # steps


class Micro(Dataset[tuple[list[Row], int]]):
    """The micro-batches that are still to do, each with the number of trained tokens in its whole window."""

    def __init__(self, rows: Sequence[Row], batches: Sequence[Sequence[int]], size: int) -> None:
        self.rows = rows
        self.parts: list[tuple[Sequence[int], int]] = []
        for batch in batches:
            tokens = sum(int(rows[i].trained.sum()) for i in batch)
            self.parts += [(batch[i : i + size], tokens) for i in range(0, len(batch), size)]

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, index: int) -> tuple[list[Row], int]:
        indices, tokens = self.parts[index]
        return [self.rows[i] for i in indices], tokens


class SolutionData(lightning.LightningDataModule):
    """Rows to train on in planned order from step `first` on, and rows to validate on."""

    def __init__(self, rows: Sequence[Row], held_out: Sequence[Row], fit: Fit, seed: int, first: int) -> None:
        super().__init__()
        self.rows, self.held_out, self.fit, self.first = rows, held_out, fit, first
        self.batches = plan([len(row) for row in rows], fit, seed)

    def train_dataloader(self) -> DataLoader[Any]:
        assert self.trainer is not None
        micro = Micro(self.rows, self.batches[self.first :], self.fit.micro_batch_size)
        micro.parts = micro.parts[self.trainer.global_rank :: self.trainer.world_size]
        return DataLoader(micro, batch_size=None, shuffle=False)

    def val_dataloader(self) -> DataLoader[Any]:
        size = self.fit.micro_batch_size
        batches = [list(range(i, min(i + size, len(self.held_out)))) for i in range(0, len(self.held_out), size)]
        return DataLoader(Micro(self.held_out, batches, size), batch_size=None, shuffle=False)


class SftModule(lightning.LightningModule):
    """Supervised fine-tuning of a loaded backbone's adapter on chats: loss on the reply's tokens only (Eq. 1 of the paper)."""

    def __init__(self, loaded: Loaded, fit: Fit, seed: int, steps: int, first: int) -> None:
        super().__init__()
        self.loaded = loaded
        self.module = loaded.module  # registered, so that Lightning moves and wraps it
        self.fit_settings, self.seed, self.steps, self.first = fit, seed, steps, first
        self.curve: list[dict[str, float]] = []
        self._window = 0.0
        self._held_out: list[tuple[float, int]] = []

    @property
    def step(self) -> int:
        """Steps done in all, before and after a resume."""
        return self.first + self.global_step

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        trainer = self.trainer
        part = batch_idx % trainer.accumulate_grad_batches  # of the window: a resumed run counts its batches anew
        part = part * trainer.world_size + trainer.global_rank
        torch.manual_seed(self.seed * 1_000_003 + self.step * 1_009 + part)

    def transfer_batch_to_device(self, batch: Any, device: Any, dataloader_idx: int) -> Any:
        """Rows stay as they are: `Loaded.batch` puts what it makes of them on the model's device."""
        return batch

    def training_step(self, batch: tuple[list[Row], int], batch_idx: int) -> Tensor:
        rows, window_tokens = batch
        passed, trained = sum(map(len, rows)), sum(int(row.trained.sum()) for row in rows)
        flops = self.loaded.size.learning(passed, trained)
        count(tokens_passed=passed, tokens_trained=trained, flops=flops)
        loss = self.loaded.loss(self.loaded.batch(rows, side="right")) / window_tokens
        self._window += float(loss.detach())
        # Lightning divides by the accumulation and averages over ranks; we want the plain sum over the window.
        return loss * self.trainer.accumulate_grad_batches * self.trainer.world_size

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        rate = self.rate()
        for group in self.optimizers(use_pl_optimizer=False).param_groups:  # type: ignore[union-attr]
            group["lr"] = rate
        step = self.step + 1
        super().optimizer_step(*args, **kwargs)
        ours = torch.tensor(self._window, dtype=torch.float64, device=self.device)
        loss = float(self.trainer.strategy.reduce(ours, reduce_op="sum"))
        self.curve.append({"step": step, "loss": loss, "lr": rate})
        self._window = 0.0

    def rate(self) -> float:
        """The learning rate of the step to come."""
        fit, done = self.fit_settings, self.step
        warm = max(1, round(fit.warmup * self.steps))
        if done < warm:
            return fit.lr * (done + 1) / warm
        return fit.lr * (1 + math.cos(math.pi * (done - warm) / max(1, self.steps - warm))) / 2

    def validation_step(self, batch: tuple[list[Row], int], batch_idx: int) -> None:
        rows, tokens = batch
        read = sum(map(len, rows))
        count(tokens_read=read, flops=self.loaded.size.reading(read))
        self._held_out.append((float(self.loaded.loss(self.loaded.batch(rows, side="right"))), tokens))

    def on_validation_epoch_end(self) -> None:
        if self._held_out:
            loss = sum(part for part, _ in self._held_out) / sum(tokens for _, tokens in self._held_out)
            self.curve.append({"step": self.step, "validation_loss": loss})
        self._held_out = []

    def configure_optimizers(self) -> torch.optim.Optimizer:
        trained = [parameter for parameter in self.module.parameters() if parameter.requires_grad]
        return torch.optim.AdamW(
            trained, lr=self.fit_settings.lr, weight_decay=self.fit_settings.weight_decay, betas=(0.9, 0.95)
        )


class OrmModule(SftModule):
    """The ORM is a generative judge: the same fine-tuning, on chats that end in a verdict (paper, section on the ORM)."""


class _Keeper(lightning.Callback):
    """Shows progress and saves the training state every `every` seconds."""

    def __init__(self, out: Path, every: float, shown: Progress) -> None:
        self.out, self.every, self.shown = out, every, shown
        self.saved = time.monotonic()

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        module: SftModule = pl_module
        if (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        self.shown.advance(1, f"loss {module.curve[-1]['loss']:.3f}")
        if module.step % RELEASE_EVERY == 0:
            release()
        due = time.monotonic() - self.saved > self.every and module.step < module.steps
        if due and trainer.is_global_zero:
            save_state(self.out, module, trainer.optimizers[0])
            self.saved = time.monotonic()


def save_state(out: Path, module: SftModule, optimizer: torch.optim.Optimizer) -> None:
    """Write adapter, optimizer, curve and step to `out`, all at once or not at all."""
    tensors = {f"weight/{n}": p.detach().contiguous() for n, p in module.module.named_parameters() if p.requires_grad}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{key}": torch.as_tensor(value).contiguous() for key, value in state.items()}
    save_file(tensors, out / f"{STATE}.tmp", metadata={"step": str(module.step), "curve": json.dumps(module.curve)})
    (out / f"{STATE}.tmp").replace(out / STATE)


def saved_step(out: Path) -> int:
    """The step that the saved training state has reached, 0 without one."""
    if not (out / STATE).exists():
        return 0
    with safe_open(out / STATE, "pt") as file:
        return int(file.metadata()["step"])


class _Restore(lightning.Callback):
    """Puts the saved training state back before the first step."""

    def __init__(self, out: Path) -> None:
        self.out = out

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        if not (self.out / STATE).exists():
            return
        tensors = load_file(self.out / STATE)
        with torch.no_grad():
            for name, parameter in pl_module.module.named_parameters():
                if parameter.requires_grad:
                    parameter.copy_(tensors[f"weight/{name}"])
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith("optimizer/"):
                _, index, name = key.split("/")
                state.setdefault(int(index), {})[name] = value
        groups = trainer.optimizers[0].state_dict()["param_groups"]
        trainer.optimizers[0].load_state_dict({"state": state, "param_groups": groups})
        with safe_open(self.out / STATE, "pt") as file:
            pl_module.curve = json.loads(file.metadata()["curve"])


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
            callbacks=[_Restore(out), _Keeper(out, runtime.save_every, shown)],
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


def table(loaded: Loaded, row: Row) -> str:
    """What is trained and what is quantised, and one row's label mask, as a few lines to print."""
    counts: dict[str, list[int]] = {}
    for name, parameter in loaded.module.named_parameters():
        part = loaded.layout.part(name)
        size = parameter.numel() * (2 if type(parameter).__name__ == "Params4bit" else 1)  # two values a byte
        entry = counts.setdefault(part, [0, 0, 0])
        entry[0] += size
        entry[1] += size if parameter.requires_grad else 0
        entry[2] += size if type(parameter).__name__ == "Params4bit" else 0
    lines = [f"  {'part':<12}{'parameters':>12}{'4-bit':>12}{'trained':>12}"]
    lines += [
        f"  {part:<12}{size:>12,}{four:>12,}{trained:>12,}" for part, (size, trained, four) in sorted(counts.items())
    ]
    shown = "".join(_spans(loaded, row))
    return "\n".join([*lines, f"  trained in «»: {shown}"])


def _spans(loaded: Loaded, row: Row) -> Iterator[str]:
    ids, trained = row.ids.tolist(), row.trained.tolist()
    start = 0
    for i in range(1, len(ids) + 1):
        if i == len(ids) or trained[i] != trained[start]:
            text = loaded.tokenizer.decode([t for t in ids[start:i] if t != loaded.picture_id]).replace("\n", "⏎")
            yield f"«{text}»" if trained[start] else text if len(text) < 60 else f"{text[:12]}…{text[-40:]}"
            start = i
