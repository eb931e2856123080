"""`dry_run=true`: what a run would ask, pay, generate and train, before it does.

Algorithm 1 runs as it is, with steps that only count: a step's name follows from its recipe, so what the store holds is known at once,
also behind steps that are not computed yet. Problems are read and drawn for real (it costs nothing and everything hangs on it), or so
many are assumed (`plan.problems`); the calls of a step whose inputs are there are counted one by one and looked up in the cache; all
others rest on the assumptions (conf/plan), which are printed. Neither weights nor data need be there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mathse.plan.assumptions import Assumptions, stated
from mathse.plan.expect import Expected, exists
from mathse.plan.lines import Line, table
from mathse.report.roles import STAGES, role_of
from mathse.report.text import aligned
from mathse.store import Artifact, Store, canonical, name_of, recipe_of
from mathse.teacher.openai import ApiTeacher
from mathse.whole import whole

if TYPE_CHECKING:
    from mathse.config import Experiment

# Cheap, and computed where their inputs are there.
REAL = ("load", "decontaminate", "disjoint", "fitting", "draw", "remaining")


@dataclass
class Plan:
    """Stands in for the store: `run` takes the same calls and does nothing that costs."""

    store: Store
    judge: Any
    assumed: Assumptions
    lines: list[Line] = field(default_factory=list)
    roles: dict[str, str] = field(default_factory=dict)
    ranks: dict[str, int] = field(default_factory=dict)

    def run(self, step: Callable[..., Any], /, **inputs: Any) -> Artifact:
        """The stored artifact, or one that is not there, whose metrics are what can be expected."""
        recipe = recipe_of(step, inputs, absent=True)
        name, kind = name_of(recipe), step.__name__
        role = role_of(recipe, self.roles, self.judge)
        if kind == "load" and self._assumed(role) is not None:  # whatever the store holds, nothing behind it is found
            name += "-assumed"
        new = name not in self.roles
        self.roles.setdefault(name, role)
        if "lora" in inputs:
            self.ranks[name] = inputs["lora"].rank
        line = Line(kind, self.roles[name])
        if (self.store.root / name).exists() or (kind in REAL and self._there(line, inputs)):
            line.found = True
            artifact = self.store.run(step, **inputs)
        else:
            expected = getattr(Expected(self.assumed, self.ranks), kind)(line, **inputs)
            artifact = Artifact(name, self.store.root / name, expected)
        if new and kind not in REAL:
            self.lines.append(line)
        return artifact

    def _assumed(self, role: str) -> int | None:
        """How many problems of this role are assumed to be there, None where they are read."""
        return self.assumed.test_problems if role == "test" else self.assumed.problems

    def _there(self, line: Line, inputs: dict[str, Any]) -> bool:
        """Whether a step on problems can be done for real."""
        if line.step == "load":
            return self._assumed(line.role) is None
        return all(map(exists, inputs.values()))

    def stages(self) -> list[Line]:
        """What each stage would take, and all of them."""
        sums = {stage: Line(stage) for stage in STAGES}
        total = Line("all")
        for line in self.lines:
            sums[line.stage].add(line)
            total.add(line)
        return [*(sums[stage] for stage in sums if any(line.stage == stage for line in self.lines)), total]


def counted(exp: Experiment, store: Store) -> Plan:
    """The whole run, counted."""
    found = Plan(store, canonical(exp.judge, absent=True), exp.plan)
    for _ in whole(exp, found.run):
        pass
    return found


def plan(exp: Experiment, store: Store) -> str:
    """The whole run's bill, and what it rests on."""
    found = counted(exp, store)
    stages = found.stages()
    price = exp.plan.gpu_hour_usd
    tables = [aligned(table(lines, price)) for lines in (found.lines, stages)]
    notes = [*_unknown(found), *_money(exp.teacher, stages[-1]), stated(exp.plan)]
    title = f"{exp.backbone.family}, scale {exp.scale}, K {exp.K}"
    return "\n\n".join([title, *tables, *notes, "This was a dry run: nothing was asked or trained."])


def _unknown(found: Plan) -> list[str]:
    lost = sorted({line.step for line in found.lines if line.hours is None})
    if not lost:
        return []
    return [
        f"GPU hours of {', '.join(lost)} are not known: the checkpoint's config.json is not here and plan.published does not have its "
        "size (`hf download <checkpoint> config.json` is enough)."
    ]


def _money(teacher: Any, total: Line) -> list[str]:
    if not isinstance(teacher, ApiTeacher):
        return ["The teacher is offline and costs nothing."] if total.calls else []
    if teacher.price is None:
        return [f"There is no price of {teacher.model!r} in teacher.prices, so tokens are counted and no dollars."]
    if teacher.budget_usd is not None and total.most > teacher.budget_usd:
        return [f"teacher.budget_usd={teacher.budget_usd:g} would stop the run, should it cost the most that it can."]
    return []
