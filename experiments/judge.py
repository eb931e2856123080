"""Who should decide what is learned? The ORM against answer match, both, a binary ORM and nobody, which the paper leaves out.

    python experiments/judge.py --seeds 0 1 2 --store runs [backbone=qwen2vl …]

Runs all stages once per seed and judge, or finds them in the store; feedback in reflection is the ORM's for all.
"""

from __future__ import annotations

from tables.ablation import COGVLM2, ablation
from tables.arms import Arm, evolved, final

EVOLVED, REFLECTED = "after self-evolving", "after reflection"
ARMS = {
    "orm": Arm(),
    "answer": Arm(("judge=answer",)),
    "unfiltered": Arm(("judge=unfiltered",)),
    "both": Arm(("judge=both",)),
    "binary": Arm(("judge=binary",)),
}
PAIRS = [("orm", name) for name in ARMS if name != "orm"]
PAPER = {EVOLVED: {"orm": 62.35}, REFLECTED: {"orm": 64.70}}
NOTE = (
    "`unfiltered` accepts all, so nothing is rejected, every problem is solved in round 1, and reflection has nothing to repair. "
    "`answer` and `both` see the reference answer; so does the ORM with `orm.use_reference`."
)


if __name__ == "__main__":
    ablation(
        __doc__,
        "judge",
        "Judges",
        ARMS,
        {EVOLVED: evolved, REFLECTED: final},
        PAIRS,
        paper=PAPER,
        about_paper=COGVLM2,
        notes=[NOTE],
    )
