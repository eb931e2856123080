"""What the report says of problems that others made: what was dropped and why, and what is in the benchmark too."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mathse.data.dropped import DROPPED, read_dropped
from mathse.figures.data import Figures
from mathse.report.files import data_uri, shown, write_text
from mathse.steps.contamination import LEAKS, read_leaks
from mathse.steps.disjoint import asked_by_both, words_of
from mathse.store import Artifact
from mathse.teacher.figures import program_of
from mathse.types import Problem, read_jsonl

if TYPE_CHECKING:
    from mathse.config import Experiment

MOST_ROWS = 20  # dropped rows that the report lists; dropped.jsonl has all
MOST_LEAKS = 200  # that the page shows; leaks.jsonl has all
TINY = (
    "The tiny weights have seen figures and nothing else. On these problems the run shows that every part works; "
    "its accuracies say nothing about the method."
)


def about_data(exp: Experiment, artifacts: Sequence[Artifact]) -> dict[str, Any]:
    """data, contamination and note of summary.json, each where there is something to say."""
    found: dict[str, Any] = {}
    read = [artifact for artifact in artifacts if (artifact.path / DROPPED).exists()]
    if read:
        found["data"] = [
            {
                "artifact": artifact.name,
                "read": int(artifact.metrics["read"]),
                "kept": int(artifact.metrics["problems"]),
                "dropped": _by_reason(artifact.metrics, "dropped: "),
                "first": [vars(row) for row in read_dropped(artifact.path)[:MOST_ROWS]],
            }
            for artifact in read
        ]
    for artifact in artifacts:
        if artifact.step == "decontaminate":
            counts = {key: int(artifact.metrics[key]) for key in ("read", "against", "leaks", "dropped")}
            found["contamination"] = {
                "artifact": artifact.name,
                **counts,
                "by": _by_reason(artifact.metrics, "leaks: "),
            }
    if exp.scale == "tiny" and not isinstance(exp.data, Figures):
        found["note"] = TINY
    return found


def _by_reason(metrics: Mapping[str, float], prefix: str) -> dict[str, int]:
    return {key.removeprefix(prefix): int(value) for key, value in metrics.items() if key.startswith(prefix)}


def data_lines(summary: Mapping[str, Any]) -> list[str]:
    """The same for a terminal."""
    lines = []
    for one in summary.get("data", []):
        why = ", ".join(f"{count} {reason}" for reason, count in one["dropped"].items())
        lines.append(f"{one['artifact']}: {one['kept']} of {one['read']} rows kept" + f"; dropped: {why}" * bool(why))
    if "contamination" in summary:
        lines.append(_leaks(summary["contamination"]))
    lines += [summary["note"]] if "note" in summary else []
    return ["", *lines] if lines else []


def data_sections(summary: Mapping[str, Any]) -> list[str]:
    """The same for report.md, with the first rows that were dropped."""
    parts = [summary["note"]] if "note" in summary else []
    for one in summary.get("data", []):
        rows = [
            ["read", one["read"]],
            ["kept", one["kept"]],
            *([f"dropped: {k}", n] for k, n in one["dropped"].items()),
        ]
        parts += ["## Problems read", f"`{one['artifact']}/{DROPPED}` names every row that was dropped."]
        parts.append(_table(["", "rows"], rows))
        if one["first"]:
            parts.append(_table(["row", "reason", "detail"], [list(row.values()) for row in one["first"]]))
    if "contamination" in summary:
        parts += ["## Contamination", _leaks(summary["contamination"])]
        if summary["contamination"]["leaks"]:
            parts.append("[Side by side, with pictures](leaks.html).")
    return parts


def kept_for_the_orm(kept: Artifact, D: Artifact, tests: Sequence[Artifact]) -> str:
    """What the ORM's problems share with D and the test sets, in words. Of figures it is known which are one problem drawn twice."""
    own, sets = _read([kept]), {"D": _read([D]), "the test sets": _read(tests)}
    shared = {name: asked_by_both(own, others) for name, others in sets.items()}
    words = {words_of(problem) for problem in own}
    drawn = {_drawn(problem) for others in sets.values() for problem in others if words_of(problem) in words} - {None}
    found = {problem.id for both in shared.values() for problem in both}
    again = sum(_drawn(problem) in drawn for problem in own if problem.id not in found)
    counts = " and ".join(f"{len(shared[name])} are in {name} ({len(others)})" for name, others in sets.items())
    return (
        f"The ORM learns from {len(own)} problems kept apart: by words and pixels, looked at in this run, {counts}."
        + f" {again} have the words and numbers of one that is drawn otherwise." * bool(again)
    )


