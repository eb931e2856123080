"""Accuracy by stage, what became of each problem, and accuracy by family and level."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from mathse.report.charts import stages as charts
from mathse.report.parts import Chart, Notice, Part, Section, Table, Text, section, tried
from mathse.report.run import Run
from mathse.report.summary import Scored, by_part, p_between
from mathse.report.text import comparison_table, results
from mathse.statistics import TRANSITIONS, p_value, transitions


def accuracy(run: Run) -> list[Section]:
    """The models of the run on its test problems."""
    models = run.summary.get("models", [])
    if not models:
        return section("accuracy", "Accuracy", Notice("No model has been evaluated yet."))
    first = models[0]
    words = (
        f"On {first['n']} test problems ({first['benchmark']}), with 95 % Wilson intervals; change in points and exact paired p against "
        "the model above."
    )
    said = "; ".join(f"{model['name']} {100 * model['accuracy']:.1f} %" for model in models)
    chart = Chart(
        "Accuracy by stage",
        charts.accuracy(models),
        f"Accuracy by stage: {said}.",
        size=(max(3.2, 1.0 + 0.66 * len(models)), 2.9),
        file="accuracy.png",
        wide=len(models) > 6,
    )
    parts: list[Part] = [Text(words), chart, Table(results(run.summary))]
    if len(models) > 1:
        parts.append(
            Table(comparison_table(run.summary), "Compared in points; Holm's p is for all comparisons of the run.")
        )
    return section(
        "accuracy", "Accuracy", parts, tried(lambda: stage_by_stage(run.scores)), tried(lambda: by_parts(run.scores))
    )


def stage_by_stage(scores: Sequence[Scored]) -> list[Part]:
    """Figure 2 of the paper (arXiv 2511.06805): from each model to the next, right to right, wrong to wrong, lost and gained."""
    if len(scores) < 2:
        return []
    pairs = list(itertools.pairwise(scores))
    flows = [transitions(a.by_problem, b.by_problem) for a, b in pairs]
    table = [["from, to", *TRANSITIONS, "p"]]
    for (a, b), f in zip(pairs, flows, strict=True):
        table.append(
            [f"{a.name} → {b.name}", *(str(f[pair]) for pair in TRANSITIONS.values()), p_value(p_between(a, b))]
        )
    said = "; ".join(f"{row[0]}: {row[4]} gained, {row[3]} lost" for row in table[1:])
    chart = Chart(
        "From stage to stage",
        charts.transitions([scored.name for scored in scores], flows),
        f"Flow of the test problems between right and wrong. {said}.",
        size=charts.flow_size(len(scores)),
        wide=True,
    )
    words = "What became of each test problem from one model to the next (the paper's Figure 2). Gained: wrong before, right after."
    return [chart, Table(table, words)]


def by_parts(scores: Sequence[Scored]) -> list[Part]:
    """Tables by the problems' family and level, percent of right answers."""
    parts: list[Part] = []
    for title, part in (("By family of problems, percent", "source"), ("By level of difficulty, percent", "level")):
        tables = [by_part(scored, part) for scored in scores]
        if tables and len(tables[0]) > 1:
            head = [part, "n", *(scored.name for scored in scores)]
            rows = [[name, str(n), *(_percent(t.get(name)) for t in tables)] for name, (_, n) in tables[0].items()]
            parts.append(Table([head, *rows], title, fold=True))
    return parts


def _percent(counted: tuple[int, int] | None) -> str:
    return f"{100 * counted[0] / counted[1]:.0f}" if counted else ""
