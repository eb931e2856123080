"""How many problems should the teacher solve first? Stage 1 alone by the number of seed problems, in the proportions 50, 100, 200.

    python experiments/seed_size.py --seeds 0 1 2 --store runs [backbone=qwen2vl …]

The paper has 100K. Seed problems are nested: the 50 are among the 100. The ORM learns from a student taught by them, so each arm has
its own.
"""

from __future__ import annotations

from tables.ablation import COGVLM2, ablation
from tables.arms import ACCURACY, Arm, distilled

SIZES = (50, 100, 200)
ARMS = {f"{size}": Arm((f"seed_size={size}",)) for size in SIZES}
PAIRS = [("100", "50"), ("100", "200")]
PAPER = {ACCURACY: {"100": 55.35}}
NOTE = "The steps of training are at least `fit.min_steps`, so that a smaller seed is seen more often, not trained on less."


if __name__ == "__main__":
    ablation(
        __doc__,
        "seed_size",
        "Seed problems, after stage 1",
        ARMS,
        {ACCURACY: distilled},
        PAIRS,
        paper=PAPER,
        about_paper=f"{COGVLM2}, 100K problems",
        notes=[NOTE],
    )
