"""What a report is made of: sections of texts, notices, tables, charts, leaks and a gallery.

report.html shows all of it; report.md the words and tables, for terminals and GitHub.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from mathse.report.charts import Draw
from mathse.report.examples import Group
from mathse.report.text import markdown, tame
from mathse.steps.contamination import Leak

Rows = Sequence[Sequence[str]]
NUMBER = re.compile(
    r"[<+\-−]?[\d.,]+[kMGTPE]?(?:e[+\-]?\d+)?(?: ?%| s| MB| \+\?| ± [\d.]+| to .*| \[.*|/.*| \(.*)?|found|unknown|"
)


BROKEN = (OSError, ValueError, KeyError, TypeError)  # what files that were changed or lost bring


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    words: str


@dataclass(frozen=True)
class Notice:
    """What must not be overlooked: an alarm, or what is missing."""

    words: str


@dataclass(frozen=True)
class Table:
    """Rows, header first; with `fold` the page shows them when asked."""

    rows: Rows
    caption: str = ""
    fold: bool = False

    @property
    def numeric(self) -> list[bool]:
        """For each column, whether it holds numbers only."""
        return [all(NUMBER.fullmatch(row[i]) for row in self.rows[1:]) for i in range(len(self.rows[0]))]


@dataclass(frozen=True)
class Chart:
    """A drawing of `size` inches, and what it shows in words for those who cannot see it. `file`: the picture that a Markdown report
    links to, where there is one. `wide` ones are not made smaller on a phone, they scroll."""

    title: str
    draw: Draw
    alt: str
    size: tuple[float, float] = (4.4, 3.0)
    file: str = ""
    wide: bool = False


@dataclass(frozen=True)
class Leaks:
    """Training problems beside the test problems that they are."""

    pairs: Sequence[Leak]


@dataclass(frozen=True)
class Gallery:
    """Solutions that one can look through. `rule` says which are shown."""

    groups: Sequence[Group]
    rule: str


Part = Text | Notice | Table | Chart | Leaks | Gallery


@dataclass(frozen=True)
class Section:
    """Parts under one heading; `name` is its address in the page."""

    name: str
    title: str
    parts: Sequence[Part]


@dataclass(frozen=True)
class Stat:
    """One of the few numbers at the top."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Report:
    """A whole report. `about` is one line, `command` what made it."""

    title: str
    kind: str
    about: str
    command: str = ""
    stats: Sequence[Stat] = ()
    notices: Sequence[str] = ()
    sections: Sequence[Section] = field(default_factory=tuple)


def section(name: str, title: str, *parts: Part | Sequence[Part] | None) -> list[Section]:
    """The section in a list, or an empty list where it has no part; Nones are left out, lists laid out."""
    flat: list[Part] = []
    for part in parts:
        flat += [] if part is None else part if isinstance(part, Sequence) else [part]
    return [Section(name, title, flat)] if flat else []


def attempted(name: str, title: str, make: Callable[[], list[Section]]) -> list[Section]:
    """What `make` gives; where files are missing or broken, a section that says so: the rest of a report is worth showing."""
    try:
        return make()
    except BROKEN as error:
        return section(name, title, not_shown(error))


def tried(make: Callable[[], Sequence[Part]]) -> Sequence[Part]:
    """The same for some parts of a section."""
    try:
        return make()
    except BROKEN as error:
        return [not_shown(error)]


def not_shown(error: BaseException) -> Notice:
    """What stands in the place of what cannot be read."""
    return Notice(f"Not shown: {' '.join(str(error).split()) or type(error).__name__}")


# ---- Markdown ----


def to_markdown(report: Report) -> str:
    """The report without what only a page can show."""
    head = [f"# {tame(report.title)}", tame(report.about)]
    head += [f"`{report.command}`"] if report.command else []
    head += [" · ".join(f"{s.label} **{s.value}**{f' ({s.note})' if s.note else ''}" for s in report.stats)] * bool(
        report.stats
    )
    head += [f"> **Note** {tame(words)}" for words in report.notices]
    body = [line for one in report.sections for line in (f"## {one.title}", *map(_markdown, one.parts))]
    return "\n\n".join(line for line in (*head, *body) if line) + "\n"


def _markdown(part: Any) -> str:
    match part:
        case Text(words):
            return tame(words)
        case Notice(words):
            return f"> **Note** {tame(words)}"
        case Table(rows, caption):
            return "\n\n".join([tame(caption)] * bool(caption) + [markdown(rows)])
        case Chart():
            return f"![{part.alt}]({part.file})" if part.file else ""
        case Leaks(pairs):
            return f"{len(pairs)} stand side by side in report.html."
        case Gallery(groups):
            return f"{sum(len(group.examples) for group in groups)} solutions with their pictures stand in report.html."
    raise TypeError(part)
