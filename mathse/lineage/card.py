"""The data card of an exported D_SFT: the hub's YAML header, where rows come from, what may be done with them, counts, columns."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from mathse.lineage import Steps, kind_of
from mathse.report.text import markdown
from mathse.types import language_of

FIGURES = "mathse.figures.data.Figures"
OFFLINE = "mathse.teacher.figures.FiguresTeacher"
COLUMNS = {  # name: (type, what it is)
    "row": (
        "string",
        "the solution's id with the step that wrote it: `python -m mathse.lineage ROW` tells its story",
    ),
    "problem": ("string", "the problem's id"),
    "question": ("string", ""),
    "choices": ("strings", "of a multiple-choice problem, answered by letter"),
    "reference": ("string", "the reference answer"),
    "source": ("string", "of the problem: its family or data set"),
    "level": ("int64", "difficulty, 0 where none is known"),
    "images": ("images", "the problem's pictures"),
    "image_sha256": ("strings", "of the picture files"),
    "prompt": ("string", "what the model is asked"),
    "solution": ("string", "what it learns to write, as it was written"),
    "stage": ("int64", "1 distilled, 2 self-made, 3 reflected"),
    "round": ("int64", "of stage 2"),
    "author": ("string", "a model, the teacher, or `reflection on` a model"),
    "model": ("string", "that wrote it, where a model did"),
    "backbone": ("string", ""),
    "checkpoint": ("string", ""),
    "adapter": ("string", "the step that made it"),
    "temperature": ("float64", "0 is greedy"),
    "top_p": ("float64", ""),
    "samples": ("int64", "of each problem"),
    "max_new_tokens": ("int64", ""),
    "seed": ("int64", ""),
    "sample_index": ("int64", ""),
    "judged_in": ("string", "the step of the verdict that took it in"),
    "judge": ("string", "answer, or the step that made the ORM …"),
    "judge_score": ("float64", "probability of `correct`, where the judge has one"),
    "judge_raw": ("string", "the judge's own words; an ORM's threshold goes by the score, also against them"),
    "draft_row": ("string", "of a repair: the rejected solution's row"),
    "draft": ("string", "its text"),
    "feedback_by": ("string", ""),
    "feedback_step": ("int64", "first wrong step, from 1"),
    "feedback": ("string", "what is wrong with the draft"),
    "teacher": ("string", "who was asked, where the teacher wrote it"),
    "call": ("string", "sha256 that the call is kept under"),
    "tokens_in": ("int64", "of the call; null where it was not paid or is not in the cache"),
    "tokens_out": ("int64", ""),
    "dollars": ("float64", "at the prices of conf/teacher"),
    "held_out": ("bool", "not trained on: the loss is measured on it"),
}
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (10**9, "100K<n<1M"))


def card(
    steps: Steps, models: Mapping[str, str], counts: Mapping[str, Sequence[Mapping[str, Any]]], images: str
) -> str:
    """README.md. `models`: names of models by their sft step; `counts`: of each model's rows, what is counted."""
    rows = [row for some in counts.values() for row in some]
    sources, teachers = _inputs(steps, models, "load", "data"), _inputs(steps, models, "distill", "teacher")
    ours = all(source["_target_"] == FIGURES for source in sources) and all(t["_target_"] == OFFLINE for t in teachers)
    largest = max(map(len, counts.values()), default=0)
    made = [
        [model, name, str(len(counts[model])), str(steps.records[name].get("commit"))] for name, model in models.items()
    ]
    shares = Counter((model, row["stage"], row["round"]) for model, some in counts.items() for row in some)
    families = Counter(row["source"] for row in counts[list(counts)[-1]]) if counts else Counter()
    parts = [
        _header(counts, images, ours, sorted({language_of(row["question"]) for row in rows}), largest),
        "# D_SFT: what the models learned from",
        "Made by MathSE's loop (arXiv 2511.06805), as mathse implements it: solutions by a teacher (stage 1), by the model itself "
        "(stage 2) and repairs by the teacher (stage 3), those that the judge accepted. Each row carries its lineage.",
        "```python\nimport datasets\n\n"
        f'rows = datasets.load_dataset("path/of/this/folder", "{list(models.values())[-1]}")["train"]\n```',
        "## Rows",
        markdown([["for", "trained in", "rows", "commit"], *made]),
        markdown(
            [["for", "stage", "round", "rows"]]
            + [[model, str(stage), str(k or ""), str(count)] for (model, stage, k), count in shares.items()]
        ),
        "By source of the problem, in the last: "
        + ", ".join(f"{name or 'none'} {n}" for name, n in families.most_common())
        + ".",
        "## Licence",
        _licence(sources, teachers, ours),
        "## Columns",
        markdown([["column", "type", "what it is"], *([name, kind, what] for name, (kind, what) in COLUMNS.items())]),
        "Solutions are by models: right answers can stand behind wrong steps, and the judge lets some wrong answers through. "
        "Not for evaluation.",
    ]
    return "\n\n".join(parts) + "\n"


def _header(counts: Mapping[str, Any], images: str, ours: bool, languages: Sequence[str], largest: int) -> str:
    lines = ["license: apache-2.0"] if ours else ["license: other", "license_name: see-the-card"]
    lines += [f"language: {json.dumps(languages)}", "pretty_name: D_SFT of a MathSE run"]
    lines += [
        "task_categories: [image-text-to-text, visual-question-answering]",
        "tags: [mathematics, self-training, mathse]",
    ]
    lines += [f"size_categories: [{next(name for most, name in SIZES if largest < most)}]", "configs:"]
    for model in counts:
        files = f"{model}/train-*.parquet" if images == "embed" else f"{model}/**"
        lines += [f"- config_name: {model}", "  data_files:", "  - split: train", f'    path: "{files}"']
    return "\n".join(["---", *lines, "---"])


def _inputs(steps: Steps, models: Mapping[str, str], step: str, field: str) -> list[Mapping[str, Any]]:
    """The distinct settings in `field` of all steps of that kind which the models rest on."""
    names = sorted({name for model in models for name in steps.ancestors(model) if kind_of(name) == step})
    found = {json.dumps(steps.inputs(name)[field], sort_keys=True): steps.inputs(name)[field] for name in names}
    return list(found.values())


def _licence(sources: Sequence[Mapping[str, Any]], teachers: Sequence[Mapping[str, Any]], ours: bool) -> str:
    if ours:
        return "Problems, pictures and the teacher's solutions were made by mathse's own programs: Apache-2.0."
    kinds = ", ".join(sorted({str(source["_target_"]).rpartition(".")[2] for source in sources}))
    names = ", ".join(sorted({str(t.get("model", t["_target_"])) for t in teachers}))
    return (
        f"Questions and pictures are those of the source ({kinds}) and keep its licence; what is known of the named public sets stands "
        f"in conf/data of mathse. Solutions were written by {names}, whose terms may say what they can be used to train, and by the "
        "models named in the rows. Nothing was licensed to whoever exported this beyond that: look it up before you publish."
    )
