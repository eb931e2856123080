"""What is measured with a model's weights in memory: the label mask, the loss of a batch, an adapter saved and loaded again."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mathse.preflight.memory import Job

if TYPE_CHECKING:
    from mathse.backbones import Loaded, Row

LOSS_LIMIT = 0.02  # relative, of a batch against its rows: training computes in bfloat16
TRIP_LIMIT = 1e-3  # of the logits after an adapter's round trip


def measure(job: Job, device: str) -> tuple[list[str], list[str]]:
    """Lines of what was measured with the weights in memory, and complaints about what is not as it should be."""
    import torch

    from mathse.figures.data import Figures
    from mathse.memory import release
    from mathse.steps.generate import ask
    from mathse.training.table import table
    from mathse.types import Turn

    with tempfile.TemporaryDirectory(prefix="mathse-preflight-") as temporary:
        folder = Path(temporary)
        problems = Figures(size=13, seed=0, split="train", families=()).write(folder)
        # In training mode, since bitsandbytes has another kernel for evaluation on a CPU; so without dropout.
        lora = dataclasses.replace(job.lora, dropout=0.0)
        loaded = job.member.load(lora=lora, device=device)
        loaded.module.train()
        replies = [f"Step 1: Look closely.\nThe answer to this problem is {problem.answer}." for problem in problems]
        rows = [loaded.encode((*ask(p), Turn("assistant", reply))) for p, reply in zip(problems, replies, strict=True)]
        rows = [row for row in rows if row.pictures][:4]
        torch.manual_seed(0)
        for name, parameter in loaded.module.named_parameters():
            if "lora_B" in name:  # zeros as they are made: the adapter would change nothing
                torch.nn.init.normal_(parameter, std=0.02)
        loaded.module.save_pretrained(folder / "adapter")
        mask = table(loaded, rows[0]).splitlines()[-1]
        tokens = int((rows[0].ids == loaded.picture_id).sum())
        together, single = losses(loaded, rows)
        with loaded.module.disable_adapter():
            without = logits(loaded, rows[0])
        before = logits(loaded, rows[0])
        del loaded
        release(cycles=True)
        after = logits(job.member.load(folder / "adapter", lora=lora, device=device), rows[0])
    apart = abs(together - single) / single
    changed, lost = (float((before - other).abs().max()) for other in (without, after))
    lines = [
        f"  {'tokens of a sample picture':<40}{tokens:>6}",
        mask,
        f"  {f'loss of {len(rows)} rows as a batch, one by one':<40}{together:.4f}, {single:.4f}: {100 * apart:.2f} % apart",
        f"  {'largest change of a logit by an adapter':<40}{changed:.4f}",
        f"  {'… after it was saved and loaded again':<40}{lost:.2g} away",
    ]
    wrong = []
    if apart > LOSS_LIMIT:
        wrong.append(f"{job.name}: the loss of a batch is {100 * apart:.1f} % away from that of its rows")
    if lost > TRIP_LIMIT or changed == 0:
        wrong.append(f"{job.name}: an adapter does not survive being saved and loaded ({lost:.2g} of {changed:.2g})")
    return lines, wrong


def losses(loaded: Loaded, rows: Sequence[Row]) -> tuple[float, float]:
    """The summed loss of the rows as one batch, and one by one."""
    import torch

    with torch.no_grad(), torch.autocast(loaded.device.type, torch.bfloat16):
        together = float(loaded.loss(loaded.batch(rows, side="right")))
        return together, sum(float(loaded.loss(loaded.batch([row], side="right"))) for row in rows)


def logits(loaded: Loaded, row: Row) -> Any:
    """The logits (T, V) of one row, on the CPU, as training computes them."""
    import torch

    loaded.module.train()
    batch = loaded.batch([row], side="left")
    with torch.no_grad(), torch.autocast(loaded.device.type, torch.bfloat16):
        hidden = loaded.language(batch.embeds, batch.positions, batch.mask, batch.picture_mask)
        return loaded.head(hidden)[0].float().cpu()
