"""examples.html: problems with their pictures, what was written, and what the judge said. One file, nothing loaded from elsewhere."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from mathse.report.summary import Scored
from mathse.store import Artifact
from mathse.types import Judged, read_jsonl, steps_of

PER_GROUP = 8


@dataclass(frozen=True)
class Group:
    """Examples under one heading."""

    title: str
    text: str
    rows: list[Judged]


def groups(
    rounds: Sequence[Artifact],
    artifacts: Sequence[Artifact],
    recipes: Mapping[str, Mapping[str, Any]],
    scores: Sequence[Scored],
) -> list[Group]:
    """Accepted and rejected solutions of each round, repairs of stage 3, and answers to test problems by the last model."""
    found = []
    for k, artifact in enumerate(rounds, start=1):
        rows = read_jsonl(Judged, artifact.path / "judged.jsonl")
        for status, what in (("correct", "accepted"), ("wrong", "rejected"), ("unreadable", "unreadable")):
            picked = _pick([row for row in rows if row.verdict.status == status])
            found.append(Group(f"Round {k}: {what}", f"Solutions by M_{k - 1}, judged.", picked))
    for artifact in artifacts:
        source = recipes[artifact.name]["inputs"].get("solutions") or {}
        if artifact.step == "judge" and str(source.get("artifact")).startswith("reflect-"):
            rows = read_jsonl(Judged, artifact.path / "judged.jsonl")
            found.append(Group("Reflection", "The teacher's repairs of rejected solutions, judged again.", _pick(rows)))
    if scores:
        last = scores[-1]
        found.append(Group("Test", f"{last.model.name} on test problems it never saw.", _pick(last.rows)))
    return [group for group in found if group.rows]


def _pick(rows: Sequence[Judged]) -> list[Judged]:
    return Random(0).sample(list(rows), min(PER_GROUP, len(rows)))


def _picture(path: str) -> str:
    return "data:image/png;base64," + base64.b64encode(Path(path).read_bytes()).decode()


def write_page(
    path: Path,
    title: str,
    rounds: Sequence[Artifact],
    artifacts: Sequence[Artifact],
    recipes: Mapping[str, Mapping[str, Any]],
    scores: Sequence[Scored],
) -> None:
    """Write the page. What models wrote is escaped, all of it."""
    from jinja2 import Environment

    from mathse.report import write_text

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"picture": _picture, "steps": steps_of, "answer_line": _answer_line}
    page = environment.from_string(PAGE).render(title=title, groups=groups(rounds, artifacts, recipes, scores))
    write_text(path, page)


def _answer_line(text: str) -> str:
    """The last line of a solution, where the answer stands."""
    lines = [line for line in text.strip().split("\n") if line]
    return lines[-1] if lines and not lines[-1].startswith("Step ") else ""


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}: examples</title>
<style>
:root { color-scheme: light dark; --line: #d5d9de; --soft: #f5f7f9; --good: #1f7a3d; --bad: #b3261e; --dim: #5c6670; }
@media (prefers-color-scheme: dark) { :root { --line: #3a4148; --soft: #1f2429; --good: #6fce8f; --bad: #ff8a80; --dim: #9aa5af; } }
body { font: 15px/1.45 system-ui, sans-serif; margin: 0 auto; max-width: 1180px; padding: 1rem; }
h1 { font-size: 1.25rem; } h2 { font-size: 1.05rem; margin: 2rem 0 .2rem; } p.about { color: var(--dim); margin: 0 0 .7rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(270px, 1fr)); gap: .8rem; }
article { border: 1px solid var(--line); border-radius: 8px; padding: .8rem; overflow-wrap: anywhere; }
.pictures { display: flex; gap: 4px; margin-bottom: .5rem; }
img { image-rendering: pixelated; border: 1px solid var(--line); border-radius: 4px; width: 168px; height: auto; }
.pictures img:not(:only-child) { width: 80px; }
.question { font-weight: 600; margin: 0 0 .4rem; } ol { margin: 0; padding-left: 1.3rem; }
li.wrong { background: color-mix(in srgb, var(--bad) 14%, transparent); border-radius: 4px; }
.answer { margin: .3rem 0; } .verdict { background: var(--soft); border-radius: 6px; padding: .4rem .6rem; margin-top: .5rem; }
.correct { color: var(--good); font-weight: 600; } .wrong-word { color: var(--bad); font-weight: 600; }
.dim { color: var(--dim); font-size: .85rem; }
</style></head><body>
<h1>{{ title }}</h1>
{% for group in groups %}
<section><h2>{{ group.title }}</h2><p class="about">{{ group.text }}</p><div class="cards">
{% for row in group.rows %}
{% set problem = row.solution.problem %}{% set verdict = row.verdict %}
<article>
<div class="pictures">{% for image in problem.images %}
<img src="{{ image | picture }}" alt="Picture of a {{ problem.source }} problem">{% endfor %}</div>
<p class="question">{{ problem.question }}</p>
<ol>{% for step in row.solution.text | steps %}
<li{% if verdict.status == "wrong" and verdict.error_step == loop.index %} class="wrong"{% endif %}>{{ step }}</li>{% endfor %}</ol>
<p class="answer">{{ row.solution.text | answer_line }}</p>
<p class="dim">reference: {{ problem.answer }} · {{ row.solution.author }}</p>
<div class="verdict"><span class="{{ "correct" if verdict.status == "correct" else "wrong-word" }}">{{ verdict.status }}</span>
{% if verdict.error_step %} · step {{ verdict.error_step }}{% endif %}{% if verdict.analysis %}: {{ verdict.analysis }}{% endif %}
{% if verdict.status == "unreadable" %}<br><code>{{ verdict.raw }}</code>{% endif %}
<br><span class="dim">judged by {{ verdict.by }}</span></div>
</article>
{% endfor %}
</div></section>
{% endfor %}
</body></html>
"""
