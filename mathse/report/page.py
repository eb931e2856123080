"""A report as one HTML file that loads nothing.

What models and data files hold is hostile: the templates escape all of it, and the page's policy lets only the page's own script run, named
by its hash, and nothing load.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mathse.answers import extract
from mathse.feedback.answer import matches
from mathse.report.charts import inline_svg
from mathse.report.errors import error_type
from mathse.report.examples import Example, Group
from mathse.report.files import Picture, shown, small_picture, write_text
from mathse.report.parts import Chart, Part, Report, Table
from mathse.types import Solution, parts_of

TEMPLATES = Path(__file__).parent / "templates"
MOST_BYTES = 7_000_000  # of pictures in a page; with everything else it stays under 10 MB
JUDGED = {"correct": "accepted", "wrong": "rejected", "unreadable": "unreadable"}
TESTED = {"correct": "right", "wrong": "wrong", "unreadable": "unreadable"}
FACETS = {"stage": "Stage", "family": "Family", "status": "Verdict", "answer": "Answer", "error": "Type of error"}


def write_report(path: Path, report: Report) -> None:
    """Write the page whole or not at all."""
    write_text(path, to_html(report))


def to_html(report: Report) -> str:
    """The page. Half characters, which no file takes, are question marks."""
    from jinja2 import Environment, FileSystemLoader
    from markupsafe import Markup

    pictures, names = Pictures(), itertools.count(1)
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )

    def svg(chart: Chart) -> Markup:
        return Markup(inline_svg(chart.draw, *chart.size, f"chart{next(names)}"))

    environment.filters |= {"svg": svg, "picture": pictures.take, "laid_out": laid_out, "shown": shown, "rows": in_rows}
    environment.filters |= {"answer": _answer, "by": _by, "kind": lambda part: type(part).__name__, "marks": marks}
    environment.filters |= {"facets": facets, "spoken": spoken}
    environment.tests |= {"matching": matches}
    script = (TEMPLATES / "filters.js").read_text(encoding="utf-8")
    page = environment.get_template("report.html").render(
        report=report,
        pictures=pictures,
        policy=policy(script),
        style=Markup((TEMPLATES / "style.css").read_text(encoding="utf-8")),
        script=Markup(script),
    )
    return page.encode("utf-8", "replace").decode()


def policy(script: str) -> str:
    """What the page may do: show its own pictures, style itself, and run this one script."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    allowed = ("default-src 'none'", "img-src data:", "style-src 'unsafe-inline'", f"script-src 'sha256-{digest}'")
    return "; ".join([*allowed, "base-uri 'none'", "form-action 'none'"])


@dataclass
class Pictures:
    """The pictures of a page, each content once, however many cards show it, up to MOST_BYTES in all."""

    used: dict[str, Picture] = field(default_factory=dict)
    bytes: int = 0

    def take(self, path: str) -> Picture | None:
        """The picture as it is shown; None where it cannot be read, or there is no more room."""
        picture = small_picture(path)
        if picture is None or picture.id in self.used:
            return picture
        if self.bytes + len(picture.uri) > MOST_BYTES:
            return None
        self.used[picture.id] = picture
        self.bytes += len(picture.uri)
        return picture


def in_rows(parts: Sequence[Part]) -> list[list[Part]]:
    """The parts as they stand beside each other, two at most: two small charts, or a small chart and a narrow table."""
    found: list[list[Part]] = []
    for part in parts:
        small = isinstance(part, Chart) and not part.wide and part.size[0] <= 5.5
        narrow = isinstance(part, Table) and not part.fold and len(part.rows[0]) <= 5
        beside = bool(found) and isinstance(found[-1][-1], Chart) and found[-1][-1].size[0] <= 5.5
        if (small or narrow) and beside and len(found[-1]) < 2 and not found[-1][-1].wide:  # type: ignore[union-attr]
            found[-1].append(part)
        else:
            found.append([part])
    return found


def marks(example: Example, group: Group) -> list[tuple[str, str]]:
    """What the filters go by, for one example: stage, family, the last verdict on it, its answer, its type of error."""
    judged, last = example.judged, example.repair or example.judged
    found = [("stage", group.title), ("family", judged.solution.problem.source or "none")]
    found.append(("status", spoken(last.verdict.status, bool(example.history))))
    found.append(("answer", "matches" if matches(last.solution) else "differs"))
    wrong = judged.verdict.status == "wrong" and judged.verdict.analysis
    return [*found, *([("error", error_type(judged.verdict.analysis))] if wrong else [])]


def spoken(status: str, tested: bool) -> str:
    """A verdict's status in words: what a judge does with a solution, or what a benchmark says of it."""
    return (TESTED if tested else JUDGED)[status]


@dataclass(frozen=True)
class Facet:
    """A filter: its name, its title, and its values, each with how many examples have it."""

    name: str
    title: str
    values: list[tuple[str, int]]


def facets(groups: Sequence[Group]) -> list[Facet]:
    """The filters that leave a choice; values as they come, families by name."""
    found = [mark for group in groups for example in group.examples for mark in marks(example, group)]
    result = []
    for name, title in FACETS.items():
        counts = Counter(value for key, value in found if key == name)
        values = list(counts.items()) if name == "stage" else sorted(counts.items())
        if len(values) > 1:
            result.append(Facet(name, title, values))
    return result


def laid_out(text: str) -> list[tuple[str, int | None]]:
    """The parts of a solution as written, none left out, each with its number where it is a step.

    >>> laid_out("Step 1: The width is 7.\\nThe answer to this problem is 28.")
    [('Step 1: The width is 7.', 1), ('The answer to this problem is 28.', None)]
    """
    return [((part.head + part.body).strip(), part.step) for part in parts_of(text)]


def _answer(solution: Solution) -> str:
    """The answer that a solution ends in."""
    return extract(solution.text, solution.problem, only_stated=True) or "none"


def _by(name: str) -> str:
    """The source of a verdict, in words."""
    names: dict[str, Any] = {
        "train_orm": "the ORM",
        "both": "the ORM and answer match",
        "answer": "answer match",
        "teacher": "the teacher",
        "self": "the model itself",
        "prm": "completions of each step",
        "gold_hint": "a hint",
        "none": "no feedback",
    }
    return str(names.get(re.split("[-/]", name)[0], name))
