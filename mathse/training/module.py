"""What Lightning runs: the rows in planned order, and the modules that learn from them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytorch_lightning as lightning
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mathse.backbones import Loaded, Row
from mathse.fit import Fit, plan
from mathse.store.work import count


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
        if not math.isfinite(loss):
            raise ValueError(
                f"the loss of step {step} of {self.steps} is {loss}: fine-tuning has diverged; lower lr={self.fit_settings.lr:g} "
                "(fit.lr, of the ORM orm.fit.lr)"
            )
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
