"""What a step left, and the files that the store itself writes beside it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RECORD = "record.json"
RECIPE, CALL, BY = ".recipe.json", ".call.json", ".by.json"  # in the work directory only
PARTIAL = ".partial"  # ends the name of a work directory


def metrics_of(work: Path, rank: int) -> Path:
    """Where a process that computes a step leaves the metrics, and what it did."""
    return work / f".metrics-{rank}.json"


@dataclass(frozen=True)
class Artifact:
    """What a step left: its directory, named by the recipe's hash, and the metrics it returned."""

    name: str
    path: Path = dataclasses.field(compare=False)
    metrics: Mapping[str, float] = dataclasses.field(default_factory=dict, compare=False)

    @property
    def step(self) -> str:
        return self.name.rpartition("-")[0]


def read_record(folder: Path) -> dict[str, Any]:
    """The record of what is in an artifact's folder. Raises ValueError saying what to do where it is missing or broken."""
    try:
        record: dict[str, Any] = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        if not (isinstance(record["files"], dict) and isinstance(record["metrics"], dict)):
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{folder / RECORD}: missing or broken; delete {folder} and it will be computed again"
        ) from error
    return record


def changed(folder: Path, files: Mapping[str, str]) -> list[str]:
    """Which of an artifact's files are missing, or not those that the step left."""
    return [file for file, digest in files.items() if not (folder / file).is_file() or sha256(folder / file) != digest]


def write_json(path: Path, data: Any) -> None:
    """Write the file whole or not at all, and onto the disk. What a kill leaves of it is hidden, so no file of the artifact."""
    partial = path.with_name(f".{path.name}.tmp")
    with partial.open("w", encoding="utf-8") as out:
        json.dump(data, out, ensure_ascii=False, indent=1)
        out.flush()
        os.fsync(out.fileno())
    partial.replace(path)


def sha256(path: Path) -> str:
    """The digest of a file's content, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
