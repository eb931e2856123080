"""Long steps that go on where they were killed: rows are kept chunk by chunk in the step's work directory as they come.

Where several processes share a step (`runtime.devices`), each takes every so manieth chunk: the same chunks, so the same rows,
whoever makes them.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from mathse.progress import progress
from mathse.store import Rank, ShareDone
from mathse.types import Row, row_from_json, row_to_json, write_jsonl

T = TypeVar("T")
LOOK_EVERY = 0.2  # seconds between looks for what the other ranks have done


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

    Each finished chunk is one line of a journal, flushed to disk before the next begins. After a kill the journals' whole lines are
    kept, a torn last line is dropped, and work goes on behind them with the same chunks: same batches, same numbers.
    The store takes the journals away when the step's record is written. Raises ShareDone in all ranks but the first.
    """
    rank: Rank = Rank.mine()
    mine: Journal[Row] = Journal(out / f".{file}.journal-{rank.number}", kind)
    known = {*out.glob(f".{file}.journal-*"), *(out / f".{file}.journal-{number}" for number in range(rank.of))}
    others: list[Journal[Row]] = [Journal(path, kind) for path in sorted(known - {mine.path})]
    kept: dict[int, list[Row]] = {}  # by the number of the first item
    done: set[int] = set()

    def keep(start: int, count: int, rows: list[Row]) -> None:
        kept[start] = rows
        done.update(range(start, start + count))

    def look(journals: Sequence[Journal[Row]]) -> None:
        for line in itertools.chain.from_iterable(journal.read() for journal in journals):
            keep(*line)

    look([mine])
    look(others)
    mine.cut()
    with progress(label, len(items), unit, len(done)) as shown:
        for begin in range(rank.number * chunk, len(items), rank.of * chunk):
            for start, some in _left(items[begin : begin + chunk], begin, done):
                rows = work(some)
                mine.write(start, len(some), rows)
                keep(start, len(some), rows)
                if rank.number == 0:
                    look(others)
                shown.advance(len(done) - shown.done)
        if rank.number:
            raise ShareDone
        while len(done) < len(items):
            time.sleep(LOOK_EVERY)
            look(others)
            shown.advance(len(done) - shown.done)
    all_rows = [row for start in sorted(kept) for row in kept[start]]
    write_jsonl(out / file, all_rows)
    return all_rows


def _left(items: Sequence[T], begin: int, done: set[int]) -> Iterator[tuple[int, Sequence[T]]]:
    """What is not done of these items, which are numbered from `begin` on: pieces without a gap, each with its first number."""
    left = [i for i in range(len(items)) if begin + i not in done]
    for _, piece in itertools.groupby(enumerate(left), key=lambda pair: pair[1] - pair[0]):
        numbers = [number for _, number in piece]
        yield begin + numbers[0], items[numbers[0] : numbers[-1] + 1]


class Journal(Generic[Row]):
    """What one process did: a line for each chunk, with its first item's number, the number of its items, and its rows."""

    def __init__(self, path: Path, kind: type[Row]) -> None:
        self.path = path
        self.kind: type[Row] = kind
        self.whole = 0  # bytes of the lines that were read

    def read(self) -> Iterator[tuple[int, int, list[Row]]]:
        """The whole lines that were not read yet."""
        if not self.path.exists():
            return
        with self.path.open("rb") as lines:
            lines.seek(self.whole)
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                self.whole += len(line)
                data = json.loads(line)
                rows = [row_from_json(self.kind, row, self.path.parent) for row in data["rows"]]
                yield data["start"], data["items"], rows

    def cut(self) -> None:
        """Drop what stands behind the lines read."""
        if self.path.exists():
            os.truncate(self.path, self.whole)

    def write(self, start: int, count: int, rows: Sequence[Row]) -> None:
        """Add a line, onto the disk."""
        data = {"start": start, "items": count, "rows": [row_to_json(row, self.path.parent) for row in rows]}
        with self.path.open("a", encoding="utf-8", errors="replace") as log:
            log.write(json.dumps(data, ensure_ascii=False) + "\n")
            log.flush()
            os.fsync(log.fileno())
