"""The audit of a run while it runs: what the judge lets through, round by round, and whether that is still what it was.

A judge that drifts towards accepting everything fills D_SFT with wrong solutions, and nothing in Algorithm 1 would say so. Each round is
looked at before the next begins, against the reference answers, which the judge may not see. An alarm is printed, or stops the
run: then nothing is lost, and the same command with another setting goes on, since the audit is no part of any recipe.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from mathse.answers import extract
from mathse.feedback.answer import matches
from mathse.settings import Share, settings
from mathse.types import Judged


@settings
class Audit:
    """What is alarming, and what an alarm does.

    `least_accepted`, `most_accepted`: shares of a round's solutions; `least_precision`: of acceptance, against the reference answers;
    `most_fall`: of a model's accuracy on the benchmark below that of the model before it. A stop after a fall is a choice
    made on the test problems.
    """

    alarm: Literal["warn", "stop"]
    least_accepted: Share
    most_accepted: Share
    least_precision: Share
    most_fall: Share

    def check(self) -> None:
        if self.least_accepted > self.most_accepted:
            raise ValueError(f"Audit.least_accepted should be at most Audit.most_accepted ({self.most_accepted})")


class Alarm(ValueError):
    """The audit stops the run."""


@dataclass(frozen=True)
class Look:
    """A round, or one family of its problems. `precision` and `recall` are None where no reference answer is known, or nothing was
    accepted or right; `unanswered` is the share of solutions that state no final answer, cut off at `max_new_tokens` most often;
    `characters` the mean length; `distinct` the share of solutions that nobody wrote for the same problem before, in this round
    or an earlier one; `solved` the share of the problems that were asked and are solved now."""

    solutions: int
    accepted: int
    precision: float | None
    recall: float | None
    unanswered: float
    characters: float
    distinct: float
    problems: int
    solved: float

    @property
    def acceptance(self) -> float:
        return self.accepted / self.solutions if self.solutions else 0.0


def look(rows: Sequence[Judged], known: Iterable[tuple[str, str]] = ()) -> Look:
    """What one round did. `known`: problem and text of each solution that was written before."""
    accepted = [row for row in rows if row.verdict.status == "correct"]
    checked = [(row.verdict.status == "correct", matches(row.solution)) for row in rows if row.solution.problem.answer]
    both = sum(taken and right for taken, right in checked)
    taken, right = (sum(pair[side] for pair in checked) for side in (0, 1))
    problems = {row.solution.problem.id for row in rows}
    new = {_words(row) for row in rows} - set(known)
    return Look(
        solutions=len(rows),
        accepted=len(accepted),
        precision=both / taken if taken else None,
        recall=both / right if right else None,
        unanswered=sum(map(_unanswered, rows)) / max(1, len(rows)),
        characters=sum(len(row.solution.text) for row in rows) / max(1, len(rows)),
        distinct=len(new) / max(1, len(rows)),
        problems=len(problems),
        solved=len({row.solution.problem.id for row in accepted}) / max(1, len(problems)),
    )


def _unanswered(row: Judged) -> bool:
    return extract(row.solution.text, row.solution.problem, only_stated=True) is None


def _words(row: Judged) -> tuple[str, str]:
    return row.solution.problem.id, row.solution.text


@dataclass
class Auditor:
    """Looks at what a run accepts, in the order in which it does."""

    bounds: Audit
    rounds: list[Look] = field(default_factory=list)
    families: list[dict[str, Look]] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    rows: dict[tuple[str, str], bool | None] = field(default_factory=dict)  # D_SFT: is it right? None: not known
    unanswered: set[tuple[str, str]] = field(default_factory=set)  # those of D_SFT that state no final answer
    written: set[tuple[str, str]] = field(default_factory=set)
    accuracies: dict[str, float] = field(default_factory=dict)

    def accepted(self, judged: Sequence[Judged]) -> None:
        """Solutions that were judged to join D_SFT, the accepted ones, be they the teacher's, a model's or repairs."""
        for row in judged:
            if row.verdict.status == "correct":
                self.rows[_words(row)] = matches(row.solution) if row.solution.problem.answer else None
                if _unanswered(row):
                    self.unanswered.add(_words(row))

    def round(self, judged: Sequence[Judged]) -> list[str]:
        """The next round's verdicts; returns what is to be said: a line, and one for each alarm."""
        groups: dict[str, list[Judged]] = {}
        for row in judged:
            groups.setdefault(row.solution.problem.source, []).append(row)
        seen = look(judged, self.written)
        self.rounds.append(seen)
        self.families.append({name: look(rows, self.written) for name, rows in sorted(groups.items())})
        self.written |= {_words(row) for row in judged}
        k = len(self.rounds)
        return [f"round {k}: {self.words(k)}; {self.purity}", *self._raise(f"round {k}", self._of_round(seen))]

    def accuracy(self, name: str, accuracy: float) -> list[str]:
        """A model's accuracy on the benchmark, of one after the other; returns an alarm where it fell."""
        before = list(self.accuracies.items())[-1:]
        self.accuracies[name] = accuracy
        most = self.bounds.most_fall
        falls = [
            f"accuracy fell from {100 * value:.1f} ({older}) to {100 * accuracy:.1f} %, more than audit.most_fall={most:g}"
            for older, value in before
            if value - accuracy > most
        ]
        return self._raise(name, falls)

    def check(self) -> None:
        """Raise Alarm where there is one and it is to stop the run."""
        if self.alarms and self.bounds.alarm == "stop":
            raise Alarm(
                f"audit: {self.alarms[-1]}; the run stops here and nothing is lost: audit.alarm=warn, or another bound, goes on"
            )

    def _of_round(self, seen: Look) -> list[str]:
        bounds, found = self.bounds, []
        if seen.solutions and seen.acceptance < bounds.least_accepted:
            found.append(f"{seen.acceptance:.1%} accepted, under audit.least_accepted={bounds.least_accepted:g}")
        if seen.acceptance > bounds.most_accepted:
            found.append(f"{seen.acceptance:.1%} accepted, over audit.most_accepted={bounds.most_accepted:g}")
        if seen.precision is not None and seen.precision < bounds.least_precision:
            found.append(f"precision {seen.precision:.2f}, under audit.least_precision={bounds.least_precision:g}")
        return found

    def _raise(self, where: str, found: Sequence[str]) -> list[str]:
        self.alarms += (new := [f"{where}: {words}" for words in found])
        return [f"alarm: {words}" for words in new]

    @property
    def expected_wrong(self) -> float | None:
        """How many rows of D_SFT have a wrong answer: counted where the reference answer is known, the others taken to be like them.
        None where none is known."""
        known = [right for right in self.rows.values() if right is not None]
        return len(self.rows) * known.count(False) / len(known) if known else None

    @property
    def purity(self) -> str:
        """The rows of D_SFT in words."""
        wrong = self.expected_wrong
        known = "nobody knows how many wrong" if wrong is None else f"{wrong:.0f} expected wrong"
        without = f", {len(self.unanswered)} without an answer" if self.unanswered else ""
        return f"D_SFT has {len(self.rows)} rows, {known}{without}"

    def words(self, k: int) -> str:
        """Round k in a line, with what changed since round 1 in brackets."""
        seen, first = self.rounds[k - 1], self.rounds[0]

        def number(name: str, form: str) -> str:
            value, start = getattr(seen, name), getattr(first, name)
            if value is None:
                return "unknown"
            return format(value, form) + (f" ({value - start:+{form}})" if k > 1 and start is not None else "")

        return (
            f"{number('acceptance', '.2f')} accepted, precision {number('precision', '.2f')}, recall {number('recall', '.2f')}, "
            f"{number('unanswered', '.2f')} without an answer, {number('characters', '.0f')} characters, "
            f"{number('distinct', '.2f')} distinct, {number('solved', '.2f')} solved"
        )

    def as_json(self) -> dict[str, Any]:
        """All of it, for programs."""

        def plain(seen: Look) -> dict[str, Any]:
            return {"acceptance": seen.acceptance, **vars(seen)}

        return {
            "rounds": [
                {"round": k, **plain(seen), "families": {name: plain(part) for name, part in parts.items()}}
                for k, (seen, parts) in enumerate(zip(self.rounds, self.families, strict=True), start=1)
            ],
            "D_SFT": {
                "rows": len(self.rows),
                "expected_wrong": self.expected_wrong,
                "unanswered": len(self.unanswered),
            },
            "accuracies": self.accuracies,
            "alarms": self.alarms,
        }
