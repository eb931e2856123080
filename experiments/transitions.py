"""What does a stage gain and lose? Figure 2 of the paper in the small world: test problems from right or wrong to right or wrong.

    python experiments/transitions.py --seeds 0 1 2 --store runs [backbone=qwen2vl …]

Runs all three stages once per seed and backbone, or finds them in the store. Prints and saves, for each model and the next, how many
test problems stay right, stay wrong, are lost and are gained, and draws them as a flow from stage to stage (transitions-<backbone>.png).
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tables.arms import options
from tables.compare import Marks, compare
from tables.save import Captioned, Cells, Section, save, world
from tables.stages import marked, neighbours

from mathse.command import command
from mathse.report.charts import save_png
from mathse.report.charts import stages as charts
from mathse.statistics import TRANSITIONS, p_value, transitions

PAPER = {  # CogVLM2, of 2,000, in the order of TRANSITIONS
    "cogvlm2": {
        "base → M_0": (402, 678, 215, 705),
        "M_0 → M_1": (800, 529, 307, 364),
        "M_1 → M_2": (895, 484, 269, 352),
        "M_2 → M_final": (1018, 477, 229, 276),
    }
}


def flows(models: Mapping[str, Marks]) -> list[Counter[tuple[bool, bool]]]:
    """From each model to the next, how many cases of all seeds were (right before, right after)."""
    return [transitions(models[a], models[b]) for a, b in neighbours(list(models))]


def rows_of(marks: Mapping[str, Mapping[str, Marks]]) -> list[dict[str, Any]]:
    """A row for each backbone and transition: counts, ours and the paper's percentages, and p."""
    pairs = neighbours(list(next(iter(marks.values()))))
    tests = {(row.measure, f"{row.against} → {row.arm}"): row for row in compare(marks, {}, pairs) if row.p is not None}
    rows = []
    for backbone, models in marks.items():
        for (a, b), counts in zip(pairs, flows(models), strict=True):
            name, n = f"{a} → {b}", counts.total()
            theirs = PAPER.get(backbone, {}).get(name)
            row: dict[str, Any] = {"backbone": backbone, "transition": name}
            for i, (kind, pair) in enumerate(TRANSITIONS.items()):
                row[kind] = counts[pair]
                row[f"{kind} %"] = 100 * counts[pair] / n
                row[f"{kind} paper %"] = None if theirs is None else 100 * theirs[i] / sum(theirs)
            test = tests[backbone, name]
            rows.append({**row, "n": n, "p": test.p, "p_holm": test.p_holm})
    return rows


def cells(rows: Sequence[Mapping[str, Any]]) -> Cells:
    """The rows for people, header first: in percent, the paper's in brackets."""
    table = [["backbone", "transition", *TRANSITIONS, "p", "p (Holm)", "n"]]
    for row in rows:
        shares = [
            f"{row[f'{kind} %']:.1f}" + (f" ({theirs:.1f})" if (theirs := row[f"{kind} paper %"]) is not None else "")
            for kind in TRANSITIONS
        ]
        table.append(
            [row["backbone"], row["transition"], *shares, p_value(row["p"]), p_value(row["p_holm"]), str(row["n"])]
        )
    return table


@command
def main(words: Sequence[str]) -> None:
    args, overrides = options(__doc__, words)
    ran = marked(args, overrides)
    rows = rows_of(ran.marks)
    title = "What each stage gains and loses (Figure 2)"
    caption = (
        f"{title}, percent of all test problems of seeds {', '.join(map(str, args.seeds))}; the paper's in brackets."
    )
    args.out.mkdir(parents=True, exist_ok=True)
    for backbone, models in ran.marks.items():
        draw = charts.transitions(list(models), flows(models))
        save_png(draw, *charts.flow_size(len(models)), args.out / f"transitions-{backbone}.png")
    weak = [f"{row['backbone']} {row['transition']}" for row in rows if row["p_holm"] >= 0.05]
    sections: list[Section] = [
        world(ran.exp, "CogVLM2 on MathVL-test, 2,000 problems", list(ran.marks)),
        Captioned(caption, cells(rows)),
        f"More gained than lost (or the other way round) is significant at 5 % after Holm in all rows but: {', '.join(weak) or 'none'}. "
        "p is exact, by problem: a problem's gains and losses with all seeds count as one. Holm over the table.",
        *(f"{backbone}, all seeds:\n\n![flow](transitions-{backbone}.png)" for backbone in ran.marks),
    ]
    save(args.out, "transitions", title, sections, rows, ran.exp)


if __name__ == "__main__":
    sys.exit(main())
