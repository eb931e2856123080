"""The lines of a bill: what one step, or several together, would take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mathse.report.roles import stage_of

SUMS = ("calls", "kept", "tokens_in", "tokens_out", "dollars", "most", "texts", "rows", "learned", "written", "hours")
HEAD = [
    "calls",
    "in cache",
    "tokens in",
    "tokens out",
    "$",
    "at most $",
    "texts",
    "tokens",
    "rows",
    "tokens",
    "GPU h",
    "GPU $",
]


@dataclass
class Line:
    """Calls of the teacher, of which `kept` are in the cache already, with tokens and dollars; texts to write here (`written` tokens),
    rows to train on (`learned` tokens), and the hours of one GPU, None where the model's size is not known."""

    step: str
    role: str = ""
    found: bool = False
    calls: int = 0
    kept: int = 0
    tokens_in: float = 0.0
    tokens_out: float = 0.0
    dollars: float = 0.0
    most: float = 0.0
    texts: int = 0
    written: float = 0.0
    rows: int = 0
    learned: float = 0.0
    hours: float | None = 0.0

    @property
    def stage(self) -> str:
        return stage_of(self.step, self.role)

    def add(self, other: Line) -> None:
        """Sum up; what is unknown stays unknown."""
        for name in SUMS:
            a, b = getattr(self, name), getattr(other, name)
            setattr(self, name, None if a is None or b is None else a + b)

    def cells(self, gpu_hour_usd: float | None) -> list[str]:
        """As a row of the table."""
        if self.found:
            return [self.step, self.role, "in the store"] + [""] * (len(HEAD) - 1)
        calls = [_count(n) for n in (self.calls, self.kept, self.tokens_in, self.tokens_out)]
        money = [f"{amount:,.2f}" if amount else "" for amount in (self.dollars, self.most)]
        work = [_count(n) for n in (self.texts, self.written, self.rows, self.learned)]
        hours = "unknown" if self.hours is None else _hours(self.hours)
        price = "" if self.hours is None or gpu_hour_usd is None else f"{self.hours * gpu_hour_usd:,.2f}"
        return [self.step, self.role, *calls, *money, *work, hours, price if self.hours else ""]


def _count(number: float) -> str:
    return f"{number:,.0f}" if number else ""


def _hours(hours: float) -> str:
    return "" if not hours else f"{hours:,.1f}" if hours >= 0.1 else "< 0.1"


def table(lines: Sequence[Line], gpu_hour_usd: float | None) -> list[list[str]]:
    """The lines for people, header first."""
    return [["step", "for", *HEAD], *(line.cells(gpu_hour_usd) for line in lines)]
