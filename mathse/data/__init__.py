"""Problems that others made: read out of files or the hub, checked row by row, kept apart from the benchmarks. `Data` is any source."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from mathse.types import Problem


class Data(Protocol):
    """Settings of a source of problems."""

    def write(self, out: Path) -> list[Problem]:
        """Write pictures below `out` and return the problems."""
        ...
