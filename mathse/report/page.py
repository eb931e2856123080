"""examples.html: problems with their pictures, what was written, and what was said of it. One file that loads nothing.

What models wrote is hostile: the template escapes all of it, and the page's policy lets no script run and nothing load.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from mathse.answers import extract
from mathse.feedback.answer import matches
from mathse.report.examples import Group
from mathse.report.files import data_uri, shown, write_text
from mathse.types import Solution, parts_of


def write_page(path: Path, title: str, about: str, groups: Sequence[Group]) -> None:
    """Write the page."""
    from jinja2 import Environment

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"picture": data_uri, "laid_out": laid_out, "shown": shown, "answer": _answer, "by": _by}
    environment.tests |= {"matching": matches}
    page = environment.from_string(PAGE).render(title=title, about=about, groups=groups)
    write_text(path, shown_whole(page))


def shown_whole(page: str) -> str:
    """The page without half characters: ids and questions come from data files, which may hold anything."""
    return page.encode("utf-8", "replace").decode()


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
    names = {
        "train_orm": "the ORM",
        "both": "the ORM and answer match",
        "answer": "answer match",
        "teacher": "the teacher",
        "self": "the model itself",
        "prm": "completions of each step",
        "gold_hint": "a hint",
        "none": "no feedback",
    }
    return names.get(re.split("[-/]", name)[0], name)


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{{ title }}: examples</title>
<style>
:root { color-scheme: light dark; --page: #f4f5f7; --card: #fff; --line: #d9dde2; --soft: #f4f6f8;
  --text: #1c2126; --dim: #5c6670;
  --good: #17692f; --good-soft: #e0f2e5; --bad: #a81e16; --bad-soft: #fbe4e2; --odd: #7a5200; --odd-soft: #fbefd5; }
@media (prefers-color-scheme: dark) {
  :root { --page: #14171a; --card: #1d2125; --line: #353b42; --soft: #262b31; --text: #e4e7ea; --dim: #9ca7b1;
  --good: #7fd89b; --good-soft: #1d3526; --bad: #ff9c93; --bad-soft: #43211f; --odd: #f0c674; --odd-soft: #3b3017; } }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--text); background: var(--page);
  margin: 0 auto; max-width: 1240px; padding: 1rem; }
h1 { font-size: 1.3rem; margin: .3rem 0; overflow-wrap: anywhere; } h2 { font-size: 1.1rem; margin: 2rem 0 .1rem; }
.about { color: var(--dim); margin: 0 0 .8rem; }
.cards { display: grid; gap: .9rem; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 280px), 1fr)); }
article { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: .9rem;
  overflow-wrap: anywhere; }
article > * { unicode-bidi: isolate; }
.head { display: flex; justify-content: space-between; gap: .5rem; margin-bottom: .6rem; }
.head, .check { font-size: .85rem; color: var(--dim); }
.pictures { display: flex; flex-wrap: wrap; gap: 6px; margin-bottom: .6rem; }
img { border: 1px solid var(--line); border-radius: 6px; width: 180px; max-width: 100%; height: auto;
  background: #fff; }
.question { font-weight: 600; margin: 0 0 .5rem; white-space: pre-wrap; }
.part { margin: 0; white-space: pre-wrap; }
mark { display: block; background: var(--bad-soft); color: inherit; border-left: 3px solid var(--bad);
  padding: 0 .5rem; }
mark::after { content: " ← first wrong step"; color: var(--bad); font-size: .82rem; font-weight: 600; }
p.check { margin: .5rem 0 0; } .good { color: var(--good); } .poor { color: var(--bad); }
.verdict { background: var(--soft); border-radius: 6px; padding: .5rem .6rem; margin-top: .6rem; font-size: .92rem; }
.analysis { margin: .3rem 0 0; white-space: pre-wrap; } h3 { font-size: .92rem; margin: .9rem 0 .3rem; }
.badge { border-radius: 99px; padding: .05rem .55rem; font-weight: 600; font-size: .82rem; white-space: nowrap; }
.correct { color: var(--good); background: var(--good-soft); }
.badge.wrong { color: var(--bad); background: var(--bad-soft); }
.unreadable { color: var(--odd); background: var(--odd-soft); } code { font-size: .82rem; white-space: pre-wrap; }
</style></head><body>
{% macro solution(row) %}
{% set verdict = row.verdict %}
{% for part, number in row.solution.text | shown | laid_out %}
{% set marked = verdict.status == "wrong" and number and number == verdict.error_step %}
<p class="part" dir="auto">{% if marked %}<mark class="wrong">{{ part }}</mark>{% else %}{{ part }}{% endif %}</p>
{% else %}<p class="check">(no text)</p>{% endfor %}
<p class="check">answer {{ row.solution | answer | shown }}, reference {{ row.solution.problem.answer }}:
{% if row.solution is matching %}<span class="good">they match</span>
{% else %}<span class="poor">they differ</span>{% endif %}</p>
<div class="verdict"><span class="badge {{ verdict.status }}">{{ verdict.status }}</span>
<span class="check">verdict by {{ verdict.by | by }}
{%- if verdict.error_step %}, first wrong step: {{ verdict.error_step }}{% endif %}
{% if verdict.score is not none %}, P(correct) {{ "%.2f" | format(verdict.score) }}{% endif %}</span>
{% if verdict.analysis %}<p class="analysis" dir="auto">{{ verdict.analysis | shown }}</p>{% endif %}
{% if verdict.status == "unreadable" %}
<p class="analysis"><code>{{ verdict.raw | shown or "(no words, or too many)" }}</code></p>{% endif %}
</div>
{% endmacro %}
<h1>{{ title }}</h1><p class="about">{{ about }}</p>
{% for group in groups %}
<section><h2>{{ group.title }}</h2><p class="about">{{ group.text }}</p><div class="cards">
{% for example in group.examples %}
{% set problem = example.judged.solution.problem %}
<article>
<div class="head">
<span>{{ problem.source or "problem" }}{% if problem.level %}, level {{ problem.level }}{% endif %}</span>
<span>{{ example.judged.solution.author }}</span></div>
<div class="pictures">{% for image in problem.images %}{% set uri = image | picture %}
{% if uri %}<img src="{{ uri }}" alt="Picture {{ loop.index }} of problem {{ problem.id }} ({{ problem.source }})">
{% else %}<span class="check">(picture {{ loop.index }} cannot be read)</span>{% endif %}
{% endfor %}</div>
<p class="question" dir="auto">{{ problem.question | shown }}</p>
{{ solution(example.judged) }}
{% if example.repair %}<h3>Repair by the teacher</h3>{{ solution(example.repair) }}{% endif %}
</article>
{% endfor %}
</div></section>
{% else %}<p>There is nothing to show.</p>
{% endfor %}
</body></html>
"""
