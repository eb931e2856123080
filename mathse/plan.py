"""`dry_run=true`: what a run would ask, pay, generate and train, before it does.

Algorithm 1 runs as it is, with steps that only count: a step's name follows from its recipe, so what the store holds is known at once,
also behind steps that are not computed yet. Problems are read and drawn for real (it costs nothing and everything hangs on it); the calls
of a step whose inputs are there are counted one by one and looked up in the cache; all others rest on the ASSUMPTIONS, which are printed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mathse.feedback.orm import TrainedOrm
from mathse.feedback.teacher import SCHEMA, ask_for_annotation
from mathse.fit import Fit
from mathse.generation import Sampling
from mathse.report.roles import role_of
from mathse.report.text import aligned
from mathse.steps.annotate import chosen
from mathse.steps.data import rejected
from mathse.steps.generate import ask
from mathse.steps.reflect import ask_for_reflection
from mathse.store import Artifact, Store, canonical, name_of, recipe_of
from mathse.teacher.calls import DATABASE, Calls
from mathse.teacher.openai import ApiTeacher
from mathse.teacher.prices import PICTURE
from mathse.types import Chat, Problem, read_jsonl
from mathse.whole import whole

if TYPE_CHECKING:
    from mathse.config import Experiment

REAL = (
    "load",
    "decontaminate",
    "disjoint",
    "fitting",
    "draw",
    "remaining",
)  # cheap, and computed where their inputs are there
ACCEPTED = {
    "distill": 0.9,
    "reflect": 0.5,
    "generate": 0.3,
}  # share of solutions that the judge accepts, by who wrote them
WRITTEN = {"distill": 400, "annotate": 100, "reflect": 400}  # tokens of an answer
READ = {"distill": 150, "annotate": 500, "reflect": 600}  # tokens of a prompt's text, where it is not known yet

ASSUMPTIONS = f"""\
Assumed where it is not known yet: the judge accepts {ACCEPTED["distill"]:.0%} of the teacher's solutions, {ACCEPTED["generate"]:.0%} of a \
model's and {ACCEPTED["reflect"]:.0%} of the repairs;
an answer has {WRITTEN["distill"]} tokens ({WRITTEN["annotate"]} for an annotation), a prompt {READ["distill"]} to {READ["reflect"]} \
and one picture, which counts the most that the price table says;
no call is lost or repeated, and no annotation or repair is asked for a second time. "At most" is every answer at the limit of tokens."""


@dataclass
class Line:
    """What one step, or several together, would take: calls of the teacher, texts to write and rows to train on here."""

    step: str
    role: str = ""
    found: bool = False
    calls: int = 0
    kept: int = 0  # of the calls: in the cache already
    tokens_in: float = 0.0
    tokens_out: float = 0.0
    dollars: float = 0.0
    most: float = 0.0
    texts: int = 0
    rows: int = 0

    @property
    def stage(self) -> str:
        if self.step == "evaluate" or self.role == "test":
            return "evaluation"
        if self.role in ("orm", "student"):
            return "ORM"
        if self.role in ("reflection", "M_final"):
            return "stage 3"
        if self.step == "generate" or re.fullmatch(r"round \d+|M_[1-9]\d*", self.role):
            return "stage 2"
        return "stage 1"

    def cells(self) -> list[str]:
        """As a row of the table."""
        if self.found:
            return [self.step, self.role, "in the store"] + [""] * 7
        counts = (self.calls, self.kept, self.tokens_in, self.tokens_out)
        money = [f"{amount:.2f}" if amount else "" for amount in (self.dollars, self.most)]
        work = [f"{count}" if count else "" for count in (self.texts, self.rows)]
        return [self.step, self.role, *(f"{count:.0f}" if count else "" for count in counts), *money, *work]


HEAD = [
    "step",
    "for",
    "calls",
    "in cache",
    "tokens in",
    "tokens out",
    "$",
    "at most $",
    "texts written",
    "rows trained",
]


@dataclass
class Plan:
    """Stands in for the store: `run` takes the same calls and does nothing that costs."""

    store: Store
    judge: Any
    lines: list[Line] = field(default_factory=list)
    roles: dict[str, str] = field(default_factory=dict)

    def run(self, step: Callable[..., Any], /, **inputs: Any) -> Artifact:
        """The stored artifact, or one that is not there, whose metrics are what can be expected."""
        recipe = recipe_of(step, inputs)
        name, kind = name_of(recipe), step.__name__
        new = name not in self.roles
        self.roles.setdefault(name, role_of(recipe, self.roles, self.judge))
        if (self.store.root / name).exists() or (kind in REAL and all(map(_exists, inputs.values()))):
            if new and kind not in REAL:
                self.lines.append(Line(kind, self.roles[name], found=True))
            return self.store.run(step, **inputs)
        line = Line(kind, self.roles[name])
        expected = EXPECT[kind](line, **inputs)
        if new and kind not in REAL:
            self.lines.append(line)
        return Artifact(name, self.store.root / name, expected)


def plan(exp: Experiment, store: Store) -> str:
    """The whole run's bill, and what it rests on."""
    counted = Plan(store, canonical(exp.judge))
    for _ in whole(exp, counted.run):
        pass
    stages: dict[str, Line] = {}
    total = Line("all")
    for line in counted.lines:
        for part in (stages.setdefault(line.stage, Line(line.stage)), total):
            for name in ("calls", "kept", "tokens_in", "tokens_out", "dollars", "most", "texts", "rows"):
                setattr(part, name, getattr(part, name) + getattr(line, name))
    tables = [
        aligned([HEAD, *(line.cells() for line in lines)]) for lines in (counted.lines, [*stages.values(), total])
    ]
    return "\n\n".join(
        [*tables, *_money(exp.teacher, total), ASSUMPTIONS, "This was a dry run: nothing was asked or trained."]
    )


