"""A judge as a measured instrument: what it lets through, where it points, how sure it is and what that costs.

Two truths. Held-out solutions are compared with what the ORM was to learn: answer match for right or wrong, the teacher for the step.
The solutions of the loop are compared with the reference answers, which say nothing of steps. Shares have Wilson intervals; what
is no share has one by bootstrap over problems. An unreadable verdict is a miss of either kind.
"""

from __future__ import annotations

import functools
import itertools
import json
import math
import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mathse.feedback.answer import matches
from mathse.metrics import BINS, auroc, bin_of, calibration_error, macro_f1, processbench, step_label
from mathse.report.examples import Example, Group, pick
from mathse.report.files import write_text
from mathse.report.page import write_page
from mathse.report.text import aligned, markdown
from mathse.statistics import resampled, wilson
from mathse.store import Artifact
from mathse.types import Judged, Solution, Verdict, read_jsonl

SHOWN = 24  # solutions of either kind on the page
THRESHOLDS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)


@dataclass(frozen=True)
class Share:
    """`hits` of `n`."""

    hits: int
    n: int

    @property
    def value(self) -> float:
        return self.hits / self.n if self.n else math.nan

    @property
    def ci95(self) -> tuple[float, float]:
        return wilson(self.hits, self.n)


@dataclass(frozen=True)
class Estimate:
    """A number that is no share, with its bootstrap interval."""

    value: float
    ci95: tuple[float, float]


@dataclass(frozen=True)
class Checked:
    """A verdict, and the truth about the solution."""

    solution: Solution
    said: Verdict
    truth: Verdict

    @property
    def right(self) -> bool:
        return self.truth.status == "correct"

    @property
    def accepted(self) -> bool:
        return self.said.status == "correct"


@dataclass
class Instrument:
    """One judge's verdicts: on held-out solutions, where it has some, and on those of the loop."""

    name: str
    held_out: list[Checked] = field(default_factory=list)
    loop: list[Checked] = field(default_factory=list)

    @functools.cached_property
    def parts(self) -> dict[str, Part]:
        """Those of the two that there are, by name."""
        return {name: Part(rows) for name, rows in (("held-out", self.held_out), ("loop", self.loop)) if rows}

    @functools.cached_property
    def base_rates(self) -> dict[str, tuple[Share, Estimate]]:
        """For each round the share of right solutions, and the precision that the held-out solutions let one expect there."""
        rates = {name: card(rows)["right"] for name, rows in cut(self.loop, "round").items()}
        return {name: (rate, precision_at(self.held_out, rate.value)) for name, rate in rates.items() if self.held_out}


@dataclass(frozen=True)
class Part:
    """Rows, and what takes long to compute of them."""

    rows: list[Checked]

    @functools.cached_property
    def calibration(self) -> Calibration | None:
        return calibration(self.rows)

    @functools.cached_property
    def curve(self) -> list[Trade]:
        return curve(self.rows)


def instruments(steps: Iterable[tuple[Artifact, Mapping[str, Any]]]) -> list[Instrument]:
    """Every judge among the steps (each with its recipe) but answer match, which is one of the truths itself."""
    found: dict[str, Instrument] = {}
    for artifact, recipe in steps:
        source = recipe["inputs"].get("source") or {}
        kind = recipe["step"].rpartition(".")[2]
        if kind not in ("judge", "test_orm") or str(source.get("_target_")).endswith(".AnswerMatch"):
            continue
        rows = read_jsonl(Judged, artifact.path / "judged.jsonl")
        if not rows:
            continue
        threshold = source.get("threshold")
        name = rows[0].verdict.by + (f", threshold {threshold:g}" if threshold is not None else "")
        instrument = found.setdefault(name, Instrument(name))
        if kind == "judge":
            new = [Checked(row.solution, row.verdict, by_answer(row.solution)) for row in rows]
            instrument.loop = _once([*instrument.loop, *new])
        else:
            data = artifact.path.parent / recipe["inputs"]["data"]["artifact"] / "judged.jsonl"
            truth = {row.solution.id: row.verdict for row in read_jsonl(Judged, data)}
            new = [Checked(row.solution, row.verdict, truth[row.solution.id]) for row in rows]
            instrument.held_out = _once([*instrument.held_out, *new])
    return list(found.values())


def _once(rows: Sequence[Checked]) -> list[Checked]:
    """Each solution's verdict once, one with a score where there is one: a store may hold what earlier versions asked too."""
    ordered = sorted(rows, key=lambda row: row.said.score is not None)
    return list({(row.solution.id, row.solution.text): row for row in ordered}.values())


