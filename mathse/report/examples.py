"""Which solutions are shown, in the gallery and in W&B: the same ones each time, of as many families and outcomes as there are."""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mathse.feedback.answer import matches
from mathse.report.roles import round_of
from mathse.report.run import Run
from mathse.report.summary import Scored
from mathse.steps.data import judged_rows
from mathse.steps.reflect import with_repairs
from mathse.store import Artifact
from mathse.types import Judged

MOST = 240  # solutions in a gallery: with pictures of 30 kB, one each, 7 MB
PER_STAGE = 48
RULE = (
    f"At most {PER_STAGE} solutions of a stage and {MOST} in all, with as many of each outcome as there are: accepted and rejected, with "
    "the right and with the wrong answer, unreadable. So disagreements of judge and answer are more frequent here than in the run. "
    "Family by family, in the order of a hash of the solution's name: the same ones each time."
)


@dataclass(frozen=True)
class Example:
    """A solution and what was said of it; `repair` is the teacher's reflection on it, judged in turn; `history` says of a test problem
    which of the run's models solve it."""

    judged: Judged
    repair: Judged | None = None
    history: tuple[tuple[str, bool], ...] = ()


@dataclass(frozen=True)
class Group:
    """Examples of one stage, with a sentence on what they show."""

    title: str
    text: str
    examples: list[Example]


def groups(run: Run) -> list[Group]:
    """Solutions of the teacher and of each round by verdict, reflections with what they repair, the last model's test answers."""
    rounds = [(k, artifact) for artifact in run.rounds if (k := round_of(run.roles[artifact.name]))]
    rounds = rounds[-(MOST // PER_STAGE - 1) :] if len(rounds) > MOST // PER_STAGE * 3 else rounds
    diagnosed, taught = run.of("diagnose"), run.of("judge", "teacher")
    repaired = run.of("judge", "reflection")
    count = min(PER_STAGE, MOST // max(1, len(rounds) + bool(taught) + bool(repaired) + bool(run.scores)))
    found: list[Group] = []

    def show(make: Callable[[], Group]) -> None:
        try:
            found.append(make())
        except (OSError, ValueError) as error:  # the other stages are worth showing
            run.missing.append(f"The gallery lacks a stage: {error}")

    if taught:
        show(lambda: _distilled(taught[0], count))
    for k, artifact in rounds:
        show(lambda k=k, artifact=artifact: _round(k, artifact, diagnosed, count))  # type: ignore[misc]
    if diagnosed and repaired:
        show(lambda: _reflection(judged_rows(diagnosed), judged_rows(repaired), count))
    if run.scores:
        show(lambda: _test(run.scores, count))
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


def in_turn(rows: Sequence[Judged], kind: Callable[[Judged], object], count: int) -> list[Judged]:
    """`count` of the rows, one of each kind after the other, kinds that end early making room for the rest."""
    kinds: dict[object, list[Judged]] = {}
    for row in rows:
        kinds.setdefault(kind(row), []).append(row)
    ordered = [pick(kinds[name], count) for name in sorted(kinds, key=str)]
    turns = itertools.zip_longest(*ordered)
    return [row for turn in turns for row in turn if row is not None][:count]


def _plain(rows: Sequence[Judged], count: int) -> list[Example]:
    return [Example(row) for row in in_turn(rows, lambda row: (row.verdict.status, matches(row.solution)), count)]


def _distilled(artifact: Artifact, count: int) -> Group:
    words = (
        "The teacher's solutions of the seed problems, as the run's judge sees them; M_0 learns from the accepted ones."
    )
    return Group("Distilled", words, _plain(judged_rows([artifact]), count))


def _round(k: int, artifact: Artifact, diagnosed: Sequence[Artifact], count: int) -> Group:
    reasons = {row.solution.id: row for row in judged_rows(diagnosed)}  # verdicts asked for later, with where and why
    rows = [reasons.get(row.solution.id, row) for row in judged_rows([artifact])]
    words = (
        f"Solutions by M_{k - 1}: the accepted ones join its next training, the rejected ones are left for reflection."
    )
    return Group(f"Round {k}", words, _plain(rows, count))


def _reflection(diagnosed: Sequence[Judged], repaired: Sequence[Judged], count: int) -> Group:
    pairs = [(broken, repair) for broken, repair in with_repairs(diagnosed, repaired) if repair]
    broken = {repair.solution.id: broken for broken, repair in pairs}
    rows = [repair for _, repair in pairs]
    chosen = in_turn(rows, lambda row: (row.verdict.status, matches(row.solution)), count)
    words = "A rejected solution, what the feedback says of it, and the teacher's repair, judged in turn."
    return Group("Reflection", words, [Example(broken[row.solution.id], row) for row in chosen])


def _test(scores: Sequence[Scored], count: int) -> Group:
    last, marks = scores[-1], [(scored.name, scored.by_problem) for scored in scores]

    def history(row: Judged) -> tuple[tuple[str, bool], ...]:
        key = (row.solution.problem.id, row.solution.index)
        return tuple((name, right[key]) for name, right in marks if key in right)

    def change(row: Judged) -> object:
        """Right or wrong now, and in the first model that was trained."""
        known: Mapping[str, bool] = dict(history(row))
        return known[last.name], known.get("M_0")

    right = sum(last.right)
    words = f"{last.name} on problems it never saw, {right} of {len(last.rows)} right, and which models before it were."
    chosen = in_turn(last.rows, change, count)
    return Group("Test", words, [Example(row, history=history(row)) for row in chosen])