def _money(teacher: Any, total: Line) -> list[str]:
    if not isinstance(teacher, ApiTeacher):
        return ["The teacher is offline and costs nothing."] if total.calls else []
    if teacher.price is None:
        return [f"There is no price of {teacher.model!r} in teacher.prices, so tokens are counted and no dollars."]
    if teacher.budget_usd is not None and total.most > teacher.budget_usd:
        return [f"teacher.budget_usd={teacher.budget_usd:g} would stop the run, should it cost the most that it can."]
    return []


# ---- what each step can be expected to do ----


def _exists(value: Any) -> bool:
    members = value if isinstance(value, (list, tuple)) else [value]
    return all(member.path.exists() for member in members if isinstance(member, Artifact))


def _asked(
    line: Line, teacher: Any, count: int, chats: Sequence[Chat] | None, schema: dict[str, Any] | None = None
) -> None:
    """Count `count` calls; where the chats are known, look them up in the cache."""
    line.calls = count
    if not isinstance(teacher, ApiTeacher):
        return
    picture = teacher.price.picture if teacher.price else PICTURE
    wrote, cap = min(WRITTEN[line.step], teacher.max_tokens), teacher.max_tokens
    if chats is None:
        read, most_read, left = count * (READ[line.step] + picture), count * (4 * READ[line.step] + picture), count
    else:
        calls = teacher.calls(chats, schema)
        if (Path(teacher.cache) / DATABASE).exists():
            with Calls(Path(teacher.cache)) as known:
                calls = [call for call in calls if known.find(call.key) is None]
        read = sum(call.likely(picture) - cap for call in calls)
        most_read, left = sum(call.most_read(picture) for call in calls), len(calls)
        line.kept = count - left
    line.tokens_in, line.tokens_out = read, left * wrote
    line.dollars = teacher.dollars(read, 0, left * wrote) * teacher.share
    line.most = teacher.dollars(most_read, 0, left * cap) * teacher.share


def _draw(line: Line, problems: Artifact, size: int, seed: Any) -> Mapping[str, float]:
    return {"problems": size}


def _remaining(line: Line, problems: Artifact, solved: list[Artifact]) -> Mapping[str, float]:
    taken = sum(one.metrics.get("problems", one.metrics.get("accepted", 0)) for one in solved)
    return {"problems": max(0, problems.metrics["problems"] - taken)}