def by_answer(solution: Solution) -> Verdict:
    """The truth that the reference answer tells."""
    return Verdict("correct" if matches(solution) else "wrong", by="answer")


# ---- numbers ----


def card(rows: Sequence[Checked]) -> dict[str, Share]:
    """What verdicts are worth. `step_exact` and `step_near` (one off at most) are of the wrong solutions that were rejected and whose
    first wrong step is known; `agreement` is with answer match."""
    right, wrong = [row for row in rows if row.right], [row for row in rows if row.truth.status == "wrong"]
    accepted = [row for row in rows if row.accepted]
    pointed = [row for row in wrong if row.said.status == "wrong" and row.truth.error_step is not None]
    off = [abs((row.said.error_step or math.inf) - (row.truth.error_step or 0)) for row in pointed]
    agree = sum((row.accepted and by) or (row.said.status == "wrong" and not by) for row, by in _by_answers(rows))
    return {
        "right": Share(len(right), len(rows)),
        "right_accepted": Share(sum(row.accepted for row in right), len(right)),
        "wrong_rejected": Share(sum(row.said.status == "wrong" for row in wrong), len(wrong)),
        "precision": Share(sum(row.right for row in accepted), len(accepted)),
        "step_exact": Share(sum(distance == 0 for distance in off), len(off)),
        "step_near": Share(sum(distance <= 1 for distance in off), len(off)),
        "unreadable": Share(sum(row.said.status == "unreadable" for row in rows), len(rows)),
        "agreement": Share(agree, len(rows)),
    }


def _by_answers(rows: Sequence[Checked]) -> Iterable[tuple[Checked, bool]]:
    return ((row, row.right if row.truth.by == "answer" else matches(row.solution)) for row in rows)


def precision_at(rows: Sequence[Checked], base_rate: float) -> Estimate:
    """The precision of acceptance where a share `base_rate` of the solutions is right, from how often the judge accepts right and
    wrong ones among `rows`. NaN where there is no solution of one kind, or none would be accepted."""
    import numpy as np

    right, accepted = (np.array([getattr(row, name) for row in rows], dtype=bool) for name in ("right", "accepted"))

    def precision(drawn: Any) -> float:
        kind, taken = right[drawn], accepted[drawn]
        if not kind.any() or kind.all():
            return math.nan
        good, bad = base_rate * taken[kind].mean(), (1 - base_rate) * taken[~kind].mean()
        return float(good / (good + bad)) if good + bad else math.nan

    return _estimate(precision, rows)


def _estimate(statistic: Callable[[Any], float], rows: Sequence[Checked]) -> Estimate:
    import numpy as np

    value = statistic(np.arange(len(rows)))
    return Estimate(value, resampled(statistic, [row.solution.problem.id for row in rows]))


@dataclass(frozen=True)
class Bin:
    """Solutions whose scores lie between `low` and `high`: their mean score, and how many are right."""

    low: float
    high: float
    score: float
    right: Share


@dataclass(frozen=True)
class Calibration:
    """What scores are worth, as probabilities (`error`, `bins`) and as an order (`order`: AUROC). `n` have a score."""

    n: int
    error: Estimate
    order: Estimate
    bins: list[Bin]


def calibration(rows: Sequence[Checked]) -> Calibration | None:
    """None where no verdict has a score."""
    import numpy as np

    rows = scored(rows)
    if not rows:
        return None
    scores = np.array([row.said.score for row in rows], dtype=float)
    right = np.array([row.right for row in rows])
    places = bin_of(scores)  # type: ignore[arg-type]
    bins = [
        Bin(i / BINS, (i + 1) / BINS, float(scores[places == i].mean()), Share(int(right[places == i].sum()), int(n)))
        for i, n in enumerate(np.bincount(places))
        if n
    ]
    error = _estimate(lambda drawn: calibration_error(scores[drawn], right[drawn]), rows)
    order = _estimate(lambda drawn: auroc(scores[drawn], right[drawn]), rows)
    return Calibration(len(rows), error, order, bins)


def scored(rows: Sequence[Checked]) -> list[Checked]:
    """Those that can be accepted or rejected by a score."""
    return [row for row in rows if row.said.score is not None and row.said.status != "unreadable"]


@dataclass(frozen=True)
class Trade:
    """What a threshold would accept: how pure that is, and which share of all right solutions it holds."""

    threshold: float
    accepted: int
    purity: Share
    found: Share


def trade(rows: Sequence[Checked], thresholds: Sequence[float]) -> list[Trade]:
    """Purity against yield at each threshold; what has no score is never accepted."""
    right = sum(row.right for row in rows)
    points = []
    for threshold in thresholds:
        taken = [row for row in scored(rows) if (row.said.score or 0.0) >= threshold]
        hits = sum(row.right for row in taken)
        points.append(Trade(threshold, len(taken), Share(hits, len(taken)), Share(hits, right)))
    return points


