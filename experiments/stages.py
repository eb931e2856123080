"""Does each stage help? Table 1 of the paper in the small world: base, M_0 … M_K and M_final of each backbone.

    python experiments/stages.py --seeds 0 1 2 --store runs [backbone=qwen2vl …]

Runs all three stages once per seed and backbone, or finds them in the store, and compares each model with the one before it, and
M_K with M_0.
"""

from __future__ import annotations

import sys

from tables.arms import Ran, marks, options
from tables.save import publish
from tables.stages import PAPER, neighbours, stages

from mathse.store.run_step import MISTAKES


def main() -> None:
    args, overrides = options(__doc__)
    ran: Ran | None = None
    try:
        for exp, _, backbone, model, scored in stages(args, overrides):
            ran = ran or Ran(exp)
            ran.add(backbone, model.name, model, marks(exp.seed, scored))
    except MISTAKES as error:
        sys.exit(f"mathse: {error}")
    assert ran is not None
    names = list(next(iter(ran.marks.values())))
    evolved = [name for name in names if name not in ("base", "M_0", "M_final")]
    publish(
        args,
        "stages",
        "Accuracy by stage (Table 1)",
        ran,
        pairs=[*neighbours(names), *(("M_0", name) for name in evolved[1:][-1:])],
        paper=PAPER,
        about_paper="MathVL-test, 2,000 problems",
        measure="backbone",
        backbones=list(ran.marks),
    )


if __name__ == "__main__":
    main()
