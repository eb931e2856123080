"""One step in a process of its own: `python -m mathse.run_step <work directory>`, called by the store.

It frees GPU memory when it ends, and Lightning's DDP launcher, which starts this command line again for every rank, finds
one step here instead of the whole algorithm.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from mathse.store import METRICS, RECIPE, RUNTIME, call, find, restore


def main() -> None:
    work = Path(sys.argv[1])
    recipe = json.loads((work / RECIPE).read_text(encoding="utf-8"))
    inputs = {name: restore(value, work.parent) for name, value in recipe["inputs"].items()}
    runtime = restore(json.loads((work / RUNTIME).read_text()), work.parent)
    metrics = call(find(recipe["step"]), work, inputs, runtime)
    (work / METRICS).write_text(json.dumps(metrics))


if __name__ == "__main__":
    main()
