"""The report as data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mathse.report.orm.cuts import CUTS, cut
from mathse.report.orm.instruments import Instrument, Part
from mathse.report.orm.numbers import Estimate, Share, card, steps_score


def as_json(found: Sequence[Instrument]) -> list[dict[str, Any]]:
    """Everything in the report, for programs: a list with an entry for each judge."""
    return [
        {"judge": one.name}
        | {name: _part(part) for name, part in one.parts.items()}
        | {"precision_at_base_rate": {where: _number(estimate) for where, (_, estimate) in one.base_rates.items()}}
        for one in found
    ]


def _part(part: Part) -> dict[str, Any]:
    rows, known = part.rows, part.calibration
    return {
        "n": len(rows),
        **{name: _number(share) for name, share in card(rows).items()},
        **steps_score(rows),
        "calibration": known
        and {
            "n": known.n,
            "ece": _number(known.error),
            "auroc": _number(known.order),
            "bins": [{"low": b.low, "high": b.high, "score": b.score, "right": _number(b.right)} for b in known.bins],
        },
        "threshold": [
            {"threshold": t.threshold, "accepted": t.accepted, "purity": _number(t.purity), "yield": _number(t.found)}
            for t in part.curve
        ],
        "by": {
            by: {
                name: {"n": len(some)} | {key: _number(share) for key, share in card(some).items()}
                for name, some in cut(rows, by).items()
            }
            for by in CUTS
        },
    }


def _number(number: Share | Estimate) -> dict[str, Any]:
    """Value and interval, null where there is none; JSON knows no NaN."""
    value, ci95 = (None if math.isnan(number.value) else number.value), number.ci95
    known = value is not None and not math.isnan(ci95[0])
    n = {"hits": number.hits, "n": number.n} if isinstance(number, Share) else {}
    return {"value": value, "ci95": list(ci95) if known else None, **n}