def curve(rows: Sequence[Checked], most: int = 100) -> list[Trade]:
    """`trade` at the scores that occur, thinned evenly to `most`."""
    scores = sorted({row.said.score for row in scored(rows) if row.said.score is not None})
    return trade(rows, scores[:: max(1, math.ceil(len(scores) / most))])


def place(row: Checked) -> str:
    """Where in the loop a solution was written, by its author.

    >>> [place(Checked(Solution(None, "", name), None, None)) for name in ("teacher", "M_0", "reflection on M_1")]
    ['stage 1', 'round 1', 'reflection']
    """
    author = row.solution.author
    model = re.fullmatch(r"M_(\d+)", author)
    if model:
        return f"round {int(model[1]) + 1}"
    return "reflection" if author.startswith("reflection on ") else {"teacher": "stage 1"}.get(author, author)


CUTS: dict[str, Callable[[Checked], Hashable]] = {
    "round": place,
    "model": lambda row: row.solution.author,
    "family": lambda row: row.solution.problem.source,
    "level": lambda row: row.solution.problem.level,
}


def cut(rows: Sequence[Checked], by: str) -> dict[str, list[Checked]]:
    """The rows by one of CUTS, in the order of names; rounds as they follow each other."""
    groups: dict[str, list[Checked]] = {}
    for row in rows:
        groups.setdefault(str(CUTS[by](row)), []).append(row)
    ends = {"stage 1": 0, "reflection": 2}

    def order(name: str) -> tuple[int, str]:
        return ends.get(name, 1), re.sub(r"\d+", lambda digits: digits[0].zfill(9), name)

    return {name: groups[name] for name in sorted(groups, key=order)}


def steps_score(rows: Sequence[Checked]) -> dict[str, float]:
    """ProcessBench's score and macro-F1 of status and first wrong step, on rows whose truth names the step. Empty for one kind only."""
    known = [row for row in rows if row.right or row.truth.error_step is not None]
    labels = [step_label(row.truth) or 0 for row in known]
    if not any(labels) or all(labels):
        return {}
    said = [step_label(row.said) for row in known]
    bench = processbench(said, labels)
    return {
        "processbench_error": bench.error,
        "processbench_correct": bench.correct,
        "processbench_f1": bench.f1,
        "macro_f1_status": macro_f1([row.said.status for row in known], [row.truth.status for row in known]),
        "macro_f1_step": macro_f1(said, labels),
    }


# ---- as data ----


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


# ---- for people ----

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
        answers = [right for _, right in _by_answers(rows)]
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


def sections(found: Sequence[Instrument]) -> list[str]:
    """The report in Markdown, a paragraph or table each."""
    parts = [
        "Shares with 95 % intervals (Wilson; ECE, AUROC and expected precision: bootstrap over problems). Held-out: against the data that "
        "the ORM learns from; else: against the reference answers. `step named` is of the wrong solutions that were rejected.",
        markdown(overview(found)),
        "[Accepted with a wrong answer, rejected with the right one](orm.html)",
    ]
    if any(calibration_table(one) for one in found):
        parts.append("![Reliability, and purity against yield](orm.png)")
    for one in found:
        parts.append(f"### {one.name}")
        tables = (base_rate_table(one), calibration_table(one), trade_table(one))
        parts += [markdown(table) for table in tables if table]
        for name, part in one.parts.items():
            cuts = [by for by in CUTS if by != "round" and len(cut(part.rows, by)) > 1]
            parts += [f"{name}, by {by}:\n\n{markdown(part_table(part.rows, by))}" for by in cuts]
    return parts


def write(folder: Path, title: str, found: Sequence[Instrument]) -> list[str]:
    """orm.json, orm.html and, where there are scores, orm.png; returns what a Markdown report says beside them."""
    from mathse.report.plot import orm_plot

    write_text(folder / "orm.json", json.dumps(as_json(found), ensure_ascii=False, indent=1) + "\n")
    write_page(
        folder / "orm.html", title, "Where the judge and the reference answer contradict each other.", groups(found)
    )
    panels = {
        f"{one.name}, {name}": (part.calibration.bins, part.curve)
        for one in found
        for name, part in one.parts.items()
        if part.calibration
    }
    if panels:
        orm_plot(folder / "orm.png", panels)
    return sections(found)


def printed(found: Sequence[Instrument]) -> str:
    """The overview for a terminal."""
    return aligned(overview(found))
