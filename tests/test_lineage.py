"""A row tells where it came from and what became of it; D_SFT is a dataset that says so in its columns."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import pytest
from endpoint import Endpoint
from PIL import Image

from mathse.config import load
from mathse.export import main as export
from mathse.feedback.answer import AnswerMatch
from mathse.lineage import Steps
from mathse.lineage.__main__ import main, story
from mathse.lineage.dataset import COLUMNS, export_data, rows_of
from mathse.steps.data import draw, remaining
from mathse.steps.data import load as read
from mathse.steps.distill import distill
from mathse.steps.judging import diagnose, judge
from mathse.steps.reflect import reflect
from mathse.store import Artifact, Store
from mathse.types import Judged, Model, Problem, Solution, Verdict, read_jsonl, write_jsonl

EXP = load("data.size=26", "seed_size=6", "teacher.slip_rate=0")


# A model that solves every second problem, and its training: steps of the names that lineage goes by, without weights.


def generate(out: Path, *, model: Any, problems: Artifact, sampling: Any, seed: int) -> dict[str, float]:
    todo = read_jsonl(Problem, problems.path / "problems.jsonl")
    said = [(problem, problem.answer if i % 2 else "999") for i, problem in enumerate(todo)]
    write_jsonl(
        out / "solutions.jsonl",
        [
            Solution(problem, f"Step 1: I see {a}.\nThe answer to this problem is {a}.", model.name)
            for problem, a in said
        ],
    )
    return {"solutions": len(todo)}


def sft(out: Path, *, data: list[Artifact], fit: Any, backbone: Any) -> dict[str, float]:
    return {}


def evaluate(out: Path, *, model: Any, problems: Artifact) -> dict[str, float]:
    rows = [
        Judged(Solution(problem, "", model.name), Verdict("wrong", by="figures"))
        for problem in read_jsonl(Problem, problems.path / "problems.jsonl")
    ]
    write_jsonl(out / "judged.jsonl", rows)
    return {"accuracy": 0.25}


@dataclasses.dataclass
class Told:
    """A run of one round and reflection."""

    root: Path
    written: Artifact
    repaired: Artifact
    models: Sequence[Artifact]


def tell(root: Path, teacher: Any) -> Told:
    store = Store(root, EXP.runtime)
    D = store.run(read, data=EXP.data)
    taught = store.run(distill, problems=store.run(draw, problems=D, size=6, seed=0), teacher=teacher)
    D_SFT = [store.run(judge, solutions=taught, source=AnswerMatch())]
    first = store.run(sft, data=D_SFT, fit=EXP.fit, backbone=EXP.backbone)
    M_0 = Model(EXP.backbone, first, "M_0")
    rest = store.run(remaining, problems=D, solved=D_SFT)
    written = store.run(generate, model=M_0, problems=rest, sampling=EXP.sampling, seed=0)
    D_SFT = [*D_SFT, store.run(judge, solutions=written, source=AnswerMatch())]
    how = {"source": AnswerMatch(), "repeated": "latest", "solved_later": "drop"}
    repaired = store.run(reflect, diagnosed=store.run(diagnose, judged=[D_SFT[1]], **how), teacher=teacher, retries=1)
    D_SFT = [*D_SFT, store.run(judge, solutions=repaired, source=AnswerMatch())]
    last = store.run(sft, data=D_SFT, fit=EXP.fit, backbone=EXP.backbone)
    for model in (M_0, Model(EXP.backbone, last, "M_final")):
        store.run(evaluate, model=model, problems=rest)
    return Told(root, written, repaired, [first, last])


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    return tell(tmp_path_factory.mktemp("store"), EXP.teacher)


def row(told: Told, artifact: Artifact, number: int) -> str:
    solution = read_jsonl(Solution, artifact.path / "solutions.jsonl")[number]
    return f"{artifact.name}/{solution.id}"


def words(told: Told, name: str) -> str:
    steps = Steps(told.root)
    return "\n".join(story(steps, steps.find(name)))


def test_a_rejected_rollout_is_followed_to_the_model_that_learned_its_repair(told: Told) -> None:
    text = words(told, row(told, told.written, 0))
    for said in (
        "written in stage 2, round 1",
        "M_0: qwen2vl tiny, adapter sft-",
        "temperature 0.0, top_p 1.0, max_new_tokens 96, seed 0, sample 0 of 1",
        "Step 1: I see 999.",
        "by answer: wrong",
        "diagnose-",
        f"repaired: {told.repaired.name}/",
        f"in D_SFT of M_final, {told.models[1].name}: 25.0 % in evaluate-",
    ):
        assert said in text
    assert text.index("diagnose-") < text.index("repaired: ") < text.index("in D_SFT of M_final")
    assert told.models[0].name not in text.split("became")[1], "M_0 wrote it and did not learn from it"


def test_a_repair_tells_the_story_of_what_it_repairs(told: Told) -> None:
    text = words(told, row(told, told.repaired, 0))
    assert "written in stage 3" in text
    assert "the teacher, figures (offline)" in text
    assert "sha256 " in text
    repaired, draft = text.split("\n\n")
    assert f"repairs    {told.written.name}/" in repaired
    assert draft.startswith(told.written.name)


def test_an_accepted_rollout_names_every_training_that_it_was_in(told: Told) -> None:
    text = words(told, row(told, told.written, 1))
    assert "by answer: correct" in text
    assert "in D_SFT of M_final" in text
    assert "diagnose-" not in text


def test_a_beginning_that_is_one_rows_own_is_enough(told: Told) -> None:
    problem = row(told, told.written, 1).split("/")[1]
    steps = Steps(told.root)
    assert steps.find(f"{told.written.name}/{problem[:12]}").solution.problem.id == problem
    with pytest.raises(ValueError, match="solutions begin like this, say which"):
        steps.find(problem[:3])  # it was evaluated too
    with pytest.raises(ValueError, match=r"no solution in .* begins like this"):
        steps.find("nobody")


def test_mistakes_are_one_line(told: Told, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for asked, said in (
        ([], "usage"),
        (["x", f"store={tmp_path}"], "no step is stored there"),
        (["x", f"run={tmp_path}"], "no report of a finished run"),
    ):
        assert main(asked) == 2
        assert said in capsys.readouterr().err
    assert export([f"data={tmp_path}", f"out={tmp_path}/x", "images=embed"]) == 2
    assert "neither a run's report" in capsys.readouterr().err
    broken = tmp_path / "judge-00" / "record.json"
    broken.parent.mkdir()
    broken.write_text("{")
    with pytest.raises(ValueError, match=r"record\.json: missing or broken"):
        Steps(tmp_path)


@pytest.mark.parametrize("images", ["embed", "path"])
def test_d_sft_is_loaded_by_datasets_with_pictures_and_lineage(told: Told, images: str, tmp_path: Path) -> None:
    export([f"data={told.models[1].path}", f"out={tmp_path}/D_SFT", f"images={images}"])
    loaded = datasets.load_dataset(str(tmp_path / "D_SFT"), "M_final", cache_dir=str(tmp_path / "cache"))
    rows = loaded["train"]
    assert set(rows.column_names) == set(COLUMNS)
    assert {row["stage"] for row in rows} == {1, 2, 3}
    steps = Steps(told.root)
    for one in rows:
        found = steps.find(one["row"])
        assert found.solution.text == one["solution"]
        shown = [Image.open(path).tobytes() for path in found.solution.problem.images]
        assert [picture.tobytes() for picture in one["images"]] == shown
        assert (one["draft"] is not None) == (one["stage"] == 3)
        assert (one["model"], one["round"]) == (("M_0", 1) if one["stage"] == 2 else (None, None))
    card = (tmp_path / "D_SFT" / "README.md").read_text()
    assert card.startswith("---\nlicense: apache-2.0\n")
    for name in COLUMNS:
        assert f"| {name} |" in card
    assert f"| M_final | {told.models[1].name} | {len(rows)} |" in card
    with pytest.raises(ValueError, match="is there and not empty"):
        export_data(told.models[1].path, tmp_path / "D_SFT", images=images)


def test_a_runs_report_gives_d_sft_of_each_of_its_models(told: Told, tmp_path: Path) -> None:
    evaluated = sorted(told.root.glob("evaluate-*"))
    names = [{"name": path.name} for path in told.root.glob("*-*/record.json") for path in [path.parent]]
    run = told.root / "reports" / "run"
    run.mkdir(parents=True)
    summary = {"steps": names, "models": [{"artifact": path.name} for path in evaluated]}
    (run / "summary.json").write_text(json.dumps(summary))
    said = export_data(run, tmp_path / "out", images="embed")
    assert {line.split("/")[-1].split(":")[0] for line in said.splitlines()} == {"M_0", "M_final"}
    where = {"path": str(tmp_path / "out"), "cache_dir": str(tmp_path / "cache")}
    counts = {name: len(datasets.load_dataset(name=name, **where)["train"]) for name in ("M_0", "M_final")}
    assert 0 < counts["M_0"] < counts["M_final"]


def test_a_paid_call_is_found_with_its_tokens_and_dollars(tmp_path: Path) -> None:
    with Endpoint(answer=lambda body: "Step 1: It is 7.\nThe answer to this problem is 7.") as endpoint:
        teacher = load(
            "teacher=openai",
            "teacher.model=gpt-4o",
            f"teacher.base_url={endpoint.url}",
            "teacher.key_env=null",
            f"store={tmp_path}",
        ).teacher
        told = tell(tmp_path, teacher)
    text = words(told, row(told, told.repaired, 0))
    assert "the teacher, gpt-4o, call " in text
    assert "tokens read" in text
    assert "$ at the prices of conf/teacher" in text
    rows = list(rows_of(Steps(told.root), told.models[1].name))
    assert all(row["tokens_out"] and row["dollars"] > 0 and row["call"] for row in rows if row["stage"] in (1, 3))
    export_data(told.models[1].path, tmp_path / "D_SFT", images="embed")
    card = (tmp_path / "D_SFT" / "README.md").read_text()
    assert "license: other" in card
    assert "gpt-4o, whose terms" in card
