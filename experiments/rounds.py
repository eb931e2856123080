"""How many rounds of self-evolving? M_K for K = 0 … 4, before reflection; the paper has K = 2 and gives its rounds one by one.

    python experiments/rounds.py --seeds 0 1 2 --store runs [backbone=qwen2vl …]

Shared beginnings are computed once: all of it costs the run with the largest K.
"""

from __future__ import annotations

from tables.ablation import COGVLM2, ablation
from tables.arms import ACCURACY, Arm, evolved
from tables.stages import neighbours

ARMS = {f"K={K}": Arm((f"K={K}",)) for K in range(5)}
PAIRS = [*neighbours(list(ARMS)), ("K=2", "K=4")]
PAPER = {ACCURACY: {"K=0": 55.35, "K=1": 58.20, "K=2": 62.35}}


if __name__ == "__main__":
    ablation(
        __doc__,
        "rounds",
        "Rounds of self-evolving",
        ARMS,
        {ACCURACY: evolved},
        PAIRS,
        paper=PAPER,
        about_paper=COGVLM2,
    )
