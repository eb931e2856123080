"""The judge as a measured instrument, what reflection repaired, and the types of error."""

from __future__ import annotations

from collections.abc import Sequence

from mathse.report.charts import judge as charts
from mathse.report.charts.errors import size, types_of_error
from mathse.report.errors import error_shares, error_table, with_reasons
from mathse.report.orm import Instrument
from mathse.report.orm.cuts import CUTS, cut
from mathse.report.orm.tables import base_rate_table, calibration_table, overview, part_table, trade_table
from mathse.report.parts import Chart, Part, Section, Table, Text, section, tried
from mathse.report.problems import kept_for_the_orm
from mathse.report.reflection import reflection_table
from mathse.report.run import Run
from mathse.report.summary import on_held_out
from mathse.report.text import orm_table
from mathse.steps.data import judged_rows

SHARES = (
    "Shares with 95 % intervals (Wilson; ECE, AUROC and expected precision: bootstrap over problems). Held-out: against the data that the "
    "ORM learns from; else: against the reference answers. Rounds: what the models wrote; teacher: stage 1 and reflections. "
    "Step named: of the wrong solutions that were rejected. In the charts a mark's area is its part of the solutions; where the judge "
    "stands is marked on its curves."
)


def judge(run: Run, found: Sequence[Instrument]) -> list[Section]:
    """The ORM's report card, and of each judge that was measured: reliability, purity against yield, shares by model, family and level."""
    parts: list[Part] = []
    if tested := run.of("test_orm"):  # the judge's comes first, should the feedback have its own
        parts.append(Table(orm_table(on_held_out(tested[0]))))
        parts += tried(lambda: kept(run))
    return section("judge", "The judge", parts, instrument_parts(found))


def instrument_parts(found: Sequence[Instrument]) -> list[Part]:
    """What was measured of judges: where there are several, all of them on held-out solutions; then of each its rounds, its two charts
    and its tables, those by family, level … folded."""
    if not found:
        return []
    several = len(found) > 1
    parts: list[Part] = [Text(SHARES)]
    if several:
        head, *rows = overview(found)
        held_out = [[name, *cells] for name, where, *cells in rows if where == "held-out"]
        parts += [Table([[head[0], *head[2:]], *held_out], "Held-out solutions, all judges")] if held_out else []
    scored = [one for one in found if one.scored]
    for one in found:
        name = f"{one.name}: " if several else ""
        parts.append(Table([row[1:] for row in overview([one])], f"By round: {one.name}"))
        parts += charts_of(one, name, file="orm.png" if one is scored[0] else "") if one in scored else []
        for words, table in (
            ("Precision to be expected at each round's share of right solutions", base_rate_table(one)),
            ("Calibration", calibration_table(one)),
            ("What each threshold would accept", trade_table(one)),
        ):
            parts += [Table(table, f"{name}{words}", fold=words.startswith("What"))] if table else []
        for place, part in one.parts.items():
            cuts = [by for by in CUTS if by != "round" and len(cut(part.rows, by)) > 1]
            parts += [
                Table(part_table(part.rows, by), f"{name}{place.capitalize()}, by {by}", fold=True) for by in cuts
            ]
    return parts


def kept(run: Run) -> list[Part]:
    """What the ORM's problems share with D and the test sets; nothing where no ORM was trained."""
    drawn = {run.roles[one.name]: one for one in run.of("draw")}
    if not {"orm", "seed"} <= drawn.keys():
        return []
    D = run.artifacts[run.recipes[drawn["seed"].name]["inputs"]["problems"]["artifact"]]
    return [Text(kept_for_the_orm(drawn["orm"], D, run.of("load", "test")))]


def charts_of(one: Instrument, name: str, file: str) -> list[Part]:
    """The two charts of a judge that gives scores, with the words before their titles, and the picture that stands for them in Markdown."""
    errors = {place: part.calibration.error.value for place, part in one.scored.items() if part.calibration}
    said = "; ".join(f"{place}: ECE {error:.3f}" for place, error in errors.items())
    ends = [(place, [point for point in part.curve if point.accepted]) for place, part in one.scored.items()]
    pure = "; ".join(
        f"{place}: {some[0].purity.value:.2f} to {some[-1].purity.value:.2f}" for place, some in ends if some
    )
    return [
        Chart(
            f"{name}Reliability of the scores",
            charts.reliability(one.scored),
            f"Right solutions by score. {said}.",
            file=file,
        ),
        Chart(f"{name}Purity against yield", charts.purity(one.scored), f"Purity as the threshold rises. {pure}."),
    ]


def reflection(run: Run) -> list[Section]:
    """What became of the rejected solutions that the teacher was asked to repair."""
    rows = run.summary.get("reflection")
    if not rows:
        return []
    words = (
        "Rejected solutions sent to the teacher; repaired: to the right answer; accepted by the judge, and of these with a wrong answer. "
        "Steps are right by the problem's own program."
    )
    return section("reflection", "Reflection", Text(words), Table(reflection_table(rows)))


def errors(run: Run) -> list[Section]:
    """The paper's Figure 4, by the words of the analyses; nothing where nobody wrote one."""
    diagnosed = judged_rows(run.of("diagnose"))
    judged = {
        f"M_{k - 1}, round {k}": with_reasons(judged_rows([artifact]), diagnosed)
        for k, artifact in enumerate(run.rounds, start=1)
    }
    if not any(row.verdict.analysis for rows in judged.values() for row in rows):  # answer match gives none
        return []
    words = "Percent of the rejected solutions about which it was asked why, by the words of the analyses (the paper's Figure 4)."
    shares = error_shares(judged)
    most = {name: max(of, key=of.__getitem__) for name, of in shares.items()}
    said = "; ".join(f"{name}: {kind} {shares[name][kind]:.0f} %" for name, kind in most.items())
    n = {name: sum(row.verdict.status == "wrong" for row in rows) for name, rows in judged.items()}
    bars = {f"{name} (n {n[name]})": of for name, of in shares.items()}
    chart = Chart(
        "Types of error",
        types_of_error(bars, "% of the rejected"),
        f"Types of error in percent of the rejected solutions. The most frequent one: {said}.",
        size=size(shares),
    )
    return section("errors", "Types of error", Text(words), chart, Table(error_table(judged)))
