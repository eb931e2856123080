"""Rows that are no problems: dropped.jsonl beside those that are."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

DROPPED = "dropped.jsonl"
SHOWN = 3  # rows that an error names


@dataclass(frozen=True)
class Dropped:
    """A row that was left out: where it stands and why; `reason` is one of a few, `detail` is about this row."""

    row: str
    reason: str
    detail: str


def write_dropped(folder: Path, rows: Sequence[Dropped]) -> None:
    """Write the file, which is there though it be empty."""
    with (folder / DROPPED).open("w", encoding="utf-8", errors="backslashreplace") as file:
        file.writelines(json.dumps(dataclasses.asdict(row), ensure_ascii=False) + "\n" for row in rows)


def read_dropped(folder: Path) -> list[Dropped]:
    """What was dropped on the way into an artifact; empty where everything was kept, or nothing was read."""
    if not (folder / DROPPED).exists():
        return []
    with (folder / DROPPED).open(encoding="utf-8") as lines:
        return [Dropped(**json.loads(line)) for line in lines]


def in_words(rows: Sequence[Dropped]) -> str:
    """Reasons with their numbers, then the first rows; empty for none."""
    counts = ", ".join(f"{count} {reason}" for reason, count in Counter(row.reason for row in rows).most_common())
    first = "; ".join(f"{row.row}: {row.reason}" + f" ({row.detail})" * bool(row.detail) for row in rows[:SHOWN])
    return f"{counts}. {first}" if rows else ""
