"""Does each stage help? Table 1 of the paper in the small world: base, M_0 … M_K and M_final of each backbone.

    python experiments/stages.py --seeds 0 1 2 --store runs [backbone=qwen2vl …]

Runs all three stages once per seed and backbone, or finds them in the store, and compares each model with the one before it, and
M_K with M_0.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tables.arms import options
from tables.save import publish
from tables.stages import PAPER, marked, neighbours

from mathse.command import command


@command
def main(words: Sequence[str]) -> None:
    args, overrides = options(__doc__, words)
    ran = marked(args, overrides)
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
    sys.exit(main())
