"""Long steps that go on where they were killed: rows are kept chunk by chunk in the step's work directory as they come."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from mathse.progress import progress
from mathse.types import Row, row_from_json, row_to_json, write_jsonl

T = TypeVar("T")


def in_chunks(
    out: Path,
    items: Sequence[T],
    work: Callable[[Sequence[T]], list[Row]],
    kind: type[Row],
    *,
    file: str,
    chunk: int,
    label: str,
    unit: str,
) -> list[Row]:
    """`work` on all items, `chunk` at a time, and write the rows to `out/file`; returns them.

    Each finished chunk is one line of a journal, flushed to disk before the next begins. After a kill the journal's whole lines are
    kept, a torn last line is dropped, and work goes on behind them with the same chunks: same batches, same numbers.
    The store takes the journal away when the step's record is written.
    """
    journal = out / f".{file}.journal"
    rows, done = _replay(journal, kind)
    with journal.open("a", encoding="utf-8", errors="replace") as log, progress(label, len(items), unit, done) as shown:
        for start in range(done, len(items), chunk):
            new = work(items[start : start + chunk])
            count = len(items[start : start + chunk])
            log.write(
                json.dumps({"items": count, "rows": [row_to_json(row, out) for row in new]}, ensure_ascii=False) + "\n"
            )
            log.flush()
            os.fsync(log.fileno())
            rows += new
            shown.advance(count)
    write_jsonl(out / file, rows)
    return rows


def _replay(journal: Path, kind: type[Row]) -> tuple[list[Row], int]:
    rows: list[Row] = []
    done = 0
    if journal.exists():
        whole = 0
        with journal.open("rb") as lines:
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                whole += len(line)
                data = json.loads(line)
                rows += [row_from_json(kind, row, journal.parent) for row in data["rows"]]
                done += data["items"]
        os.truncate(journal, whole)
    return rows, done
