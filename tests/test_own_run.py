"""All three stages on problems of one's own: the teacher behind an endpoint that knows the answers, acceptance by answer match."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from endpoint import Endpoint

from mathse.figures.data import Figures
from mathse.types import row_to_json

ROOT = Path(__file__).parent.parent
SMALL = [
    "teacher=openai",
    "teacher.model=gpt-4o",
    "teacher.key_env=null",
    "teacher.requests_per_minute=0",
    "teacher.max_tokens=100",
    "judge=answer",
    "feedback=answer",
    "K=1",
    "orm_problems=1",
    "seed_size=6",
    "fit.min_steps=3",
    "fit.epochs=1",
    "sampling.max_new_tokens=24",
    "decoding.max_new_tokens=24",
    "tracker=none",
]
Row = dict[str, Any]


def jsonl(path: Path, rows: list[Row]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def figures(folder: Path, split: str, size: int) -> list[Row]:
    made = Figures(size=size, seed=7, split=split, families=()).write(folder)  # type: ignore[arg-type]
    rows = [row_to_json(problem, folder) for problem in made]
    return [{key: row[key] for key in ("id", "question", "images", "answer", "choices", "source")} for row in rows]


def run(folder: Path, train: Path, test: Path, *overrides: str) -> tuple[str, dict[str, Any], Path]:
    """What a run on the files says, its summary and its report's folder."""
    known = {
        row["question"]: row["answer"] for row in map(json.loads, train.read_text().splitlines()) if "question" in row
    }

    def answer(body: dict[str, Any]) -> str:
        text = body["messages"][0]["content"][-1]["text"]
        return f"Step 1: We look.\nThe answer to this problem is {next(a for q, a in known.items() if q in text)}."

    words = ["data=jsonl", f"data.path={train}", "benchmark=jsonl", f"benchmark.data.path={test}", *SMALL, *overrides]
    with Endpoint(answer=answer) as endpoint:
        words += [f"teacher.base_url={endpoint.url}", f"store={folder}/runs"]
        done = subprocess.run(
            [sys.executable, "train.py", *words], cwd=ROOT, env=dict(os.environ), capture_output=True, text=True
        )
    assert done.returncode == 0, done.stdout + done.stderr
    path = Path(done.stdout.strip().splitlines()[-1])
    return done.stdout, json.loads(path.read_text()), path.parent


def test_a_handful_of_problems_with_pictures_goes_through_all_three_stages(tmp_path: Path) -> None:
    rows, tests = figures(tmp_path, "train", 24), figures(tmp_path, "test", 8)
    broken = [{**rows[0], "images": ["no.png"]}, {**rows[1], "answer": ""}, rows[2]]
    train = jsonl(tmp_path / "train.jsonl", [*rows, *broken, tests[0]])
    said, summary, report = run(tmp_path, train, jsonl(tmp_path / "test.jsonl", tests))
    assert [model["name"] for model in summary["models"]] == ["base", "M_0", "M_1", "M_final"]
    (data,) = summary["data"]
    assert (data["read"], data["kept"]) == (28, 25)
    assert data["dropped"] == {"duplicate": 1, "missing picture": 1, "no answer": 1}
    assert summary["contamination"]["dropped"] == summary["contamination"]["leaks"] >= 1
    assert "every part works" in summary["note"]
    page, markdown = (report / "report.html").read_text(), (report / "report.md").read_text()
    assert "training problem" in page.split('class="leaks"')[1]
    assert tests[0]["question"].split("Choices")[0].strip() in page.replace("&#39;", "'").replace("&#34;", '"')
    assert page.count("data:image/png") >= 2
    for words in ("line 25", "no.png", summary["note"], "side by side in report.html"):
        assert words in markdown
    assert "25 of 28 rows kept" in said


def slice_of(path: Path, out: Path, images: Callable[[str], str], rows: slice) -> Path:
    chosen = [json.loads(line) for line in path.read_text().splitlines()][rows]
    return jsonl(out, [{**row, "image": images(row["image"])} for row in chosen])


@pytest.mark.slow  # the same with our own figures is above
def test_real_problems_with_pictures_go_through_all_three_stages(beside: Callable[[str], Path], tmp_path: Path) -> None:
    folder = beside("data/dynamath-images")
    train = slice_of(folder / "trial1.jsonl", tmp_path / "train.jsonl", str, slice(0, 24))
    test = slice_of(
        folder / "trial3.jsonl", tmp_path / "test.jsonl", lambda image: str(folder / image), slice(100, 106)
    )
    _, summary, report = run(tmp_path, train, test, f"data.images={folder}")
    assert [model["name"] for model in summary["models"]] == ["base", "M_0", "M_1", "M_final"]
    (data,) = summary["data"]
    assert (data["read"], data["kept"], data["dropped"]) == (24, 24, {})
    assert summary["note"] in (report / "report.md").read_text()