def _distill(line: Line, problems: Artifact, teacher: Any) -> Mapping[str, float]:
    chats = None
    if problems.path.exists():
        chats = [ask(problem) for problem in read_jsonl(Problem, problems.path / "problems.jsonl")]
    _asked(line, teacher, round(problems.metrics["problems"]), chats)
    return {"solutions": problems.metrics["problems"]}


def _judge(line: Line, solutions: Artifact, source: Any) -> Mapping[str, float]:
    count = solutions.metrics["solutions"]
    line.texts = round(count) if isinstance(source, TrainedOrm) else 0
    accepted = round(count * ACCEPTED[solutions.step])
    return {"generated": count, "accepted": accepted, "rejected": count - accepted}


def _sft(line: Line, data: list[Artifact], fit: Fit, **rest: Any) -> Mapping[str, float]:
    return _trained(line, sum(one.metrics["accepted"] for one in data), fit)


def _train_orm(line: Line, data: Artifact, fit: Fit, held_out: float, **rest: Any) -> Mapping[str, float]:
    return _trained(line, (data.metrics["wrong"] + data.metrics["right"]) * (1 - held_out), fit)


def _trained(line: Line, rows: float, fit: Fit) -> Mapping[str, float]:
    steps = max(fit.min_steps, math.ceil(rows * (1 - fit.validation) * fit.epochs / fit.batch_size))
    line.rows = steps * fit.batch_size
    return {"rows": rows, "steps": steps}


def _generate(line: Line, problems: Artifact, sampling: Sampling, **rest: Any) -> Mapping[str, float]:
    line.texts = round(problems.metrics["problems"]) * sampling.samples
    return {"solutions": line.texts}


def _annotate(line: Line, judged: list[Artifact], teacher: Any, size: int | None, **rest: Any) -> Mapping[str, float]:
    counts = [sum(one.metrics[name] for one in judged) for name in ("rejected", "accepted")]
    count = round(min(*counts, math.inf if size is None else size // 2))
    chats = None
    if _exists(judged):
        chats = [ask_for_annotation(row.solution) for row in chosen(judged, size, **rest)[0]]
        count = len(chats)
    _asked(line, teacher, count, chats, SCHEMA)
    return {"wrong": count, "right": count}


def _test_orm(line: Line, data: Artifact, held_out: float, **rest: Any) -> Mapping[str, float]:
    line.texts = round((data.metrics["wrong"] + data.metrics["right"]) * held_out)
    return {}


def _diagnose(line: Line, judged: list[Artifact], source: Any, repeated: str, **rest: Any) -> Mapping[str, float]:
    counts = [one.metrics["rejected"] for one in judged]
    kept = sum(counts) if repeated == "all" else counts[-1]
    return {"rejected": sum(counts), "kept": kept, "diagnosed": kept}


def _reflect(line: Line, diagnosed: Artifact, teacher: Any, **rest: Any) -> Mapping[str, float]:
    count = round(diagnosed.metrics["diagnosed"])
    chats = [ask_for_reflection(row) for row in rejected([diagnosed])] if diagnosed.path.exists() else None
    _asked(line, teacher, count, chats)
    return {"solutions": count}


def _write_up(line: Line, repaired: Artifact, **rest: Any) -> Mapping[str, float]:
    return {"accepted": repaired.metrics["accepted"]}


def _evaluate(line: Line, problems: Artifact, sampling: Sampling, **rest: Any) -> Mapping[str, float]:
    line.texts = round(problems.metrics["problems"]) * sampling.samples
    return {"n": line.texts}


EXPECT: dict[str, Callable[..., Mapping[str, float]]] = {
    "draw": _draw,
    "remaining": _remaining,
    "distill": _distill,
    "judge": _judge,
    "sft": _sft,
    "train_orm": _train_orm,
    "generate": _generate,
    "annotate": _annotate,
    "test_orm": _test_orm,
    "diagnose": _diagnose,
    "reflect": _reflect,
    "write_up": _write_up,
    "evaluate": _evaluate,
}
