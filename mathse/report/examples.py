"""Which problems are shown, on the page and in W&B: the same ones each time, of as many families as there are."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mathse.report.roles import round_of
from mathse.report.summary import Scored
from mathse.steps.reflect import with_repairs
from mathse.store import Artifact
from mathse.types import Judged, read_jsonl

PER_GROUP = 8  # with ROUND_CARDS and two such groups, 40 at most
ROUND_CARDS = 16
MOST_ROUNDS = ROUND_CARDS // 2


@dataclass(frozen=True)
class Example:
    """A solution and what was said of it; `repair` is the teacher's reflection on it, judged in turn."""

    judged: Judged
    repair: Judged | None = None


@dataclass(frozen=True)
class Group:
    """Examples under one heading, which tells what they show."""

    title: str
    text: str
    examples: list[Example]


def groups(artifacts: Sequence[Artifact], roles: Mapping[str, str], scores: Sequence[Scored]) -> list[Group]:
    """Solutions of each round by verdict, reflections with what they repair, the last model's test answers."""
    judged = {roles[artifact.name]: artifact for artifact in artifacts if artifact.step == "judge"}
    rounds = [(k, artifact) for role, artifact in judged.items() if (k := round_of(role))]
    diagnosed = [artifact for artifact in artifacts if artifact.step == "diagnose"]
    reasons = {row.solution.id: row for artifact in diagnosed for row in _rows(artifact)}
    found = [group for k, artifact in rounds[-MOST_ROUNDS:] for group in _round(k, artifact, len(rounds), reasons)]
    if diagnosed and "reflection" in judged:
        found.append(_reflection(_rows(diagnosed[-1]), _rows(judged["reflection"])))
    if scores:
        found.append(_test(scores[-1]))
    return [group for group in found if group.examples]


def pick(rows: Sequence[Judged], count: int) -> list[Judged]:
    """`count` of the rows, always the same ones: every source's first come before any source's second."""
    ordered = sorted(rows, key=lambda row: hashlib.sha256(row.solution.id.encode("utf-8", "replace")).hexdigest())
    before: Counter[str] = Counter()
    ranked: list[tuple[int, int, Judged]] = []
    for i, row in enumerate(ordered):
        ranked.append((before[row.solution.problem.source], i, row))
        before[row.solution.problem.source] += 1
    return [row for _, _, row in sorted(ranked, key=lambda entry: entry[:2])[:count]]


def _round(k: int, artifact: Artifact, rounds: int, reasons: Mapping[str, Judged]) -> list[Group]:
    """`reasons`: verdicts that were asked for later, with where and why."""
    rows = [reasons.get(row.solution.id, row) for row in _rows(artifact)]
    many = min(PER_GROUP, max(1, ROUND_CARDS // (2 * rounds)))
    few = 2 if rounds <= 4 else 0
    about = {
        "accepted": "its next training includes them",
        "rejected": "left for reflection",
        "unreadable": "the judge's words could not be read, so they go nowhere",
    }
    return [
        Group(
            f"Round {k}: {what}",
            f"Solutions by M_{k - 1}: {about[what]}.",
            [Example(row) for row in pick([row for row in rows if row.verdict.status == status], count)],
        )
        for status, what, count in (
            ("correct", "accepted", many),
            ("wrong", "rejected", many),
            ("unreadable", "unreadable", few),
        )
    ]


def _reflection(diagnosed: Sequence[Judged], repaired: Sequence[Judged]) -> Group:
    pairs = [(broken, repair) for broken, repair in with_repairs(diagnosed, repaired) if repair]
    broken = {repair.solution.id: broken for broken, repair in pairs}
    good = [repair for _, repair in pairs if repair.verdict.status == "correct"]
    rest = [repair for _, repair in pairs if repair.verdict.status != "correct"]
    dropped = pick(rest, PER_GROUP // 4)
    chosen = [*pick(good, PER_GROUP - len(dropped)), *dropped]
    text = "A rejected solution, what the feedback says of it, and the teacher's repair, judged in turn."
    return Group("Reflection", text, [Example(broken[row.solution.id], row) for row in chosen])


def _test(last: Scored) -> Group:
    right = [row for row, fine in zip(last.rows, last.right, strict=True) if fine]
    wrong = [row for row, fine in zip(last.rows, last.right, strict=True) if not fine]
    few_wrong = pick(wrong, PER_GROUP // 2)
    chosen = [*pick(right, PER_GROUP - len(few_wrong)), *few_wrong]
    text = f"{last.model.name} on problems it never saw, {len(right)} of {len(last.rows)} right. Some of either kind."
    return Group("Test answers", text, [Example(row) for row in chosen])


def _rows(artifact: Artifact) -> list[Judged]:
    return read_jsonl(Judged, artifact.path / "judged.jsonl")
