"""How good reflection was: what became of the solutions sent to it, by feedback source and by whether the step that it named was right.

Right answers are known from the references, which neither judge nor teacher need see; right steps only where a problem's own program
can tell (`first_wrong_step`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mathse.feedback.answer import matches
from mathse.statistics import wilson
from mathse.steps.reflect import with_repairs
from mathse.teacher.figures import first_wrong_step
from mathse.types import Judged

ALL, RIGHT, WRONG, UNKNOWN, NONE = "all", "right", "wrong", "unknown", "none"
STEP = {
    ALL: "",
    RIGHT: "right step named",
    WRONG: "wrong step named",
    UNKNOWN: "step named, truth unknown",
    NONE: "no step",
}

Sent = tuple[Judged, Judged | None]  # a rejected solution with its diagnosis, and its repair, judged in turn


def named(diagnosed: Judged) -> str:
    """Whether the feedback named the first wrong step: `right`, `wrong`, `none` where it named no step, `unknown`."""
    step = diagnosed.verdict.error_step
    if step is None:
        return NONE
    truth = first_wrong_step(diagnosed.solution)
    return UNKNOWN if truth is None else RIGHT if step == truth else WRONG


def quality(diagnosed: Sequence[Judged], repaired: Sequence[Judged]) -> list[dict[str, Any]]:
    """reflection of summary.json: for each feedback source a row of all that was sent, and a row for each kind of `named`.

    `repaired` counts the repairs with the right answer, `accepted` those that the judge accepts, `accepted_wrong` those of
    them whose answer is wrong; `repaired_ci95` is about those sent, `accepted_wrong_ci95` about those accepted.
    """
    groups: dict[tuple[str, str], list[Sent]] = {}
    for sent in with_repairs(diagnosed, repaired):
        for kind in (ALL, named(sent[0])):
            groups.setdefault((sent[0].verdict.by, kind), []).append(sent)
    order = sorted(groups, key=lambda group: (group[0], list(STEP).index(group[1])))
    return [{"feedback": by, "named": kind, **_counts(groups[by, kind])} for by, kind in order]


def _counts(sent: Sequence[Sent]) -> dict[str, Any]:
    repairs = [repair for _, repair in sent if repair]
    right = [matches(repair.solution) for repair in repairs]
    taken = [repair.verdict.status == "correct" for repair in repairs]
    repaired, accepted = sum(right), sum(taken)
    wrong = sum(t and not r for t, r in zip(taken, right, strict=True))
    return {
        "sent": len(sent),
        "dropped": len(sent) - len(repairs),
        "repaired": repaired,
        "repaired_ci95": list(wilson(repaired, len(sent))),
        "accepted": accepted,
        "accepted_wrong": wrong,
        "accepted_wrong_ci95": list(wilson(wrong, accepted)),
    }


def reflection_table(rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """The same for people, header first."""
    table = [["feedback on the rejected", "sent", "repaired", "95% interval", "accepted", "wrong", "95% interval"]]
    for row in rows:
        about = row["feedback"] if row["named"] == ALL else f"  {STEP[row['named']]}"
        shares = [_percent(row["repaired_ci95"]), _percent(row["accepted_wrong_ci95"]) if row["accepted"] else ""]
        counts = [str(row[key]) for key in ("sent", "repaired", "accepted", "accepted_wrong")]
        table.append([about, *counts[:2], shares[0], *counts[2:], shares[1]])
    return table


def _percent(interval: Sequence[float]) -> str:
    return "{:.1f} to {:.1f} %".format(*(100 * share for share in interval))
