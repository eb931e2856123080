"""The training itself: the three phases, what a step learns from, and the state from which a killed run goes on."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mathse.backbones import Loaded, Row
from mathse.figures import Drawn
from mathse.training.state import below, moments, put_back
from pretraining.arithmetic import comparison
from pretraining.cells import Cells
from pretraining.families import Family
from pretraining.lessons import lesson
from pretraining.reading import reading_accuracy

BATCH = 32
COMPARE_FROM = 0.4  # of the lessons: from here on each step has comparisons in text beside its pictures
GROUP = 8  # steps whose rows are drawn together and sorted by length


def train(
    family: Family,
    model: Any,
    loaded: Loaded,
    pool: Sequence[Drawn],
    *,
    warmup_steps: int,
    steps: int,
    rate: float,
    seed: int,
    work: Path,
) -> None:
    """Train the model on the pool's pictures, from where a killed run left it in `work`: cells first, then lessons."""
    marks = sorted({mark.text for drawn in pool for view in family.views(drawn) for cell in view for mark in cell})
    cells = Cells(192, marks)
    everything = nn.ModuleDict({"model": model, "cells": cells})
    optimizers = make_optimizers(everything, rate)
    peaks = [[group["lr"] for group in optimizer.param_groups] for optimizer in optimizers]
    first = restore(work, everything, optimizers)
    total = warmup_steps + steps
    lessons = Lessons(loaded, family, pool, seed)
    average, since = 0.0, time.time()
    for step in range(first, total):
        rng = Random(f"{seed}/{step}")
        torch.manual_seed(seed * 1_000_003 + step)
        warm = step < warmup_steps
        done = step / warmup_steps if warm else (step - warmup_steps) / steps
        for optimizer, rates in zip(optimizers, peaks, strict=True):
            for group, peak in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = learning_rate(done, peak)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            if warm:
                loss, _ = cell_loss(family, loaded, cells, rng.sample(pool, BATCH))
                shown = loss
            else:
                drawns, rows = lessons.at(step, done)
                seen, features = cell_loss(family, loaded, cells, drawns)
                shown = language_loss(loaded, rows, features)
                loss = shown + 0.3 * seen
                if done >= COMPARE_FROM:
                    texts = [loaded.encode(comparison(rng)) for _ in range(BATCH)]
                    loss = loss + 0.5 * language_loss(loaded, texts)
        everything.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(everything.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        average = shown.item() if step in (first, warmup_steps) else 0.98 * average + 0.02 * shown.item()
        if (step + 1) % 50 == 0:
            pace, since = 50 / (time.time() - since), time.time()
            what, end = ("cells", warmup_steps) if warm else ("lessons", total)
            print(
                f"step {step + 1}/{end}  {what} loss {average:.3f}  {pace:.2f} steps/s  "
                f"{(end - step) / pace / 60:.0f} min of {what} left",
                flush=True,
            )
        if (step + 1) % 200 == 0 or step + 1 == total:
            save(work, everything, optimizers, step + 1)
        if not warm and (step + 1) % 600 == 0:
            print("reads", json.dumps(reading_accuracy(loaded, seed, 20)), flush=True)
            since = time.time()


def cell_loss(family: Family, loaded: Loaded, cells: Cells, drawns: Sequence[Drawn]) -> tuple[Tensor, list[Tensor]]:
    """What the pictures' tokens do not say yet of their cells, and the pictures' features."""
    features = loaded.see([picture for drawn in drawns for picture in family.shown(loaded, drawn)])
    seen = torch.cat([feature[family.ends : len(feature) - family.ends] for feature in features])
    return cells.loss(seen, [view for drawn in drawns for view in family.views(drawn)]), features


def language_loss(loaded: Loaded, rows: Sequence[Row], features: Sequence[Tensor] | None = None) -> Tensor:
    """The loss of the rows by trained token."""
    batch = loaded.batch(rows, side="right", features=features)
    return loaded.loss(batch) / (batch.labels[:, 1:] != -100).sum()


class Lessons:
    """The rows of each step, of similar length: a function of seed and step alone, so that a resumed run sees the same ones."""

    def __init__(self, loaded: Loaded, family: Family, pool: Sequence[Drawn], seed: int) -> None:
        self.loaded, self.family, self.pool, self.seed = loaded, family, pool, seed
        self.group = -1
        self.batches: list[list[tuple[Drawn, Row]]] = []

    def at(self, step: int, progress: float) -> tuple[list[Drawn], list[Row]]:
        """The pictures and lessons of one step. Rows are drawn for a group of steps at once and sorted by length."""
        group, place = divmod(step, GROUP)
        if group != self.group:
            rng = Random(f"{self.seed}/{group}")
            chosen = rng.sample(self.pool, BATCH * GROUP)
            rows = [
                (drawn, self.loaded.encode(lesson(drawn, self.family.views(drawn), rng, progress))) for drawn in chosen
            ]
            rows.sort(key=lambda pair: len(pair[1]))
            self.batches = [rows[i * BATCH : (i + 1) * BATCH] for i in range(GROUP)]
            rng.shuffle(self.batches)
            self.group = group
        drawns, rows_of_step = zip(*self.batches[place], strict=True)
        return list(drawns), list(rows_of_step)


def learning_rate(done: float, peak: float) -> float:
    """Warm-up over the first 2 % of the work, then cosine to 2 % of the peak."""
    return peak * min(1.0, done / 0.02) * (0.02 + 0.98 * (1 + math.cos(math.pi * min(1.0, done))) / 2)


def make_optimizers(modules: nn.Module, rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the weight matrices of the layers, AdamW at half its rate for all else.

    After 1,000 steps of cells the tower read 88 % of test digits with Muon, 62 % with AdamW (experiments/LOG.md).
    """
    outer = ("embed_tokens", "lm_head", "cells.")
    matrices: list[nn.Parameter] = []
    vectors: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for name, parameter in modules.named_parameters():
        if parameter.ndim == 2 and not any(part in name for part in outer):
            matrices.append(parameter)
        else:
            (rest if parameter.ndim > 1 else vectors).append(parameter)
    return [
        torch.optim.Muon(matrices, lr=rate, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(
            [{"params": rest, "weight_decay": 0.05}, {"params": vectors, "weight_decay": 0.0}],
            lr=rate / 2,
            betas=(0.9, 0.98),
        ),
    ]


def save(work: Path, modules: nn.Module, optimizers: Sequence[torch.optim.Optimizer], step: int) -> None:
    """Write the whole state, then put it in place at once. Weights that have two names are written under both."""
    tensors = {f"model/{k}": v.contiguous().clone() for k, v in modules.state_dict().items()}
    for o, optimizer in enumerate(optimizers):
        tensors |= {f"optimizer/{o}/{name}": value for name, value in moments(optimizer).items()}
    save_file(tensors, work / "state.tmp", metadata={"step": str(step)})
    (work / "state.tmp").replace(work / "state.safetensors")


def restore(work: Path, modules: nn.Module, optimizers: Sequence[torch.optim.Optimizer]) -> int:
    """Load the state that `save` left; the step to go on with (0 without one)."""
    path = work / "state.safetensors"
    if not path.exists():
        return 0
    tensors = load_file(path)
    modules.load_state_dict(below("model/", tensors))
    for o, optimizer in enumerate(optimizers):
        put_back(optimizer, below(f"optimizer/{o}/", tensors))
    with safe_open(path, "pt") as file:
        return int(file.metadata()["step"])
