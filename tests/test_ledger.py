"""What a run took is counted where it is done, and what was not counted is unknown, never 0."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import loaded

from mathse.backbones.flops import Size, size_of
from mathse.backbones.qlora import Lora
from mathse.backbones.qwen2vl import Qwen2VL
from mathse.config import load
from mathse.fit import Fit
from mathse.generation import Sampling
from mathse.report.ledger import ledger, ledger_notes, ledger_table
from mathse.store import RECORD, Artifact, Runtime, Store
from mathse.store.work import COUNTS, count, counted
from mathse.types import Problem, Turn

ASKS_A_MODEL = {"backbone": {"_target_": "mathse.backbones.qwen2vl.Qwen2VL"}}
FIT = Fit(
    epochs=1,
    min_steps=2,
    batch_size=4,
    micro_batch_size=2,
    lr=1e-3,
    weight_decay=0.0,
    warmup=0.1,
    clip=1.0,
    validation=0.0,
)


def made(root: Path, name: str, metrics: dict[str, float] | None = None, **record: Any) -> Artifact:
    (root / name).mkdir()
    (root / name / RECORD).write_text(json.dumps({"seconds": 2.0, "inputs": {}, **record}))
    return Artifact(name, root / name, metrics or {})


def test_what_generation_reads_writes_and_sees_is_counted(
    backbone: Qwen2VL, runtime: Runtime, problems: list[Problem]
) -> None:
    from mathse.steps.generate import ask, loaded, solve
    from mathse.types import Model

    some = problems[:4]
    model = loaded(Model(backbone), runtime)
    model.seen = type(model.seen)()  # a memory of its own: other tests may have seen the pictures
    greedy = Sampling(temperature=0.0, top_p=1.0, samples=1, max_new_tokens=5)
    with counted() as work:
        solve(Model(backbone), some, greedy, 0, runtime)
        solve(Model(backbone), some, greedy, 0, runtime)
    rows = [model.encode(ask(problem), reply=True) for problem in some]
    pictures = sum(len(row.pictures) for row in rows)
    picture_tokens = sum(int((row.ids == model.picture_id).sum()) for row in rows)
    assert work.tokens_read == 2 * sum(map(len, rows))
    assert 0 < work.tokens_generated <= 2 * 4 * 5
    assert (work.pictures_encoded, work.pictures_found, work.picture_tokens) == (pictures, pictures, picture_tokens)
    assert work.flops == model.size.reading(work.tokens_read) + model.size.writing(
        work.tokens_generated
    ) + model.size.seeing(picture_tokens)
    assert work.tokens_trained == 0


def test_what_fine_tuning_learns_from_is_counted_without_padding(
    backbone: Qwen2VL, runtime: Runtime, problems: list[Problem], tmp_path: Path
) -> None:
    from mathse import training
    from mathse.steps.generate import ask

    model = backbone.load(lora=Lora(rank=4, alpha=8, dropout=0.0))
    rows = [model.encode((*ask(problem), Turn("assistant", "Step 1: 7 * 4 = 28."))) for problem in problems[:8]]
    with counted() as work:
        training.fit(model, rows, [], FIT, seed=0, out=tmp_path, label="", runtime=runtime)
    assert work.tokens_passed == sum(map(len, rows))
    assert work.tokens_trained == sum(int(row.trained.sum()) for row in rows)
    assert work.flops >= model.size.learning(work.tokens_passed, work.tokens_trained)


@pytest.mark.parametrize("family", ["qwen2vl", "internvl25", "cogvlm2"])
def test_a_member_is_as_large_in_memory_as_its_configuration_says(family: str) -> None:
    member = load(f"backbone={family}").backbone
    known, there = size_of(member.shape(), 8), member.load(lora=Lora(rank=8, alpha=8, dropout=0.0)).size
    assert there.adapter == known.adapter
    assert (there.head, there.vision) == (known.head, known.vision)
    assert there.language == pytest.approx(known.language, rel=0.01), "norms and biases apart"


def test_the_frozen_base_learns_nothing_but_passes_gradients_on() -> None:
    size = Size(language=100, adapter=10, head=20, vision=30)
    assert size.reading(1) == 2 * 110
    assert size.writing(1) == 2 * 130
    assert size.learning(2, 1) == 2 * (4 * 100 + 6 * 10) + 4 * 20
    assert size.seeing(1) == 8 * 30


def test_what_was_not_counted_is_unknown_and_a_sum_says_that_it_lacks_it(tmp_path: Path) -> None:
    old = made(tmp_path, "sft-old", inputs=ASKS_A_MODEL)
    new = made(tmp_path, "sft-new", inputs=ASKS_A_MODEL, work={**dict.fromkeys(COUNTS, 0), "tokens_trained": 70})
    drawn = made(tmp_path, "draw-old")
    gone = Artifact("evaluate-gone", tmp_path / "evaluate-gone")
    roles = {"sft-old": "M_0", "sft-new": "M_1", "draw-old": "seed", "evaluate-gone": "M_0"}
    book = ledger([old, new, drawn, gone], roles, {"sft-old", "draw-old"})
    stages = {sums["stage"]: sums for sums in book["stages"]}
    assert stages["stage 1"]["tokens_trained"] is None
    assert stages["problems"]["tokens_trained"] == 0, "a draw asks no model, whatever its record says"
    assert stages["stage 2"]["tokens_trained"] == 70
    assert stages["evaluation"]["seconds"] is None
    assert book["total"]["tokens_trained"] == 70
    assert book["total"]["unknown"]["tokens_trained"] == 2
    assert (book["total"]["saved"]["seconds"], book["total"]["new"]["seconds"]) == (4.0, 2.0)
    cells = {row[0]: dict(zip(ledger_table(book)[0], row, strict=True)) for row in ledger_table(book)}
    assert cells["stage 1"]["tokens trained"] == "unknown"
    assert cells["all"]["tokens trained"] == "70 +?"
    assert ledger_notes(book)


def test_money_is_known_where_it_was_paid_and_cached_calls_are_told_from_paid_ones(tmp_path: Path) -> None:
    steps = [
        made(tmp_path, "distill-a", {"teacher_calls": 10, "calls_paid": 4, "dollars": 0.5}),
        made(tmp_path, "reflect-b", {"teacher_calls": 10}),
        made(tmp_path, "annotate-c", {"teacher_calls": 3, "calls_paid": 3}),
    ]
    rows = ledger(steps, {"distill-a": "teacher", "reflect-b": "reflection", "annotate-c": "orm"}, set())["steps"]
    assert [(row["dollars"], row["calls_cached"]) for row in rows] == [(0.5, 6), (0.0, 0), (None, 0)]


def works(out: Path, *, tokens: int) -> dict[str, float]:
    """A step that generates so many tokens."""
    count(tokens_generated=tokens)
    return {}


def test_a_step_of_a_store_leaves_its_counts_in_the_record_and_not_in_the_recipe(tmp_path: Path) -> None:
    runtime = loaded().runtime
    artifact = Store(tmp_path, runtime).run(works, tokens=5)
    record = json.loads((artifact.path / RECORD).read_text())
    assert record["work"]["tokens_generated"] == 5
    assert record["resumed"] is False
    assert artifact.metrics == {}
    count(tokens_generated=1)  # outside of a step there is nothing to add to


def test_a_step_that_was_killed_before_says_so(tmp_path: Path) -> None:
    store = Store(tmp_path, loaded().runtime)
    name = store.run(works, tokens=7).name
    (tmp_path / name).rename(tmp_path / f"{name}.partial")
    (tmp_path / f"{name}.partial" / RECORD).unlink()
    record = json.loads((store.run(works, tokens=7).path / RECORD).read_text())
    assert record["resumed"] is True
