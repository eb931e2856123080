"""What does a step of fine-tuning cost, against peft's own layer, other attentions, and rows padded to their own lengths?

    python experiments/speed/finetuning.py [--backbone qwen2vl --repeats 4]

Steps of 16 rows of the tiny model on figures, on one thread, in processor time: the arms take turns on the same rows, so a busy machine
meets them alike. Prints each arm's median, its ratio to ours, and the largest relative difference of its gradient to ours.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from peft.tuners.lora import Linear4bit
from torch import Tensor

import mathse.backbones
from mathse.backbones import LENGTHS, Loaded, Row
from mathse.backbones.adapted import Adapted4bit
from mathse.backbones.attention import NAME
from mathse.config import load
from mathse.figures.data import Figures
from mathse.fit import plan
from mathse.steps.generate import ask
from mathse.types import Turn

ROWS = 16
STEPS = 24  # of rows drawn and sorted as in training, so that their lengths come as they do there
# What each arm changes: the attention, by transformers' name, whether peft's own layer adds the adapter, and what lengths are padded to.
ARMS = {
    "ours": (NAME, False, LENGTHS),
    "lengths as they come": (NAME, False, 1),
    "peft's 4-bit layer": (NAME, True, LENGTHS),
    "transformers' eager attention": ("eager", False, LENGTHS),
    "torch's fused attention": ("sdpa", False, LENGTHS),
    "all of peft and transformers": ("eager", True, 1),
}


@contextmanager
def arm(loaded: Loaded, attention: str, peft: bool, lengths: int) -> Iterator[None]:
    """The model, computing as an arm does. Both classes hold the same weights, so changing an object's class changes its forward."""
    layers = [module for module in loaded.module.modules() if isinstance(module, Linear4bit)]
    for layer in layers:
        layer.__class__ = Linear4bit if peft else Adapted4bit
    text = loaded.module.get_base_model().model.language_model.config
    text._attn_implementation, mathse.backbones.LENGTHS = attention, lengths
    try:
        yield
    finally:
        text._attn_implementation, mathse.backbones.LENGTHS = NAME, LENGTHS


def step(loaded: Loaded, rows: list[Row]) -> Tensor:
    """The gradient of one step, as one vector."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = loaded.loss(loaded.batch(rows, side="right")) / sum(int(row.trained.sum()) for row in rows)
    trained = [parameter for parameter in loaded.module.parameters() if parameter.requires_grad]
    return torch.cat([gradient.flatten() for gradient in torch.autograd.grad(loss, trained)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", choices=["qwen2vl", "internvl25"], default="qwen2vl")
    parser.add_argument("--repeats", type=int, default=4)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    run = load(f"backbone={args.backbone}")
    loaded = run.backbone.load(lora=run.lora)
    loaded.module.train()
    for name, parameter in loaded.module.named_parameters():
        if "lora_B" in name:  # zero before training, and with it A's gradient
            torch.nn.init.normal_(parameter, std=0.02)
    with tempfile.TemporaryDirectory() as folder:
        problems = Figures(size=STEPS * ROWS, seed=3, split="train", families=()).write(Path(folder))
        chats = [ask(problem) for problem in problems]
        solved = zip(chats, run.teacher(chats), strict=True)
        rows = [loaded.encode((*chat, Turn("assistant", text))) for chat, text in solved]
        one = dataclasses.replace(run.fit, epochs=1.0, min_steps=1, batch_size=ROWS, micro_batch_size=ROWS)
        batches = [[rows[i] for i in batch] for batch in plan([len(row) for row in rows], one, seed=0)]
        times: dict[str, list[float]] = {name: [] for name in ARMS}
        gradients: dict[str, Tensor] = {}
        for repeat in range(args.repeats + 1):
            for name, change in ARMS.items():
                with arm(loaded, *change):
                    begun = time.process_time()
                    gradient = torch.stack([step(loaded, batch) for batch in batches])
                    if repeat:  # the first warms up
                        times[name].append((time.process_time() - begun) / len(batches))
                    gradients[name] = gradient
    ours = statistics.median(times["ours"])
    print(
        f"{args.backbone}: {ROWS} rows of {len(rows[0])} to {len(rows[-1])} tokens, {args.repeats} repeats, one thread"
    )
    print(f"{'':<32}{'ms a step':>10}{'ratio':>8}{'gradient':>10}")
    for name, measured in times.items():
        median = statistics.median(measured)
        apart = float((gradients[name] - gradients["ours"]).norm() / gradients["ours"].norm())
        print(f"{name:<32}{1000 * median:>10.0f}{median / ours:>8.2f}{apart:>10.1e}")


if __name__ == "__main__":
    main()