def _read(artifacts: Sequence[Artifact]) -> list[Problem]:
    return [problem for some in artifacts for problem in read_jsonl(Problem, some.path / "problems.jsonl")]


def _drawn(problem: Problem) -> Hashable:
    """What a figure asks and shows, however it is drawn; None for other problems."""
    try:
        return words_of(problem), tuple(sorted(program_of(problem.images[0]).shown().items()))
    except (ValueError, OSError, IndexError):
        return None


def _leaks(counts: Mapping[str, Any]) -> str:
    why = ", ".join(f"{count} by {reason}" for reason, count in counts["by"].items())
    found = (
        f"{counts['leaks']} of {counts['read']} training problems are among the {counts['against']} test problems too"
    )
    return f"{found}{f' ({why})' * bool(why)}; {counts['dropped']} were dropped."


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Markdown, whatever the cells hold: they come from data files."""
    cells = [[" ".join(str(cell).split()).replace("|", "\\|").replace("<", "&lt;") for cell in row] for row in rows]
    lines = ["| " + " | ".join(row) + " |" for row in [list(head), *cells]]
    return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:]])


def write_leaks_page(path: Path, title: str, artifacts: Sequence[Artifact]) -> None:
    """leaks.html: each leak beside its test problem. Nothing is written where there is none."""
    from jinja2 import Environment

    leaks = [leak for one in artifacts if one.step == "decontaminate" for leak in read_leaks(one.path / LEAKS)]
    if not leaks:
        return
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"uri": data_uri, "shown": shown}
    page = environment.from_string(PAGE).render(title=title, leaks=leaks[:MOST_LEAKS], count=len(leaks))
    write_text(path, page.encode("utf-8", "replace").decode())


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{{ title }}: leaks</title>
<style>
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 1100px; padding: 1rem; }
section { display: grid; grid-template-columns: 1fr 1fr; gap: 0 1.2rem; border-top: 1px solid #8886; padding: .8rem 0;
  overflow-wrap: anywhere; }
h1 { font-size: 1.3rem; } h2 { grid-column: 1 / 3; font-size: .95rem; margin: 0; font-weight: 600; }
p { margin: .3rem 0; white-space: pre-wrap; unicode-bidi: isolate; } .dim { opacity: .7; font-size: .85rem; }
img { max-width: 100%; max-height: 220px; background: #fff; border: 1px solid #8886; border-radius: 6px; }
</style></head><body>
{% macro side(problem, what) %}
<div><p class="dim">{{ what }} {{ problem.id }}{% if problem.facts.id %} ({{ problem.facts.id }}){% endif %}</p>
{% for image in problem.images %}{% set found = image | uri %}
{% if found %}<img src="{{ found }}" alt="Picture {{ loop.index }} of {{ problem.id }}">{% endif %}{% endfor %}
<p dir="auto">{{ problem.question | shown }}</p><p class="dim">answer {{ problem.answer | shown }}</p></div>
{% endmacro %}
<h1>{{ title }}: training problems that are test problems too</h1>
<p>{{ count }} found{% if count > leaks | length %}, the first {{ leaks | length }} shown{% endif %}.
contamination.allow=[id, …] keeps what is no leak.</p>
{% for leak in leaks %}
<section><h2>by {{ leak.reason }}; questions {{ "%.2f" | format(leak.question) }} alike,
{{ "%.2f" | format(leak.masked) }} without numbers
{%- if leak.picture is not none %}, pictures {{ "%.2f" | format(leak.picture) }}{% endif %}
{%- if leak.kept %}; kept{% else %}; dropped{% endif %}</h2>
{{ side(leak.problem, "training problem") }}{{ side(leak.test, "test problem") }}</section>
{% endfor %}
</body></html>
"""
