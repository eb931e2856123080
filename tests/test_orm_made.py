"""The ORM's data and training with everything that can be chosen, made for real at tiny scale."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mathse.algorithm import begin
from mathse.config import load
from mathse.feedback.orm import TrainedOrm
from mathse.report.orm import instruments
from mathse.report.orm.cuts import cut
from mathse.store import RECORD, Artifact, Store
from mathse.types import Judged, Model, Solution, read_jsonl
from mathse.whole import read

SOURCES = ("bars", "clock", "grid", "ruler", "scale", "table")
CHOSEN = [
    "data.size=156",
    "orm_problems=78",
    "seed_size=52",
    "benchmark.data.size=13",
    "fit.epochs=1",
    "fit.min_steps=10",
    "orm.fit.epochs=1",
    "orm.fit.min_steps=20",
    "+backbone@orm.data.students.other.backbone=internvl25",
    "+orm.data.students.other={_target_:mathse.feedback.orm.Student,fit:${fit},lora:${lora},rounds:0}",
    "orm.data.students.student.rounds=1",
    "orm.data.size=24",
    f"+orm.data.mix={{{','.join(f'{source}:1' for source in SOURCES)}}}",
    "orm.data.language=en",
    "orm.use_reference=false",
    "orm.held_out=0.5",
    "runtime.batch_size=64",
]


class Steps:
    """Hears of each step, with its recipe, as the reporter does."""

    def __init__(self) -> None:
        self.seen: list[tuple[Artifact, Any]] = []

    def step(self, artifact: Artifact, recipe: Any, *, cached: bool, seconds: float) -> None:
        self.seen.append((artifact, recipe))

    def all(self, step: str) -> list[Artifact]:
        return [artifact for artifact, _ in self.seen if artifact.step == step]


@pytest.mark.slow
def test_an_orm_of_two_families_several_rounds_and_chosen_data_that_sees_no_answer(tmp_path: Path) -> None:
    exp, steps = load(*CHOSEN), Steps()
    run = Store(tmp_path, exp.runtime, steps).run
    _, kept, taught = begin(exp, read(exp, run), run)
    orm = exp.orm.prepare(run, taught, kept, Model(exp.backbone))
    assert isinstance(orm, TrainedOrm)
    assert not orm.use_reference

    written = [read_jsonl(Solution, one.path / "solutions.jsonl") for one in steps.all("generate")[:3]]
    assert [{solution.author for solution in some} for some in written] == [{"student"}, {"student_1"}, {"other"}]
    families = {
        json.loads((one.path / RECORD).read_text())["inputs"]["backbone"]["_target_"] for one in steps.all("sft")
    }
    assert len(families) == 2

    (annotated,) = steps.all("annotate")
    rows = read_jsonl(Judged, annotated.path / "judged.jsonl")
    wrong = [row for row in rows if row.verdict.status == "wrong"]
    assert 2 <= len(rows) <= 24
    assert len(wrong) == annotated.metrics["right"] == len(rows) - len(wrong)
    assert {row.solution.problem.source for row in rows} <= set(SOURCES)
    assert all(row.verdict.error_step and row.verdict.analysis for row in wrong)

    (judge,) = instruments(steps.seen)
    assert judge.name == f"{orm.by} (qwen2vl, seed 0, not shown the answer, threshold 0.9)"
    authors = {row.solution.author for row in rows}
    assert set(cut(judge.held_out, "model")) <= authors <= {"student", "student_1", "other"}
