"""Supervised fine-tuning on accepted solutions."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from mathse.backbones import Backbone, Loaded, Row
from mathse.backbones.qlora import Lora
from mathse.fit import Fit
from mathse.steps.data import accepted
from mathse.steps.generate import SOLVE, ask
from mathse.store import Artifact, Runtime, means
from mathse.types import Chat, Judged, Turn

_SHOWN: set[str] = set()


@means(version=2, prompts=(SOLVE,))
def sft(
    out: Path,
    *,
    backbone: Backbone,
    data: list[Artifact],
    fit: Fit,
    lora: Lora,
    start: Artifact | None,
    seed: int,
    runtime: Runtime,
) -> dict[str, float]:
    """Fine-tune the backbone on all accepted solutions in `data`, from the base or from the adapter of `start` -> adapter/.

    The same text for the same problem counts once. Rows longer than the backbone's `max_length` are dropped and counted.
    """
    rows = distinct(accepted(data))
    chats = [
        ((*ask(row.solution.problem), Turn("assistant", row.solution.text)), row.solution.problem.id) for row in rows
    ]
    return train(out, backbone, chats, fit, lora, start, seed, runtime, label=f"fine-tuning on {len(rows)}")


def distinct(rows: Sequence[Judged]) -> list[Judged]:
    """The rows without those that repeat a text for the same problem."""
    return list({(row.solution.problem.id, row.solution.text): row for row in rows}.values())


def train(
    out: Path,
    backbone: Backbone,
    chats: Sequence[tuple[Chat, str]],
    fit: Fit,
    lora: Lora,
    start: Artifact | None,
    seed: int,
    runtime: Runtime,
    *,
    label: str,
    orm: bool = False,
) -> dict[str, float]:
    """Train an adapter on chats, each with the id of its problem; problems, not rows, are held out to validate on."""
    import torch

    from mathse import training
    from mathse.training.module import OrmModule, SftModule
    from mathse.training.table import table

    if not chats:
        raise ValueError(
            "there is nothing to train on: no solution was accepted; raise seed_size, or take another judge="
        )
    if runtime.threads:
        torch.set_num_threads(runtime.threads)
    torch.manual_seed(seed)  # LoRA's first values
    loaded = backbone.load(start.path / "adapter" if start else None, lora=lora, device=runtime.device)
    rows = [(loaded.encode(chat), problem) for chat, problem in chats]
    fits = [(row, problem) for row, problem in rows if len(row) <= backbone.max_length]
    learned = [row for row, problem in fits if share(problem) >= fit.validation]
    held_out = [row for row, problem in fits if share(problem) < fit.validation]
    if not learned:
        raise ValueError(f"all {len(rows)} rows are longer than backbone.max_length={backbone.max_length}; raise it")
    shown = table(loaded, learned[0])
    if shown not in _SHOWN:  # the same for every round, so once is enough
        _SHOWN.add(shown)
        print(shown, flush=True)
    if len(fits) < len(rows):
        print(
            f"  {len(rows) - len(fits)} of {len(rows)} rows are longer than {backbone.max_length} tokens and were dropped",
            flush=True,
        )
    check_mask(loaded, learned[0])
    kind = OrmModule if orm else SftModule
    metrics = training.fit(loaded, learned, held_out, fit, seed=seed, out=out, label=label, runtime=runtime, kind=kind)
    return {**metrics, "dropped": len(rows) - len(fits)}


def share(problem: str) -> float:
    """A number in [0, 1) that a problem always gets: rows below a threshold are held out, whatever else there is."""
    return int(hashlib.sha256(problem.encode()).hexdigest()[:8], 16) / 2**32


def check_mask(loaded: Loaded, row: Row) -> None:
    """Assert that something is trained in the row, and no picture token is."""
    assert bool(row.trained.any()), "no token of the row is trained"
    assert not bool(row.trained[row.ids == loaded.picture_id].any()), "picture tokens carry labels"
