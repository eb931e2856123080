"""What does a sweep over K cost in one store, against its longest run and against the same arms in stores of their own?

    python experiments/speed/sweep.py [--K 0 1 2 3 4] [--small] [--keep DIR] [stage=evolve …]

Runs `train.py -m K=0,1,2,3,4` in one new store, then each K alone in another new one, and prints seconds, seconds of processor (less
disturbed by other work on the machine) and steps computed. Its last lines are the ratios: the sweep over its longest run as it is, and
without the steps that the longest run does not have: the reflection, the final training and its evaluation are each K's own. Wanted: at
most 1.3 without them. --small: sizes at which all this takes minutes; the models learn next to nothing, the steps are the same. Other
words are overrides.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mathse.report.text import aligned

ROOT = Path(__file__).parent.parent.parent
WANTED = 1.3
SMALL = (
    "data.size=260",
    "orm_problems=104",
    "seed_size=78",
    "benchmark.data.size=52",
    "fit.min_steps=12",
    "fit.epochs=1",
    "orm.fit.min_steps=30",
    "orm.fit.epochs=1",
)


@dataclass(frozen=True)
class Cost:
    """What a command cost, and the summaries of the runs that it made."""

    seconds: float
    processor: float
    summaries: tuple[dict[str, Any], ...]

    @property
    def computed(self) -> list[dict[str, Any]]:
        """The steps that were computed."""
        return [step for summary in self.summaries for step in summary["steps"] if not step["cached"]]

    def row(self, name: str) -> list[str]:
        return [name, f"{self.seconds:.1f}", f"{self.processor:.1f}", str(len(self.computed))]


def cost(store: Path, words: Sequence[str]) -> Cost:
    """Run `train.py` with these words in a new store."""
    command = [sys.executable, "train.py", *words, f"store={store}", f"report={store}/reports", "tracker=none"]
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(command, cwd=ROOT, stdout=sys.stderr)
    seconds, after = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(done.returncode)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    summaries = [json.loads(path.read_text()) for path in store.glob("reports/*/summary.json")]
    return Cost(seconds, processor, tuple(sorted(summaries, key=lambda summary: summary["K"])))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--K", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--small", action="store_true")
    parser.add_argument(
        "--keep", type=Path, help="where the stores go, which should not be there yet (default: away afterwards)"
    )
    args, overrides = parser.parse_known_args()
    words = [*(SMALL if args.small else ()), *overrides]
    with tempfile.TemporaryDirectory() as away:
        folder = (args.keep or Path(away)).resolve()
        sweep = cost(folder / "sweep", ["-m", f"K={','.join(map(str, args.K))}", *words])
        alone = {k: cost(folder / f"K{k}", [f"K={k}", *words]) for k in args.K}
    longest = alone[max(args.K)]
    separate = Cost(
        sum(arm.seconds for arm in alone.values()),
        sum(arm.processor for arm in alone.values()),
        tuple(summary for arm in alone.values() for summary in arm.summaries),
    )
    shared = {step["name"] for step in longest.summaries[0]["steps"]}
    own = [step for step in sweep.computed if step["name"] not in shared]
    rows = [["", "seconds", "of processor", "steps computed"], sweep.row("the sweep, one store")]
    rows += [arm.row(f"K={k}, a store of its own") for k, arm in alone.items()]
    rows += [separate.row("all of these")]
    print(aligned(rows))
    print(
        f"steps of the sweep that its longest run does not have: {len(own)}, {sum(step['seconds'] for step in own):.1f} s"
    )
    without = (sweep.seconds - sum(step["seconds"] for step in own)) / longest.seconds
    print(
        f"separate stores over the sweep: {separate.seconds / sweep.seconds:.2f} (processor {separate.processor / sweep.processor:.2f})"
    )
    print(
        f"the sweep over its longest run: {sweep.seconds / longest.seconds:.2f} (processor {sweep.processor / longest.processor:.2f})"
    )
    print(
        f"… without the steps that are each K's own: {without:.2f}, wanted at most {WANTED}: {'yes' if without <= WANTED else 'no'}"
    )


if __name__ == "__main__":
    main()
