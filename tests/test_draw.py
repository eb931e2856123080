"""What is drawn is decided by content: nested, by source in its share, and hardly changed by rows that are added."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from mathse.config import load
from mathse.steps.data import stratified
from mathse.types import Problem

SOURCES = {"algebra": 120, "geometry": 60, "statistics": 20}


def rows(extra: int = 0) -> list[dict[str, str]]:
    counted = {**SOURCES, "algebra": SOURCES["algebra"] + extra}
    return [
        {"question": f"Find {source} {i}.", "answer": str(i), "source": source}
        for source, n in counted.items()
        for i in range(n)
    ]


def read(folder: Path, content: list[dict[str, str]]) -> list[Problem]:
    folder.mkdir()
    (folder / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in content))
    return load("data=jsonl", f"data.path={folder}/p.jsonl").data.write(folder)


def drawn(problems: list[Problem], size: int) -> set[str]:
    return {problem.question for problem in stratified(problems, 0)[:size]}


@pytest.fixture(scope="module")
def problems(tmp_path_factory: pytest.TempPathFactory) -> list[Problem]:
    return read(tmp_path_factory.mktemp("draw") / "all", rows())


@pytest.mark.parametrize("size", [10, 50, 100, 150])
def test_fewer_are_among_more_and_each_source_has_its_share(problems: list[Problem], size: int) -> None:
    assert drawn(problems, size) < drawn(problems, size + 10)
    shares = Counter(name.split()[1] for name in drawn(problems, size))
    assert all(abs(shares[source] - size * count / 200) <= 1 for source, count in SOURCES.items())


def test_the_order_of_rows_does_not_matter(problems: list[Problem], tmp_path: Path) -> None:
    turned = read(tmp_path / "turned", rows()[::-1])
    assert drawn(turned, 50) == drawn(problems, 50)


def test_appended_rows_replace_no_more_problems_than_they_take_places(problems: list[Problem], tmp_path: Path) -> None:
    more = read(tmp_path / "more", rows(extra=20))
    before, after = drawn(problems, 50), drawn(more, 50)
    new = {row["question"] for row in rows(extra=20)} - {row["question"] for row in rows()}
    gone = {source: {q for q in before - after if source in q} for source in SOURCES}
    assert len(before & after) >= 42  # of 220, a tenth are new; shares move by one or two
    assert len(gone["algebra"]) <= len(after & new)  # within the grown source only new rows push old ones out
    assert all(len(gone[source]) <= 2 for source in ("geometry", "statistics"))
