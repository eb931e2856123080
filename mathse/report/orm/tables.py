"""The report for people: its tables, and the solutions that are shown."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from mathse.report.examples import Example, Group, pick
from mathse.report.orm.cuts import cut
from mathse.report.orm.instruments import Instrument
from mathse.report.orm.numbers import Checked, Estimate, Share, by_answers, card, trade
from mathse.types import Judged

SHOWN = 24  # solutions of either kind on the page
THRESHOLDS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
COLUMNS = {
    "right": "right",
    "right_accepted": "right ones accepted",
    "wrong_rejected": "wrong ones rejected",
    "precision": "precision",
    "step_exact": "step named",
    "step_near": "± 1",
    "unreadable": "unreadable",
    "agreement": "as answer match",
}


def show(number: Share | Estimate) -> str:
    """A number with its interval; empty where there is none."""
    if math.isnan(number.value):
        return ""
    low, high = number.ci95
    return f"{number.value:.3f}" if math.isnan(low) else f"{number.value:.3f} [{low:.2f}, {high:.2f}]"


def overview(found: Sequence[Instrument]) -> list[list[str]]:
    """A row for each judge's held-out solutions and for each round, header first."""
    table = [["judge", "solutions", "n", *COLUMNS.values()]]
    for one in found:
        groups = [*([("held-out", one.held_out)] if one.held_out else []), *cut(one.loop, "round").items()]
        table += [[one.name, name, *_cells(rows)] for name, rows in groups]
    return table


def _cells(rows: Sequence[Checked]) -> list[str]:
    numbers = card(rows)
    return [str(len(rows)), *(show(numbers[name]) for name in COLUMNS)]


def part_table(rows: Sequence[Checked], by: str) -> list[list[str]]:
    """A row for each part by one of CUTS, header first."""
    return [[by, "n", *COLUMNS.values()], *([name, *_cells(some)] for name, some in cut(rows, by).items())]


def calibration_table(one: Instrument) -> list[list[str]]:
    """Header first; empty where the judge gives no scores."""
    known = [(name, part.calibration) for name, part in one.parts.items()]
    rows = [[name, str(c.n), show(c.error), show(c.order)] for name, c in known if c]
    return [["score", "n", "ECE", "AUROC"], *rows] if rows else []


def trade_table(one: Instrument) -> list[list[str]]:
    """What each threshold would accept, header first; empty where the judge gives no scores."""
    parts = [(name, trade(part.rows, THRESHOLDS)) for name, part in one.parts.items() if part.calibration]
    head = ["orm.threshold", *(f"{name}: {what}" for name, _ in parts for what in ("accepted", "purity", "yield"))]
    body = [
        [f"{threshold:g}", *itertools.chain(*([str(t.accepted), show(t.purity), show(t.found)] for t in points))]
        for threshold, *points in zip(THRESHOLDS, *(points for _, points in parts), strict=True)
    ]
    return [head, *body] if parts else []


def base_rate_table(one: Instrument) -> list[list[str]]:
    """Header first; empty where nothing was held out."""
    rows = [[name, show(rate), show(estimate)] for name, (rate, estimate) in one.base_rates.items()]
    return [["solutions", "right", "precision expected"], *rows] if rows else []


def groups(found: Sequence[Instrument]) -> list[Group]:
    """Where judge and answer contradict each other, for the page: the same ones each time, SHOWN of a kind at most."""
    shown = []
    for one in found:
        rows = [*one.held_out, *one.loop]
        answers = [right for _, right in by_answers(rows)]
        for title, status, right in (
            ("Accepted, with a wrong answer", "correct", False),
            ("Rejected, with the right answer", "wrong", True),
        ):
            of_status = [(row, answer) for row, answer in zip(rows, answers, strict=True) if row.said.status == status]
            odd = [Judged(row.solution, row.said) for row, answer in of_status if answer == right]
            chosen = pick(odd, SHOWN)
            text = f"{len(odd)} of the {len(of_status)} solutions that {one.name} {title.split(',')[0].lower()}; {len(chosen)} are shown."
            shown.append(Group(title, text, [Example(row) for row in chosen]))
    return [group for group in shown if group.examples]
