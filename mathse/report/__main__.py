"""`python -m mathse.report RUN [RUN …] out=DIR [store=DIR]`: the report of a run, or of several side by side, from what is stored.

RUN is a run's report folder (`runs/reports/reflect-…`), finished or not; a sweep's (`runs/sweeps/…`) or a store (`runs`) stands for all
of its runs. For one run report.html, report.md and accuracy.png are written to `out`; for several, a comparison. Needs no model. `store=`
names the artifacts' folder where that is not two folders above a RUN.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from mathse.command import command, usage
from mathse.report.run import Run, read_run, runs_below


def read(words: Sequence[str]) -> tuple[list[Run], Path]:
    """The runs that the command's words name, and where their report goes. Raises ValueError saying which word is wrong."""
    given = dict(word.partition("=")[::2] for word in words if "=" in word)
    folders = [Path(word) for word in words if "=" not in word]
    odd = [key for key in given if key not in ("out", "store")]
    if odd:
        raise ValueError(f"there is no {odd[0]!r}; the words are RUN [RUN …] out= store=")
    if not folders or not given.get("out"):
        raise ValueError("a run's report or a store is missing" if not folders else "out= is missing")
    store = Path(given["store"]) if "store" in given else None
    places = list(dict.fromkeys(place.resolve() for folder in folders for place in runs_below(folder)))
    return [read_run(place, store) for place in places], Path(given["out"])


@command
def main(words: Sequence[str]) -> None:
    """Write the report, and say what is missing on stderr."""
    from mathse.report.write import write_run, write_runs

    usage(__doc__, words)
    runs, out = read(words)
    out.mkdir(parents=True, exist_ok=True)
    print(write_run(out, runs[0]) if len(runs) == 1 else write_runs(out, runs))
    for run in runs:
        for words_ in run.missing:
            print(f"{run.name}: {words_}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
