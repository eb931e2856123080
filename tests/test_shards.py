"""Long steps in chunks: what is done stays done, and several processes share them to the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from mathse.steps.shards import in_chunks
from mathse.store import ShareDone
from mathse.store.runtime import RANK
from mathse.types import Problem, read_jsonl

ITEMS = list(range(11))


def row(item: int) -> Problem:
    return Problem(id=str(item), question="?", images=(), answer="1", choices=(), source="", level=0)


class Killed(Exception):
    pass


def work_on(out: Path, chunk: int = 2, until: int = 99) -> tuple[list[str], list[list[int]]]:
    """The ids of the rows, and the chunks worked on; killed before the chunk that has the item `until`."""
    chunks: list[list[int]] = []

    def work(some: Sequence[int]) -> list[Problem]:
        if until in some:
            raise Killed
        chunks.append(list(some))
        return [row(item) for item in some]

    try:
        rows = in_chunks(out, ITEMS, work, Problem, file="rows.jsonl", chunk=chunk, label="test", unit="items")
    except (ShareDone, Killed):
        return [], chunks
    assert rows == read_jsonl(Problem, out / "rows.jsonl")
    return [some.id for some in rows], chunks


WHOLE = [str(item) for item in ITEMS]


def test_each_rank_takes_its_chunks_and_the_first_gathers_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RANK, "1/2")
    assert work_on(tmp_path) == ([], [[2, 3], [6, 7], [10]])
    assert not (tmp_path / "rows.jsonl").exists()
    monkeypatch.setenv(RANK, "0/2")
    assert work_on(tmp_path) == (WHOLE, [[0, 1], [4, 5], [8, 9]])


def test_what_was_done_before_a_kill_is_not_done_again(tmp_path: Path) -> None:
    assert work_on(tmp_path, until=5)[1] == [[0, 1], [2, 3]]
    with (tmp_path / ".rows.jsonl.journal-0").open("a") as torn:
        torn.write('{"start": 4, "items"')
    assert work_on(tmp_path, until=8)[1] == [[4, 5], [6, 7]]
    assert work_on(tmp_path) == (WHOLE, [[8, 9], [10]])


def test_after_a_kill_others_go_on_with_other_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for rank, until in (("0/3", 6), ("1/3", 8), ("2/3", 4)):
        monkeypatch.setenv(RANK, rank)
        work_on(tmp_path, until=until)
    monkeypatch.delenv(RANK)
    assert work_on(tmp_path, chunk=8) == (WHOLE, [[4, 5, 6, 7], [8, 9, 10]])
