"""What the store wrote beside an artifact, as far as it is there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mathse.store import RECORD


def record_of(folder: Path) -> Mapping[str, Any]:
    """An artifact's record; empty where there is none that can be read."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) and "inputs" in record else {}


def training_of(source: Mapping[str, Any], root: Path) -> Mapping[str, Any]:
    """What the ORM that a judge is, or has within, was trained with, from the record in the store `root`. Empty for other judges, and
    where that record is not there."""
    adapter = ((source.get("orm") or source).get("model") or {}).get("adapter") or {}
    inputs: Mapping[str, Any] = record_of(root / adapter["artifact"]).get("inputs", {}) if adapter else {}
    return inputs
