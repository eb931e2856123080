"""How large must the adapter be? M_final's data learned with other ranks of LoRA.

    python experiments/lora_rank.py --seeds 0 1 2 --store runs [backbone=qwen2vl …]

Runs all three stages once per seed, or finds them in the store, and trains the base on what M_final learned from with each rank
(alpha is twice the rank). So the data are equal; what other ranks would do to the rounds before is not asked.
"""

from __future__ import annotations

import dataclasses

from tables.ablation import ablation
from tables.arms import ACCURACY, Arm, Making, final, fine_tune, learned

from mathse.config import Experiment
from mathse.feedback import Run
from mathse.types import Model, Problems


def rank(size: int) -> Making:
    """Trains an adapter of this rank on M_final's data."""

    def make(exp: Experiment, problems: Problems, run: Run) -> Model:
        model = final(exp, problems, run)
        lora = dataclasses.replace(exp.lora, rank=size, alpha=2 * size)
        if lora == exp.lora:
            return model
        return fine_tune(dataclasses.replace(exp, lora=lora), learned(model), run, f"rank {size}")

    return make


SIZES = (2, 8, 32, 128)
ARMS = {f"{size}": Arm(make=rank(size)) for size in SIZES}
PAIRS = [("32", name) for name in ARMS if name != "32"]
NOTE = "All ranks have the learning rate that was chosen with rank 32."


if __name__ == "__main__":
    ablation(__doc__, "lora_rank", "LoRA rank, on the data of M_final", ARMS, {ACCURACY: final}, PAIRS, notes=[NOTE])
