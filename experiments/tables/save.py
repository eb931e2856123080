"""A table as it leaves an experiment: printed, Markdown, LaTeX (booktabs), CSV, and a W&B run of its own."""

from __future__ import annotations

import argparse
import csv
import dataclasses
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mathse.config import Experiment
from mathse.report.files import write_text
from mathse.report.text import markdown
from mathse.report.wandb import Wandb
from tables.arms import Ran
from tables.compare import HOW, Paper, by_seed, compare, found, table

Cells = list[list[str]]  # header first


class Captioned(NamedTuple):
    """A table and what it shows, in a sentence."""

    caption: str
    cells: Cells


Section = str | Captioned

ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "→": r"$\rightarrow$",
    "≥": r"$\geq$",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}
NUMBER = re.compile(r"[-+\d.,\[\]()e %<]*(?: to [-+\d.]+)?")


def world(exp: Experiment, paper: str, backbones: Sequence[str] = ()) -> str:
    """What the two columns of numbers have to do with each other."""
    ours = f"Ours: scale {exp.scale}, backbone {', '.join(backbones) or exp.backbone.family}."
    if not paper:
        return f"{ours} The paper has no such table."
    return (
        f"{ours} The paper's: {paper}, one seed, no intervals. These are different worlds: the columns may be compared by sign and "
        "order, not by size."
    )


def latex(section: Captioned) -> str:
    """The table for a paper, with booktabs; words left, numbers right."""
    head, *body = section.cells
    kinds = ["r" if all(NUMBER.fullmatch(row[i]) for row in body) else "l" for i in range(len(head))]
    lines = [" & ".join(map(escaped, row)) + r" \\" for row in (head, *body)]
    return "\n".join(
        [
            r"\begin{table}",
            rf"\caption{{{escaped(section.caption)}}}",
            rf"\begin{{tabular}}{{{''.join(kinds)}}}",
            r"\toprule",
            lines[0],
            r"\midrule",
            *lines[1:],
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
    )


def escaped(text: str) -> str:
    """Text as LaTeX prints it.

    >>> escaped("M_0, 5 % & more")
    'M\\\\_0, 5 \\\\% \\\\& more'
    """
    return "".join(ESCAPES.get(sign, sign) for sign in text)


def save(
    out: Path, name: str, title: str, sections: Sequence[Section], rows: Sequence[Mapping[str, Any]], exp: Experiment
) -> None:
    """Print the sections and write them to `<name>.md`, its tables to `<name>.tex`, the rows to `<name>.csv` and to a W&B run."""
    out.mkdir(parents=True, exist_ok=True)
    parts = [f"{part.caption}\n\n{markdown(part.cells)}" if isinstance(part, Captioned) else part for part in sections]
    text = "\n\n".join([f"# {title}", *parts])
    print(text, flush=True)
    write_text(out / f"{name}.md", text + "\n")
    tables = [latex(part) for part in sections if isinstance(part, Captioned)]
    write_text(out / f"{name}.tex", "\n\n".join([f"% {title}; needs \\usepackage{{booktabs}}", *tables]) + "\n")
    columns = list(rows[0]) if rows else []
    with (out / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    if isinstance(exp.tracker, Wandb):
        exp.tracker.table(exp, name, rows)
    print(f"\n{out / name}.md, .tex, .csv", file=sys.stderr)


def publish(
    args: argparse.Namespace,
    name: str,
    title: str,
    ran: Ran,
    *,
    pairs: Sequence[tuple[str, str]],
    paper: Paper | None = None,
    about_paper: str = "",
    measure: str = "measure",
    backbones: Sequence[str] = (),
    notes: Sequence[Section] = (),
) -> None:
    """Compare the arms, say what is found, and save it all. Raises ValueError at the end where an arm failed.

    `pairs`: which arm is held against which, the reference first; `about_paper`: where the paper's numbers are from.
    """
    rows = compare(ran.marks, paper or {}, pairs)
    sections: list[Section] = [
        world(ran.exp, about_paper, backbones),
        Captioned(f"{title}, seeds {', '.join(map(str, args.seeds))}.", table(rows, measure)),
        found(rows),
        HOW,
        *notes,
        *(Captioned(f"By seed, with Wilson intervals: {kind}.", by_seed(arms)) for kind, arms in ran.marks.items()),
    ]
    if ran.models:
        sections.append(Captioned("Rows that each model learned from, by seed.", rows_learned(ran, measure)))
    if ran.failed:
        sections.append("Failed, and so not in the table:\n\n" + "\n".join(f"- {words}" for words in ran.failed))
    save(args.out, name, title, sections, [dataclasses.asdict(row) for row in rows], ran.exp)
    if ran.failed:
        raise ValueError(f"{len(ran.failed)} arms failed, see above; the same command again makes only what is missing")


def rows_learned(ran: Ran, measure: str) -> Cells:
    """How many solutions each arm's model was trained on, header first."""
    several = len(ran.models) > 1
    cells = [[*([measure] if several else []), "arm", "rows"]]
    for kind, arms in ran.models.items():
        for arm, models in arms.items():
            rows = [f"{model.adapter.metrics['rows']:.0f}" if model.adapter else "0" for model in models]
            cells.append([*([kind] if several else []), arm, ", ".join(rows)])
    return cells
