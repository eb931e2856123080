"""Benchmarks: test problems, and the rule that scores an answer to one."""

from __future__ import annotations

from typing import Protocol

from mathse.data import Data
from mathse.types import Problem


class Benchmark(Protocol):
    """The settings of a benchmark."""

    @property
    def name(self) -> str: ...

    @property
    def data(self) -> Data: ...

    def score(self, problem: Problem, text: str) -> bool:
        """Whether the text answers the problem, by the benchmark's own rule."""
        ...
