"""The command, see `mathse.lineage`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import mathse.lineage
from mathse.command import command, usage
from mathse.lineage import Steps, Written
from mathse.lineage.fate import fate, said
from mathse.lineage.origin import Asked, author, call, draft, pictures, stage_of_row

USAGE = "python -m mathse.lineage <row> [store=runs] [run=runs/reports/<run>]"


def story(steps: Steps, written: Written) -> Iterator[str]:
    """All that is known of a solution, in lines."""
    solution, problem = written.solution, written.solution.problem
    stage, k = stage_of_row(written)
    yield written.id
    yield _line("problem", f"{problem.id}, {problem.source or 'no source'}, level {problem.level}: {problem.question}")
    if problem.choices:
        yield _line("choices", " · ".join(problem.choices))
    yield _line("reference", problem.answer)
    for image, digest in zip(problem.images, pictures(solution), strict=True):
        yield _line("picture", f"{image}, sha256 {digest}")
    yield _line("written in", (f"stage {stage}" if stage else "an evaluation") + (f", round {k}" if k else ""))
    by = author(steps, written)
    if by["model"]:
        yield _line("by", f"{by['model']}: {by['backbone']} {by['checkpoint']}, adapter {by['adapter'] or 'none'}")
        how = ", ".join(f"{name} {by[name]}" for name in ("temperature", "top_p", "max_new_tokens", "seed"))
        yield _line("sampling", f"{how}, sample {solution.index} of {by['samples']}")
    repaired = draft(steps, written)
    asked = call(steps, written, repaired)
    if asked:
        yield _line("by", f"the teacher, {_call(asked)}")
    yield _line("text", solution.text)
    if repaired:
        yield _line("repairs", repaired.written.id)
        yield _line("feedback", f"{repaired.diagnosed_in}, by {repaired.row.verdict.by}: {said(repaired.row.verdict)}")
    yield "became"
    for depth, words in fate(steps, written):
        yield "  " * (depth + 1) + words
    if repaired:
        yield ""
        yield from story(steps, repaired.written)


def _line(label: str, text: str) -> str:
    return f"  {label:<11}" + text.replace("\n", "\n" + " " * 13)


def _call(asked: Asked) -> str:
    if asked.answer is None:
        return asked.teacher + (
            "" if asked.dollars == 0 else "; what it cost is not known: its answer is not in the store's cache"
        )
    tokens = f"{asked.answer.tokens_in} tokens read, {asked.answer.tokens_out} written"
    money = "no price known" if asked.dollars is None else f"{asked.dollars:.6f} $ at the prices of conf/teacher"
    return f"{asked.teacher}, call {(asked.key or '')[:12]}: {tokens}, {money}"


def steps_in(given: dict[str, str]) -> Steps:
    """The steps that `store=` and `run=` mean; a run's store is the folder two above its report."""
    if "run" not in given:
        return Steps(Path(given.get("store", "runs")))
    run = Path(given["run"])
    try:
        summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"run={run}: no report of a finished run (summary.json: {error})") from error
    root = Path(given["store"]) if "store" in given else run.resolve().parent.parent
    return Steps(root, frozenset(step["name"] for step in summary["steps"]))


@command
def main(words: Sequence[str]) -> None:
    """Print the story."""
    usage(mathse.lineage.__doc__, words)
    options = ("store=", "run=")
    given = dict(word.split("=", 1) for word in words if word.startswith(options))
    rows = [word for word in words if not word.startswith(options)]
    if len(rows) != 1 or rows[0].startswith("-"):
        raise ValueError(f"usage: {USAGE}")
    steps = steps_in(given)
    print("\n".join(story(steps, steps.find(rows[0]))))


if __name__ == "__main__":
    sys.exit(main())
