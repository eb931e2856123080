"""Should each M_k start from the base or from the model before it? The paper says both, and compares neither.

python experiments/init_from.py --seeds 0 1 2 --store runs [backbone=qwen2vl …]
"""

from __future__ import annotations

from tables.ablation import COGVLM2, ablation
from tables.arms import Arm, evolved, final

EVOLVED, REFLECTED = "after self-evolving", "after reflection"
ARMS = {"base": Arm(("init_from=base",)), "previous": Arm(("init_from=previous",))}
PAIRS = [("base", "previous")]
PAPER = {EVOLVED: {"base": 62.35}, REFLECTED: {"base": 64.70}}
NOTE = "A model that goes on has been trained for longer in all: each round trains as many epochs on all of D_SFT, wherever it starts."


if __name__ == "__main__":
    ablation(
        __doc__,
        "init_from",
        "From the base or continued",
        ARMS,
        {EVOLVED: evolved, REFLECTED: final},
        PAIRS,
        paper=PAPER,
        about_paper=COGVLM2,
        notes=[NOTE],
    )
