"""Which part of D_SFT does the work? M_final's data taken apart, which the paper does not do.

    python experiments/composition.py --seeds 0 1 2 --store runs [backbone=qwen2vl …]

Runs all three stages once per seed, or finds them in the store, and trains the base on each part of what M_final learned from, and
on each pair of parts: the teacher's solutions of stage 1 (distilled), the model's own of all rounds (self-made), the repairs (reflected).
"""

from __future__ import annotations

from tables.ablation import COGVLM2, ablation
from tables.arms import ACCURACY, Arm, Making, distilled, evolved, final, fine_tune, learned

from mathse.config import Experiment
from mathse.feedback import Run
from mathse.types import Model, Problems

PARTS = {"distilled": slice(0, 1), "self-made": slice(1, -1), "reflected": slice(-1, None)}


def only(*parts: str) -> Making:
    """Trains on these parts of M_final's data."""

    def make(exp: Experiment, problems: Problems, run: Run) -> Model:
        data = learned(final(exp, problems, run))
        return fine_tune(exp, [artifact for part in parts for artifact in data[PARTS[part]]], run, " + ".join(parts))

    return make


ARMS = {
    "distilled": Arm(make=distilled),
    "self-made": Arm(make=only("self-made")),
    "reflected": Arm(make=only("reflected")),
    "distilled + self-made": Arm(make=evolved),
    "distilled + reflected": Arm(make=only("distilled", "reflected")),
    "self-made + reflected": Arm(make=only("self-made", "reflected")),
    "all three": Arm(make=final),
}
PAIRS = [
    ("distilled", "self-made"),
    ("distilled", "distilled + self-made"),
    ("distilled", "distilled + reflected"),
    ("reflected", "self-made + reflected"),
    ("distilled + self-made", "all three"),
    ("distilled + reflected", "all three"),
    ("self-made + reflected", "all three"),
]
PAPER = {ACCURACY: {"distilled": 55.35, "distilled + self-made": 62.35, "all three": 64.70}}
NOTE = "The parts are as large as they are: what is due to a part's size and what to its kind is not told apart here."


if __name__ == "__main__":
    ablation(
        __doc__,
        "composition",
        "Data composition",
        ARMS,
        {ACCURACY: final},
        PAIRS,
        paper=PAPER,
        about_paper=COGVLM2,
        notes=[NOTE],
    )
