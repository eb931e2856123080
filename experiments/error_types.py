"""Which mistakes are left? Figure 4 of the paper in the small world: types of error in the wrong solutions of each model.

    python experiments/error_types.py --seeds 0 1 2 --store runs [--by teacher] [backbone=qwen2vl …]

Asks a feedback source (the teacher; --by orm: the run's ORM) what is wrong in every wrong solution of the test problems, and reads
the type off its words (mathse/report/errors.py). Prints and saves the share of each type among the errors of each model, and what
each stage changes, per hundred test problems; draws both (error_types.png).
"""

from __future__ import annotations

import dataclasses
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tables.arms import compose, options
from tables.compare import HOW, Case, compare, found, table
from tables.save import Captioned, Cells, Section, save, world
from tables.stages import Reached, neighbours, stages

from mathse.algorithm import begin
from mathse.command import command
from mathse.report.charts import save_png
from mathse.report.charts.errors import size, types_of_error
from mathse.report.errors import TYPES, UNCLASSIFIED, error_type
from mathse.statistics import bootstrap
from mathse.steps.judging import diagnose
from mathse.types import Judged, read_jsonl
from mathse.whole import read

KINDS = (*TYPES, UNCLASSIFIED)
RIGHT = "right"
PAPER = {  # of the wrong solutions, in percent; by the figure, with which the paper's text does not agree
    "cogvlm2": {"reasoning": 63.1, "knowledge": 9.4, "calculation": 1.7, "question": 21.6, "vision": 4.1},
    "qwen2vl": {"reasoning": 68.2, "knowledge": 7.7, "calculation": 1.1, "question": 22.5, "vision": 0.6},
    "internvl25": {"reasoning": 65.3, "knowledge": 6.3, "calculation": 1.0, "question": 27.0, "vision": 0.4},
}
Kinds = dict[str, dict[str, dict[Case, str]]]  # by backbone and model, the type of each error, or `right`


def types_of(reached: Reached, by: str, overrides: Sequence[str]) -> dict[Case, str]:
    """The type of error in each scored solution of a model, by a feedback source's words."""
    exp, run = reached.exp, reached.run
    _, kept, taught = begin(exp, read(exp, run), run)
    asked = compose([*overrides, f"backbone={reached.backbone}", f"feedback={by}"], exp.seed, Path(exp.store))
    source = asked.feedback.prepare(run, taught, kept, reached.model)
    diagnosed = run(diagnose, judged=[reached.scored], source=source, repeated="all", solved_later="keep")
    said = {row.solution.id: row.verdict for row in read_jsonl(Judged, diagnosed.path / "judged.jsonl")}
    kinds = {}
    for row in read_jsonl(Judged, reached.scored.path / "judged.jsonl"):
        case = Case(exp.seed, row.solution.problem.id, str(row.solution.index))
        verdict = said.get(row.solution.id)
        kinds[case] = RIGHT if row.verdict.status == "correct" else error_type(verdict.analysis if verdict else "")
    return kinds


def shares(kinds: Kinds) -> Cells:
    """The share of each type among the errors of each model, with intervals by problem, the paper's beside its last. Header first."""
    head = ["backbone", "model", "errors", *KINDS]
    rows = [head]
    for backbone, models in kinds.items():
        for name, found_kinds in models.items():
            wrong = [(case.problem, kind) for case, kind in found_kinds.items() if kind != RIGHT]
            cells = []
            for kind in KINDS:
                here = [float(other == kind) for _, other in wrong]
                low, high = bootstrap(here, [problem for problem, _ in wrong])
                cells.append(f"{100 * sum(here) / max(1, len(here)):.1f} [{100 * low:.1f}, {100 * high:.1f}]")
            rows.append([backbone, name, str(len(wrong)), *cells])
        if backbone in PAPER:
            theirs = [f"{PAPER[backbone][kind]:.1f}" if kind in PAPER[backbone] else "" for kind in KINDS]
            rows.append([backbone, "paper", "", *theirs])
    return rows


def changes(kinds: Kinds) -> dict[str, dict[str, dict[Case, bool]]]:
    """By backbone and type, and by model, whether a test problem's solution has that type of error: what `compare` takes."""
    return {
        f"{backbone}: {kind}": {
            name: {case: other == kind for case, other in of_model.items()} for name, of_model in models.items()
        }
        for backbone, models in kinds.items()
        for kind in TYPES
        if any(kind in of_model.values() for of_model in models.values())
    }


@command
def main(words: Sequence[str]) -> None:
    args, overrides = options(
        __doc__, words, more={"by": {"default": "teacher", "help": "the feedback source that says what is wrong"}}
    )
    kinds: Kinds = {}
    exp = None
    for reached in stages(args, overrides):
        exp = reached.exp
        kinds.setdefault(reached.backbone, {}).setdefault(reached.model.name, {}).update(
            types_of(reached, args.by, overrides)
        )
    assert exp is not None
    names = list(next(iter(kinds.values())))
    rows = compare(changes(kinds), {}, neighbours(names))
    title = "Types of error (Figure 4)"
    args.out.mkdir(parents=True, exist_ok=True)
    bars = counts(kinds)
    save_png(types_of_error(bars, "wrong solutions"), *size(bars), args.out / "error_types.png")
    sections: list[Section] = [
        world(
            exp,
            "MathVL-test, 2,000 problems; who classified is not said, and its text does not agree with its figure",
            list(kinds),
        ),
        Captioned(
            f"{title} by the words of `{args.by}`: percent of the wrong solutions of each model, seeds "
            f"{', '.join(map(str, args.seeds))}, with intervals by problem.",
            shares(kinds),
        ),
        "![types](error_types.png)",
        Captioned(
            "What each stage changes: errors of each type in a hundred test problems.",
            table([row for row in rows if row.against], "errors"),
        ),
        found(rows),
        HOW,
    ]
    save(args.out, "error_types", title, sections, [dataclasses.asdict(row) for row in rows], exp)


def counts(kinds: Kinds) -> dict[str, dict[str, float]]:
    """How many errors of each type, by backbone and model."""
    return {
        f"{backbone} {name}": {**Counter(kind for kind in of_model.values() if kind != RIGHT)}
        for backbone, models in kinds.items()
        for name, of_model in models.items()
    }


if __name__ == "__main__":
    sys.exit(main())
