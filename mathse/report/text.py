"""What people read: the line of a step, the table at the end, the Markdown report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mathse.report.summary import Scored, by_part
from mathse.store import Artifact


def line(
    number: int,
    artifact: Artifact,
    recipe: Mapping[str, Any],
    recipes: Mapping[str, Mapping[str, Any]],
    *,
    cached: bool,
    seconds: float,
) -> str:
    """One step in one line: what it was, what came of it, and whether it was found or how long it took."""
    took = "found" if cached else f"{seconds:.1f} s"
    return f"{number:>3}  {artifact.step:<10} {_words(artifact, recipe, recipes):<78} {took:>8}"


def _words(artifact: Artifact, recipe: Mapping[str, Any], recipes: Mapping[str, Mapping[str, Any]]) -> str:
    m = artifact.metrics
    model = recipe["inputs"].get("model") or {}
    match artifact.step:
        case "load" | "draw" | "remaining":
            return f"{m['problems']:.0f} problems"
        case "distill" | "reflect":
            return f"{m['solutions']:.0f} solutions by the teacher"
        case "generate":
            return f"{m['solutions']:.0f} solutions by {model['name']}"
        case "judge":
            author = recipes.get(recipe["inputs"]["solutions"]["artifact"], {})
            who = (author.get("inputs", {}).get("model") or {}).get("name", "the teacher")
            unreadable = f", {m['unreadable']:.0f} unreadable" if m["unreadable"] else ""
            quality = f"precision {m['accept_precision']:.2f}, recall {m['accept_recall']:.2f}"
            return f"{m['accepted']:.0f} of {m['generated']:.0f} by {who} accepted{unreadable}; {quality}"
        case "sft" | "train_orm":
            held_out = f", held-out loss {m['validation_loss']:.3f}" if "validation_loss" in m else ""
            return f"{m['rows']:.0f} rows, {m['steps']:.0f} steps, loss {m['loss']:.3f}{held_out}"
        case "annotate":
            return (
                f"{m['wrong']:.0f} wrong solutions annotated, {m['right']:.0f} right ones, {m['dropped']:.0f} dropped"
            )
        case "test_orm":
            return (
                f"right ones accepted {m['correct_accuracy']:.2f}, wrong ones rejected {m['wrong_accuracy']:.2f}, "
                f"step named {m['step_hit_rate']:.2f}"
            )
        case "diagnose":
            return f"{m['diagnosed']:.0f} of {m['rejected']:.0f} rejected solutions go to reflection"
        case "evaluate":
            return f"{model['name']}: {100 * m['accuracy']:.1f} % of {m['n']:.0f}"
    return ", ".join(f"{key} {value:g}" for key, value in m.items())


def results(summary: Mapping[str, Any]) -> list[list[str]]:
    """The table of models, header first: accuracy, interval, change against the one before, paired p."""
    rows = [["model", "accuracy", "95% interval", "change", "paired p"]]
    steps = [{"difference": None, "p_mcnemar": None}, *summary["comparisons"]]
    for model, step in zip(summary["models"], steps, strict=False):
        low, high = model["ci95"]
        change = "" if step["difference"] is None else f"{100 * step['difference']:+.1f}"
        p = "" if step["p_mcnemar"] is None else f"{step['p_mcnemar']:.2g}"
        rows.append(
            [model["name"], f"{100 * model['accuracy']:.1f}", f"{100 * low:.1f} to {100 * high:.1f}", change, p]
        )
    return rows


def round_table(summary: Mapping[str, Any]) -> list[list[str]]:
    """The table of rounds, header first."""
    rows = [["round", "generated", "accepted", "rejected", "unreadable", "precision", "recall"]]
    for r in summary["rounds"]:
        counts = [str(r[key]) for key in ("round", "generated", "accepted", "rejected", "unreadable")]
        rows.append([*counts, f"{r['accept_precision']:.3f}", f"{r['accept_recall']:.3f}"])
    return rows


def orm_table(orm: Mapping[str, float]) -> list[list[str]]:
    """The ORM's report card, header first."""
    return [
        ["ORM on held-out solutions", "share", "n"],
        ["right ones accepted", f"{orm['correct_accuracy']:.3f}", f"{orm['n_correct']:.0f}"],
        ["wrong ones rejected", f"{orm['wrong_accuracy']:.3f}", f"{orm['n_wrong']:.0f}"],
        ["wrong step named, of the rejected wrong ones", f"{orm['step_hit_rate']:.3f}", ""],
        ["unreadable", f"{orm['unreadable']:.3f}", f"{orm['n_correct'] + orm['n_wrong']:.0f}"],
    ]


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """A table for a terminal."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """The same table in Markdown."""
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])


def closing(summary: Mapping[str, Any], folder: Path, store: str) -> str:
    """What is printed at the end."""
    parts = ["", aligned(results(summary))]
    if summary["rounds"]:
        parts += ["", aligned(round_table(summary))]
    if summary["orm"]:
        parts += ["", aligned(orm_table(summary["orm"]))]
    computed = [step for step in summary["steps"] if not step["cached"]]
    parts += [
        "",
        f"{summary['seconds']:.0f} s, {summary['peak_rss_mb']} MB; {len(computed)} of {len(summary['steps'])} steps computed",
        f"report:    {folder / 'report.md'}",
        f"examples:  {folder / 'examples.html'}",
        f"artifacts: {store}/",
        f"next: {next_thing(summary)}",
    ]
    return "\n".join(parts)


def next_thing(summary: Mapping[str, Any]) -> str:
    """A command that builds on this run."""
    if summary["stage"] == "sft":
        return "python train.py stage=evolve"
    if summary["stage"] == "evolve":
        return "python train.py stage=reflect"
    return f"python train.py K={summary['K'] + 1}"


def write_markdown(folder: Path, summary: Mapping[str, Any], scores: Sequence[Scored]) -> None:
    """report.md with its plot, accuracy.png."""
    from mathse.report import write_text
    from mathse.report.plot import accuracy_plot

    accuracy_plot(folder / "accuracy.png", summary)
    first = summary["models"][0]
    parts = [
        f"# {folder.name}",
        f"`{summary['command']}` · {summary['seconds']:.0f} s · {summary['peak_rss_mb']} MB",
        f"Accuracy on {first['n']} test problems ({first['benchmark']}), greedy; change and exact McNemar p against the model above.",
        markdown(results(summary)),
        "![Accuracy by stage](accuracy.png)",
    ]
    if summary["rounds"]:
        parts += [
            "## Rounds",
            "Precision and recall of acceptance are measured against the reference answers.",
            markdown(round_table(summary)),
        ]
    if summary["orm"]:
        parts += ["## ORM", markdown(orm_table(summary["orm"]))]
    for title, part in (("By family of problems", "source"), ("By level of difficulty", "level")):
        tables = [by_part(scored, part) for scored in scores]
        head = [part, "n", *(scored.model.name for scored in scores)]
        body = [
            [name, str(n), *(f"{100 * table[name][0] / table[name][1]:.0f}" for table in tables)]
            for name, (_, n) in tables[0].items()
        ]
        parts += [f"## {title}", markdown([head, *body])]
    steps = [[s["name"], "found" if s["cached"] else f"{s['seconds']:.1f} s"] for s in summary["steps"]]
    parts += ["## Steps", markdown([["artifact", "time"], *steps])]
    write_text(folder / "report.md", "\n\n".join(parts) + "\n")
