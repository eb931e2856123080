"""How many solutions of each problem should the model write? One greedy one, one sampled, four sampled, after self-evolving.

    python experiments/samples.py --seeds 0 1 2 --store runs [backbone=qwen2vl …]

Of several accepted solutions of one problem all different texts are learned from. The paper does not say what it does.
"""

from __future__ import annotations

from tables.ablation import ablation
from tables.arms import ACCURACY, Arm, evolved

SAMPLED = "sampling.temperature=0.7"
ARMS = {
    "1 greedy": Arm(("sampling.samples=1", "sampling.temperature=0.0")),
    "1 sampled": Arm(("sampling.samples=1", SAMPLED)),
    "4 sampled": Arm(("sampling.samples=4", SAMPLED)),
}
PAIRS = [("1 greedy", "1 sampled"), ("1 greedy", "4 sampled"), ("1 sampled", "4 sampled")]


if __name__ == "__main__":
    ablation(__doc__, "samples", "Samples of each problem, after self-evolving", ARMS, {ACCURACY: evolved}, PAIRS)
