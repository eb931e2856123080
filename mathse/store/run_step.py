"""One step in a process of its own: `python -m mathse.store.run_step <work directory>`, called by the store.

It frees GPU memory when it ends. Where several devices share a step, each has such a process: they fine-tune together (DDP) or
take the chunks of a long step in turn, and never see the algorithm around it.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path

from mathse.command import MISTAKES, usage
from mathse.progress import RELAY
from mathse.store import CALL, RECIPE, Rank, Runtime, call, find, metrics_of, restore


def end_with_the_run() -> None:
    """End when the process that started this one does: its lock goes with it, and another may begin in the same directory."""

    def wait() -> None:
        while os.read(0, 1):
            pass
        os._exit(1)

    if RELAY in os.environ:  # else it was started by hand, and its input says nothing
        threading.Thread(target=wait, daemon=True).start()


def main() -> None:
    usage(__doc__, sys.argv[1:])
    end_with_the_run()
    work = Path(sys.argv[1])
    step = find(json.loads((work / RECIPE).read_text(encoding="utf-8"))["step"])
    given = restore(json.loads((work / CALL).read_text(encoding="utf-8")), work.parent)
    rank = Rank.mine()
    _take(rank, given["runtime"])
    try:
        done = call(step, work, given["inputs"], given["runtime"], given["run"])
    except MISTAKES as error:
        if os.environ.get("MATHSE_TRACEBACK"):
            raise
        sys.exit(f"mathse: {error}")
    except KeyboardInterrupt:  # the run, which it reached too, says so
        sys.exit(130)
    metrics_of(work, rank.number).write_text(json.dumps(done))


def _take(rank: Rank, runtime: Runtime) -> None:
    """Each rank has its own GPU, which is what it means by cuda from here on."""
    if rank.of > 1 and runtime.device == "cuda":
        import torch

        torch.cuda.set_device(rank.number)


if __name__ == "__main__":
    main()
