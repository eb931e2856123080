"""The state of a training: saved now and then, and put back where a killed run goes on."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from mathse.memory import release
from mathse.progress import Progress
from mathse.training.module import SftModule

STATE = ".training.safetensors"  # scratch, until the step's record is written
RELEASE_EVERY = 16  # steps


class Keeper(lightning.Callback):
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
    tensors |= {f"optimizer/{name}": value for name, value in moments(optimizer).items()}
    save_file(tensors, out / f"{STATE}.tmp", metadata={"step": str(module.step), "curve": json.dumps(module.curve)})
    (out / f"{STATE}.tmp").replace(out / STATE)


def saved_step(out: Path) -> int:
    """The step that the saved training state has reached, 0 without one."""
    if not (out / STATE).exists():
        return 0
    with safe_open(out / STATE, "pt") as file:
        return int(file.metadata()["step"])


class Restore(lightning.Callback):
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
        put_back(trainer.optimizers[0], below("optimizer/", tensors))
        with safe_open(self.out / STATE, "pt") as file:
            pl_module.curve = json.loads(file.metadata()["curve"])


def moments(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """What the optimizer remembers, as `<index of the parameter>/<name>`."""
    return {
        f"{index}/{name}": torch.as_tensor(value).contiguous()
        for index, state in optimizer.state_dict()["state"].items()
        for name, value in state.items()
    }


def put_back(optimizer: torch.optim.Optimizer, moments: Mapping[str, Tensor]) -> None:
    """Make the optimizer remember what `moments` gave."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in moments.items():
        index, name = key.split("/")
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin so, without it."""
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
