"""D_SFT as a dataset that `datasets.load_dataset` reads: Parquet with the lineage of each row in its columns, and a data card.

    dataset = datasets.load_dataset("DIR", "M_1")["train"]

A configuration for each model holds all rows that it learned from, so those of M_2 hold those of M_1; `stage` and `round` tell them
apart. Pictures are in the Parquet (`embed`), or files beside it (`path`).
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mathse.lineage import Steps, Written, kind_of
from mathse.lineage.card import COLUMNS, card
from mathse.lineage.origin import author, call, draft, pictures, stage_of_row, writer
from mathse.report.files import new_folder, write_text
from mathse.steps.data import accepted
from mathse.steps.generate import ask
from mathse.steps.sft import distinct, share
from mathse.store import Artifact
from mathse.types import Judged

IMAGES = ("embed", "path")
TOGETHER = 256  # rows of a group in the file
LARGEST = 400 * 2**20  # bytes of pictures and rows in one file


def export_data(source: Path, out: Path, *, images: str, store: Path | None = None) -> str:
    """Write what the models of a run learned from (its report's folder), or one model (an sft step's), and say so in a line each.

    `store`: the run's, where that is not the folder two above its report.

    Raises ValueError where `source` is neither, or the store lacks what is needed.
    """
    steps, models = _sources(source, store)
    counts: dict[str, list[dict[str, Any]]] = {}
    with new_folder(out) as work:
        for name, model in models.items():
            folder = work / model
            folder.mkdir()
            counts[model] = _write(rows_of(steps, name), folder, images)
        write_text(work / "README.md", card(steps, models, counts, images))
    return "\n".join(f"{out}/{model}: {len(rows)} rows" for model, rows in counts.items())


def _sources(source: Path, store: Path | None) -> tuple[Steps, dict[str, str]]:
    """The store's steps, and the sft steps to be exported with the names of their models."""
    if (source / "summary.json").is_file():
        summary = json.loads((source / "summary.json").read_text(encoding="utf-8"))
        root = store or source.resolve().parent.parent
        steps = Steps(root, frozenset(step["name"] for step in summary["steps"]))
        made = [step for step in steps.records if kind_of(step) == "sft"]
        evaluated = [steps.inputs(model["artifact"])["model"] for model in summary["models"]]
        names = {model["adapter"]["artifact"]: model["name"] for model in evaluated if model["adapter"]}
        return steps, {name: model for name, model in names.items() if name in made}
    if kind_of(source.resolve().name) == "sft" and source.is_dir():
        steps = Steps(source.resolve().parent)
        return steps, {source.resolve().name: steps.model_of(source.resolve().name)}
    raise ValueError(f"data={source}: neither a run's report (summary.json) nor the folder of an sft step")


def rows_of(steps: Steps, name: str) -> Iterator[dict[str, Any]]:
    """The rows of D_SFT that an sft step learned from, in its order; `images` are paths."""
    inputs = steps.inputs(name)
    data = [one["artifact"] for one in inputs["data"]]
    read = [(judged, row) for judged in data for row in accepted([Artifact(judged, steps.root / judged)])]
    step_of = {id(row): judged for judged, row in read}
    for row in distinct([row for _, row in read]):
        yield _row(steps, step_of[id(row)], row, inputs["fit"]["validation"])


def _row(steps: Steps, judged: str, row: Judged, validation: float) -> dict[str, Any]:
    solution, problem = row.solution, row.solution.problem
    written: Written = writer(steps, judged, solution)
    stage, k = stage_of_row(written)
    repaired = draft(steps, written)
    asked = call(steps, written, repaired)
    answer = asked.answer if asked else None
    said = repaired.row.verdict if repaired else None
    return {
        "row": written.id,
        "problem": problem.id,
        "question": problem.question,
        "choices": list(problem.choices),
        "reference": problem.answer,
        "source": problem.source,
        "level": problem.level,
        "images": list(problem.images),
        "image_sha256": pictures(solution),
        "prompt": ask(problem)[0].text,
        "solution": solution.text,
        "stage": stage,
        "round": k,
        "author": solution.author,
        **author(steps, written),
        "judged_in": judged,
        "judge": row.verdict.by,
        "judge_score": row.verdict.score,
        "judge_raw": row.verdict.raw,
        "draft_row": repaired.written.id if repaired else None,
        "draft": repaired.written.solution.text if repaired else None,
        "feedback_by": said.by if said else None,
        "feedback_step": said.error_step if said else None,
        "feedback": said.analysis if said else None,
        "teacher": asked.teacher if asked else None,
        "call": asked.key if asked else None,
        "tokens_in": answer.tokens_in if answer else None,
        "tokens_out": answer.tokens_out if answer else None,
        "dollars": asked.dollars if asked else None,
        "held_out": share(problem.id) < validation,
    }


def _write(rows: Iterator[dict[str, Any]], folder: Path, images: str) -> list[dict[str, Any]]:
    """The rows as Parquet and, by path, their pictures beside; returns what the card counts."""
    import pyarrow
    from pyarrow import parquet

    features = _features(images)
    schema = features.arrow_schema
    writer, size, files = None, 0, 0
    counted: list[dict[str, Any]] = []
    for some in _groups(rows):
        counted += [{name: row[name] for name in ("stage", "round", "source", "teacher", "question")} for row in some]
        cells = [_embedded(row) if images == "embed" else _beside(row, folder) for row in some]
        table = pyarrow.Table.from_pylist(cells, schema=schema)
        if writer is None or (size > LARGEST and images == "embed"):
            if writer:
                writer.close()
            name = f"train-{files:05}.parquet" if images == "embed" else "metadata.parquet"
            writer, size, files = parquet.ParquetWriter(folder / name, schema), 0, files + 1
        writer.write_table(table)
        size += table.nbytes
    if writer:
        writer.close()
    return counted


def _groups(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    some: list[dict[str, Any]] = []
    for row in rows:
        some.append(row)
        if len(some) == TOGETHER:
            yield some
            some = []
    if some:
        yield some


def _features(images: str) -> Any:
    """The columns as `datasets` knows them. By path, `datasets` makes the pictures' column of the names of their files."""
    from datasets import Features, Image, List, Value

    kinds = {"strings": List(Value("string")), "images": List(Image())}
    known = {name: kinds[kind] if kind in kinds else Value(kind) for name, (kind, _) in COLUMNS.items()}
    if images == "path":
        del known["images"]
        known["images_file_names"] = List(Value("string"))
    return Features(known)


def _embedded(row: Mapping[str, Any]) -> dict[str, Any]:
    pictures = [{"bytes": Path(image).read_bytes(), "path": Path(image).name} for image in row["images"]]
    return {**row, "images": pictures}


def _beside(row: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The row with the names of its pictures, which are copied under the hash of their content, once for all models."""
    names = []
    for image, digest in zip(row["images"], row["image_sha256"], strict=True):
        names.append(f"images/{digest[:16]}{Path(image).suffix}")
        to = folder / names[-1]
        to.parent.mkdir(exist_ok=True)
        if not to.exists():
            there = next(folder.parent.glob(f"*/{names[-1]}"), None)
            os.link(there, to) if there else shutil.copyfile(image, to)
    return {**{name: value for name, value in row.items() if name != "images"}, "images_file_names": names}
