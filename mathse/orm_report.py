"""`python -m mathse.orm_report RUN_OR_STORE … out=DIR [store=DIR]`: what judges let through, where they point, how sure they are.

RUN is a run's report (`runs/reports/reflect-…`), STORE a folder of artifacts (`runs`); several are put side by side. Every judge in them
but answer match is measured, on its held-out solutions and on those of the loop. Needs no model. Prints the overview; leaves orm.html (all
of it, and what was accepted with a wrong answer and rejected with the right one), orm.md, orm.png (reliability, purity against yield) and
orm.json in `out`.
A run's report has all this already; `store=` names its store where that is not the folder two above it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mathse.command import command, usage
from mathse.report.files import write_text
from mathse.report.orm import Instrument, instruments, printed, write
from mathse.report.orm.plot import MOST
from mathse.report.orm.tables import groups
from mathse.report.page import write_report
from mathse.report.parts import Gallery, Report, section, to_markdown
from mathse.report.sections.judge import instrument_parts
from mathse.store import RECORD, Artifact

Steps = list[tuple[Artifact, Mapping[str, Any]]]


def orm_report(words: Sequence[str]) -> tuple[list[Instrument], Path]:
    """The judges that the command's words ask for and the folder that their report was written to. Raises ValueError saying which
    word is wrong."""
    given = dict(word.partition("=")[::2] for word in words if "=" in word)
    folders = [Path(word) for word in words if "=" not in word]
    odd = [key for key in given if key not in ("out", "store")]
    if odd:
        raise ValueError(f"there is no {odd[0]!r}; the words are RUN_OR_STORE … out= store=")
    if not folders or not given.get("out"):
        raise ValueError("a run's report or a store is missing" if not folders else "out= is missing")
    store = Path(given["store"]) if "store" in given else None
    steps = {artifact.name: (artifact, recipe) for folder in folders for artifact, recipe in steps_of(folder, store)}
    found = instruments(steps.values())
    if not found:
        raise ValueError(
            f"{', '.join(map(str, folders))}: no judge but answer match gave verdicts there; run with judge=orm, for example"
        )
    out = Path(given["out"])
    out.mkdir(parents=True, exist_ok=True)
    write(out, found)
    report = report_of(", ".join(folder.resolve().name for folder in folders), found)
    write_text(out / "orm.md", to_markdown(report))
    write_report(out / "orm.html", report)
    return found, out


def report_of(title: str, found: Sequence[Instrument]) -> Report:
    """What was measured of the judges, and where they and the reference answers contradict each other."""
    odd = groups(found)
    rule = f"{sum(len(group.examples) for group in odd)} solutions about which judge and reference answer contradict each other."
    sections = section("judges", "The judges", instrument_parts(found))
    sections += section("gallery", "Gallery", Gallery(odd, rule) if odd else None)
    notices = [f"orm.png shows the first {MOST} judges with scores."] if len(found) > MOST else []
    return Report(
        title, "Judges", f"{len(found)} measured against reference answers.", sections=sections, notices=notices
    )


def steps_of(folder: Path, store: Path | None) -> Steps:
    """The steps of a run, or all in a store, each with its recipe."""
    if (folder / "summary.json").is_file():
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        root = store or folder.resolve().parent.parent
        return [_step(root / step["name"], "give its store with store=…") for step in summary["steps"]]
    records = sorted(folder.glob(f"*-*/{RECORD}"))
    if not records:
        raise ValueError(f"{folder}: neither a run's report (summary.json) nor a store (<step>-<hash>/{RECORD})")
    return [_step(record.parent, "delete it and it will be computed again") for record in records]


def _step(folder: Path, advice: str) -> tuple[Artifact, Mapping[str, Any]]:
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        return Artifact(folder.name, folder, record["metrics"]), record
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"{folder / RECORD}: missing or broken; {advice}") from error


@command
def main(words: Sequence[str]) -> None:
    """Measure, and print the overview."""
    usage(__doc__, words)
    found, out = orm_report(words)
    print(printed(found))
    print(out / "orm.md")


if __name__ == "__main__":
    sys.exit(main())
