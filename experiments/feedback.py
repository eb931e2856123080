"""Does it matter who says what is wrong? Table 3 of the paper in the small world, and four sources that the paper leaves out.

    python experiments/feedback.py --seeds 0 1 2 --store runs [backbone=qwen2vl …]

Runs train.py once per seed and arm, in one store: arms differ in `feedback` only, so all that comes before `diagnose` is computed
once per seed. Prints and saves the accuracy of M_final by feedback source on the same test problems, against reflection that is told
nothing, and how many repairs each source led to. Started again it goes on where it was.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from arms import HOW, Arm, Case, Marks, by_seed, compare, found, options, save, table, train, world

from mathse.report.reflection import ALL, NONE, RIGHT
from mathse.report.text import markdown
from mathse.types import Judged, read_jsonl

ACCURACY = "accuracy"
ARMS = {
    "none": Arm(("feedback=none",), {ACCURACY: 62.35}),
    "teacher": Arm(("feedback=teacher",), {ACCURACY: 64.25}),
    "orm": Arm(("feedback=orm",), {ACCURACY: 64.70}),
    "binary": Arm(("feedback=binary",)),
    "self": Arm(("feedback=self",)),
    "answer": Arm(("feedback=answer",)),
    "gold_hint": Arm(("feedback=gold_hint",)),
}
BEFORE = "no reflection"  # M_K of the same runs
NOTE = (
    "The paper's `none` is 62.35, to the digit what its Table 1 has before reflection, so it may be no reflection rather than "
    "reflection that is told nothing; here they are two rows. "
    "`gold_hint` tells the teacher the reference answer; `teacher`, and the ORMs with `orm.use_reference`, see it and tell where and why."
)


def marks(seed: int, store: Path, model: Mapping[str, Any]) -> dict[Case, bool]:
    """Which test problems a model of a summary solved."""
    rows = read_jsonl(Judged, store / model["artifact"] / "judged.jsonl")
    return {
        Case(seed, row.solution.problem.id, str(row.solution.index)): row.verdict.status == "correct" for row in rows
    }


def repairs(reflections: Mapping[str, Sequence[Sequence[Mapping[str, Any]]]]) -> list[list[str]]:
    """What became of the rejected solutions by feedback source, summed over seeds, header first."""
    head = ["feedback", "sent", "named a step", "of these right", "repaired", "accepted", "of these wrong"]
    rows = [head]
    for arm, summaries in reflections.items():
        every = [row for rows in summaries for row in rows]

        def total(key: str, *kinds: str, rows: Sequence[Mapping[str, Any]] = every) -> int:
            return sum(row[key] for row in rows if row["named"] in kinds)

        sent, accepted = total("sent", ALL), total("accepted", ALL)
        steps = sent - total("sent", NONE)
        cells = [
            (steps, sent),
            (total("sent", RIGHT), steps),
            (total("repaired", ALL), sent),
            (accepted, sent),
            (total("accepted_wrong", ALL), accepted),
        ]
        rows.append([arm, str(sent), *(f"{k} ({100 * k / n:.1f} %)" if n else f"{k}" for k, n in cells)])
    return rows


def main() -> None:
    args, overrides = options(__doc__)
    right: dict[str, dict[Case, bool]] = {BEFORE: {}}
    reflections: dict[str, list[list[Mapping[str, Any]]]] = {}
    summary: dict[str, Any] = {}
    for seed in args.seeds:
        for name, arm in ARMS.items():
            summary = train([*overrides, *arm.overrides, f"seed={seed}", f"store={args.store}"])
            new = [step["name"].rpartition("-")[0] for step in summary["steps"] if not step["cached"]]
            print(f"\n{name}, seed {seed}: {len(new)} steps computed ({', '.join(new)})\n", file=sys.stderr, flush=True)
            if "reflection" not in summary or summary["models"][-1]["name"] != "M_final":
                sys.exit("mathse: these arms differ in the last reflection only; take stage=reflect and K of 1 or more")
            before, final = summary["models"][-2:]
            right[BEFORE] |= marks(seed, args.store, before)
            right.setdefault(name, {}).update(marks(seed, args.store, final))
            reflections.setdefault(name, []).append(summary["reflection"])
    pairs = [("none", name) for name in right if name != "none"] + [("teacher", "orm")]
    measures: dict[str, dict[str, Marks]] = {ACCURACY: dict(right)}
    rows = compare(measures, ARMS, pairs)
    parts = [
        f"# Feedback sources (Table 3), seeds {', '.join(map(str, args.seeds))}",
        world(summary["scale"], summary["backbone"], "CogVLM2 on MathVL-test, 2,000 problems"),
        markdown(table(rows)),
        found(rows),
        f"{HOW} {NOTE}",
        "Accuracy of M_final by seed, with Wilson intervals:",
        markdown(by_seed(right)),
        "The rejected solutions, all seeds together. Repaired: to the right answer; steps are right by the problem's own program; a "
        "diagnosis that cannot be read, or calls the solution correct, is not sent.",
        markdown(repairs(reflections)),
        *(
            f"`{arm}` sent nothing to reflection with some seed: its M_final there is M_K trained again on the same solutions."
            for arm, summaries in reflections.items()
            if not all(summaries)
        ),
    ]
    save(args.out, "feedback", parts, rows)


if __name__ == "__main__":
    main()
