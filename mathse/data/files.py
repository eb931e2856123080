"""Rows out of files: JSONL, JSON, CSV, TSV, Parquet, and folders that `datasets` saved.

A row that cannot be read is named and does not stop the others; a file that cannot be read as a whole is refused.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Row = dict[str, Any]


@dataclass(frozen=True)
class Unread:
    """A row that is none, and why."""

    why: str


Rows = Iterator[tuple[str, Row | Unread]]  # each with the words for its place: "line 3"

MAGIC = {
    b"PAR1": "a Parquet file (.parquet)",
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"PK\x03\x04": "a zip archive or a spreadsheet; unpack it, or save it as CSV",
    b"\x1f\x8b": "compressed; unpack it",
    b"\x80\x04": "a pickle, which is not opened: it can run code",
    b"\xff\xfe": "UTF-16; save it as UTF-8",
    b"\xfe\xff": "UTF-16; save it as UTF-8",
}
BATCH = 64  # rows of Parquet in memory at a time: they may hold pictures


def rows_in(path: Path, split: str | None = None) -> Rows:
    """The rows of a file or a folder, one at a time; `split`: of a folder with several.

    Raises ValueError naming the file where as a whole it is missing, no such file, or not what its name says.
    """
    if path.is_dir():
        return _folder(path, split)
    if not path.exists():
        raise ValueError(f"{path}: cannot be read (No such file or directory)")
    if not path.is_file():
        raise ValueError(f"{path}: neither a file nor a folder")
    readers = {".parquet": _parquet, ".csv": _table, ".tsv": _table}
    reader = readers.get(path.suffix.lower(), _json)
    try:
        with path.open("rb") as file:
            start = file.read(1024)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from error
    if reader is not _parquet:
        known = next((what for magic, what in MAGIC.items() if start.startswith(magic)), None)
        if known or b"\0" in start:
            raise ValueError(f"{path}: not what its name says, but {known or 'a binary file'}")
    return reader(path)


def _json(path: Path) -> Rows:
    """A list of rows, an object of rows by id, or a row a line."""
    with path.open("rb") as file:
        first = file.read(1024).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    lined = path.suffix.lower() in (".jsonl", ".ndjson")
    if first == b"[" or (first == b"{" and not lined):
        text = path.read_bytes().decode("utf-8-sig", "surrogateescape")
        try:
            whole = json.loads(text)
        except (ValueError, RecursionError) as error:
            if first == b"[":
                raise ValueError(f"{path}: not JSON ({error})") from error
        else:
            if isinstance(whole, list):
                yield from ((f"row {number}", _object(row)) for number, row in enumerate(whole, start=1))
                return
            if whole and all(isinstance(row, Mapping) for row in whole.values()):
                yield from ((f"row {key}", {"id": key, **row}) for key, row in whole.items())
                return
    yield from _lines(path)


def _lines(path: Path) -> Rows:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            row: Row | Unread
            try:
                row = _object(json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8")))
            except UnicodeDecodeError as error:
                row = Unread(f"not UTF-8 (byte {error.start})")
            except (ValueError, RecursionError) as error:
                row = Unread(f"not JSON ({error})")
            yield f"line {number}", row


def _object(row: Any) -> Row | Unread:
    return dict(row) if isinstance(row, Mapping) else Unread("not a JSON object")


def _table(path: Path) -> Rows:
    """CSV and TSV; the first line names the columns."""
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        rows = csv.reader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
        names = next(rows, [])
        while True:
            try:
                cells = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                yield f"line {rows.line_num}", Unread(f"not CSV ({error})")
                continue
            if not cells:
                continue
            if len(cells) != len(names):
                yield f"line {rows.line_num}", Unread(f"{len(cells)} cells under {len(names)} names of columns")
            else:
                yield f"line {rows.line_num}", dict(zip(names, cells, strict=True))


def _parquet(path: Path) -> Rows:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        raise ValueError(f"{path}: no Parquet file, or a torn one ({error})") from error
    number = 0
    with file:
        for group in range(file.num_row_groups):
            end = number + file.metadata.row_group(group).num_rows
            try:
                for batch in file.iter_batches(BATCH, row_groups=[group]):
                    for i in range(batch.num_rows):
                        number += 1
                        yield f"row {number}", _arrow_row(batch.slice(i, 1))
            except (OSError, pa.ArrowException) as error:
                for rest in range(number + 1, end + 1):
                    yield f"row {rest}", Unread(f"its part of the file is broken ({error})")
            number = end


def _arrow_row(one: Any) -> Row | Unread:
    try:
        return dict(one.to_pylist()[0])
    except (ValueError, OverflowError) as error:  # text that is not UTF-8, dates of no calendar
        return Unread(f"not UTF-8 ({error})" if isinstance(error, UnicodeDecodeError) else str(error))


def _folder(path: Path, split: str | None) -> Rows:
    import datasets

    try:
        found = datasets.load_from_disk(str(path))
    except Exception as error:  # what `datasets` raises for a folder that is none is not told apart
        raise ValueError(
            f"{path}: no folder that `datasets` saved, or a torn one ({error}); a folder of Parquet files is a dataset of the hub: "
            f"data=hub data.name={path}"
        ) from error
    if isinstance(found, datasets.DatasetDict):
        if split not in found:
            raise ValueError(f"{path}: data.split should be one of {', '.join(found)}, got {split!r}")
        found = found[split]
    return dataset_rows(found)


def dataset_rows(rows: Any) -> Rows:
    """The rows of a dataset of `datasets`, pictures as bytes."""
    import datasets

    for column, feature in rows.features.items():
        if isinstance(feature, datasets.Image):
            rows = rows.cast_column(column, datasets.Image(decode=False))
        elif isinstance(getattr(feature, "feature", None), datasets.Image):
            rows = rows.cast_column(column, datasets.List(datasets.Image(decode=False)))
    for number in range(len(rows)):
        try:
            yield f"row {number + 1}", dict(rows[number])
        except ValueError as error:
            yield f"row {number + 1}", Unread(str(error))
