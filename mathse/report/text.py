"""What people read in a terminal: the line of a step, the tables at the end."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mathse.report.ledger import ledger_notes, ledger_table
from mathse.report.problems import data_lines
from mathse.report.reflection import reflection_table
from mathse.report.summary import agreed, on_held_out
from mathse.statistics import holm, p_value
from mathse.store import Artifact


def line(number: int, artifact: Artifact, role: str, *, cached: bool, seconds: float) -> str:
    """One step in one line: what it was, what came of it, and whether it was found or how long it took."""
    took = "found" if cached else f"{seconds:.1f} s"
    return f"{number:>3}  {artifact.step:<13} {words(artifact, role):<75} {took:>8}"


def words(artifact: Artifact, role: str) -> str:
    """What came of a step, in a few words."""
    m = artifact.metrics
    match artifact.step:
        case "load" | "fitting" | "draw" | "remaining":
            what = {"test": "test problems", "seed": "seed problems", "orm": "problems kept for the ORM"}
            left_out = f", {m['left_out']:.0f} left out: too many pictures" if "left_out" in m else ""
            left_out += f", {m['twins']:.0f} left out: asked twice" if m.get("twins") else ""
            if "read" in m:
                left_out = f" of {m['read']:.0f} rows, {m['dropped']:.0f} dropped"
            return f"{m['problems']:.0f} {what.get(role, 'problems')}{' remain' * (artifact.step == 'remaining')}{left_out}"
        case "decontaminate":
            return f"{m['leaks']:.0f} of {m['read']:.0f} are among {m['against']:.0f} test problems too; {m['dropped']:.0f} dropped"
        case "disjoint":
            return f"{m['problems']:.0f} problems, {m['dropped']:.0f} left out: asked in a set that has to be apart"
        case "distill":
            return f"{m['solutions']:.0f} solutions by the teacher{_dropped(m)}{_cost(m)}"
        case "reflect":
            return f"{m['solutions']:.0f} repairs by the teacher{_dropped(m, 'unreadable, ')}{_cost(m)}"
        case "generate":
            return f"{m['solutions']:.0f} solutions by {_the(role)}"
        case "judge":
            unreadable = f", {m['unreadable']:.0f} unreadable" if m["unreadable"] else ""
            known = agreed(m)
            quality = f"precision {_share(known['accept_precision'])}, recall {_share(known['accept_recall'])}"
            return f"{role}: {m['accepted']:.0f} of {m['generated']:.0f} accepted{unreadable}; {quality}"
        case "sft" | "train_orm":
            held_out = f", held-out loss {m['validation_loss']:.3f}" if "validation_loss" in m else ""
            who = "" if role == "orm" else f"{role}: "
            return f"{who}{m['rows']:.0f} rows, {m['steps']:.0f} steps, loss {m['loss']:.3f}{held_out}"
        case "annotate":
            return f"{m['wrong']:.0f} wrong solutions annotated, {m['right']:.0f} right ones, {m['dropped']:.0f} dropped{_cost(m)}"
        case "test_orm":
            shares = on_held_out(artifact)
            return (
                f"right ones accepted {_share(shares['correct_accuracy'])}, wrong ones rejected {_share(shares['wrong_accuracy'])}, "
                f"step named {_share(shares['step_hit_rate'])}"
            )
        case "write_up":
            return f"{m['accepted']:.0f} drafts with what was wrong and their repairs, {m['dropped']:.0f} dropped"
        case "diagnose":
            rest = {"called correct by the feedback": m.get("called_correct"), "unreadable": m.get("unreadable")}
            why = "".join(f", {count:.0f} {what}" for what, count in rest.items() if count)
            return f"{m['diagnosed']:.0f} of {m['rejected']:.0f} rejected solutions go to reflection{why}"
        case "evaluate":
            return f"{role}: {100 * m['accuracy']:.1f} % of {m['n']:.0f}"
    return ", ".join(f"{key} {value:g}" for key, value in m.items())


def _dropped(m: Mapping[str, float], also: str = "") -> str:
    return f", {m['dropped']:.0f} {also}cut short or refused" if m.get("dropped") else ""


def _cost(m: Mapping[str, float]) -> str:
    return f"; {m['calls_paid']:.0f} calls, {dollars(m)} $" if m.get("calls_paid") and "dollars" in m else ""


def _share(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"


def _the(role: str) -> str:
    return f"the {role}" if role in ("student", "teacher") else role


def results(summary: Mapping[str, Any]) -> list[list[str]]:
    """The table of models, header first: accuracy, interval, change against the one before, paired p."""
    rows = [["model", "accuracy", "95% interval", "change", "paired p"]]
    steps = [{"difference": None, "p": None}, *summary["comparisons"]]
    for model, step in zip(summary["models"], steps, strict=False):
        low, high = model["ci95"]
        change = "" if step["difference"] is None else f"{100 * step['difference']:+.1f}"
        p = "" if step["p"] is None else p_value(step["p"])
        rows.append(
            [model["name"], f"{100 * model['accuracy']:.1f}", f"{100 * low:.1f} to {100 * high:.1f}", change, p]
        )
    return rows


def round_table(summary: Mapping[str, Any]) -> list[list[str]]:
    """The table of rounds, header first."""
    rows = [["round", "generated", "accepted", "rejected", "unreadable", "precision", "recall"]]
    for r in summary["rounds"]:
        counts = [str(r[key]) for key in ("round", "generated", "accepted", "rejected", "unreadable")]
        rows.append(
            [*counts, *("" if r[key] is None else f"{r[key]:.3f}" for key in ("accept_precision", "accept_recall"))]
        )
    return rows


def orm_table(orm: Mapping[str, float | None]) -> list[list[str]]:
    """The ORM's report card, as summary.json has it, header first; no share where there is nothing that it is of."""
    right, wrong = orm["n_correct"] or 0, orm["n_wrong"] or 0
    rejected = wrong * (orm["wrong_accuracy"] or 0)
    rows = [
        ("right ones accepted", orm["correct_accuracy"], f"{right:.0f}"),
        ("wrong ones rejected", orm["wrong_accuracy"], f"{wrong:.0f}"),
        ("wrong step named, of the rejected wrong ones", orm["step_hit_rate"], f"{rejected:.0f}"),
        ("unreadable", orm["unreadable"], f"{right + wrong:.0f}"),
    ]
    if rejected and orm["step_hit_rate"] is None:
        rows[2] = ("wrong step named: a binary ORM names none", None, "")
    cells = [[what, "" if share is None else f"{share:.3f}", n] for what, share, n in rows]
    return [["ORM on held-out solutions", "share", "n"], *cells]


def money_table(teacher: Mapping[str, Any]) -> list[list[str]]:
    """The table of what the teacher cost, header first."""
    totals = [("all", teacher["total"]), ("paid by this run", teacher["new"])]
    rows = [(f"{row['step']}{' (found)' * row['found']}", row) for row in teacher["steps"]] + totals
    table = [["teacher", "calls", "tokens in", "of them cached", "tokens out", "dollars"]]
    for name, row in rows:
        counts = [f"{row[key]:.0f}" for key in ("calls_paid", "tokens_in", "tokens_cached", "tokens_out")]
        table.append([name, *counts, dollars(row)])
    return table


def dollars(row: Mapping[str, float]) -> str:
    """An amount, with what may have been charged for calls that were lost."""
    if "dollars" not in row:
        return "no price known"
    lost = f" (and up to {row['dollars_lost']:.4f} lost)" if row["dollars_lost"] else ""
    return f"{row['dollars']:.4f}{lost}"


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """A table for a terminal."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """The same table in Markdown, whatever the cells hold: some come from data files."""
    lines = ["| " + " | ".join(tame(cell).replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])


def tame(words: str) -> str:
    """Words on one line that no Markdown takes for HTML."""
    return " ".join(words.split()).replace("<", "&lt;")


def closing(summary: Mapping[str, Any], folder: Path, store: str, tracked: str) -> str:
    """What is printed at the end; `tracked` says where W&B's run is, or nothing."""
    parts = ["", aligned(results(summary)), *further(summary)]
    parts += data_lines(summary)
    if summary["rounds"]:
        parts += ["", aligned(round_table(summary))]
    if summary["orm"]:
        parts += ["", aligned(orm_table(summary["orm"]))]
    if "reflection" in summary:
        parts += ["", aligned(reflection_table(summary["reflection"]))]
    if "teacher" in summary:
        parts += ["", aligned(money_table(summary["teacher"]))]
    parts += ["", aligned(ledger_table(summary["ledger"])), *ledger_notes(summary["ledger"])]
    computed = [step for step in summary["steps"] if not step["cached"]]
    elsewhere = "" if Path(store).resolve() == folder.resolve().parent.parent else f" store={store}"
    parts += [
        "",
        f"{summary['seconds']:.0f} s, {summary['peak_rss_mb']} MB; "
        f"{len(computed)} of {len(summary['steps'])} steps computed",
        f"report:    {folder / 'report.html'}",
        f"artifacts: {store}/",
        f"dataset:   python -m mathse.export data={folder} out=D_SFT images=embed{elsewhere}",
        f"lineage:   python -m mathse.lineage <row> run={folder}{elsewhere}",
        *([f"W&B:       {tracked}"] if tracked else []),
        f"next: {next_thing(summary, sys.argv)}",
    ]
    return "\n".join(parts)


def further(summary: Mapping[str, Any]) -> list[str]:
    """The comparisons of models that do not follow each other, a line each."""
    rest = summary["comparisons"][max(0, len(summary["models"]) - 1) :]
    return [f"{c['a']} to {c['b']}: {100 * c['difference']:+.1f} points, p {p_value(c['p'])}" for c in rest]


def comparison_table(summary: Mapping[str, Any]) -> list[list[str]]:
    """The comparisons of two models each, header first, with p adjusted for all of them."""
    compared = summary["comparisons"]
    adjusted = holm([c["p"] for c in compared])
    rows = [
        [c["a"], c["b"], f"{100 * c['difference']:+.1f}", p_value(c["p"]), p_value(p)]
        for c, p in zip(compared, adjusted, strict=True)
    ]
    return [["from", "to", "change", "p", "p (Holm)"], *rows]


def next_thing(summary: Mapping[str, Any], argv: Sequence[str] = ()) -> str:
    """A command that builds on this run, with the overrides that `argv` gave it."""
    more = {"sft": "stage=evolve", "evolve": "stage=reflect"}.get(summary["stage"], f"K={summary['K'] + 1}")
    dropped = ("K", "reflection.schedule", "stage") if more.startswith("stage=") else ("K",)
    # Flags (-m) and the lists of a sweep are about several runs; this is about one.
    given = argv[1:] if argv and Path(argv[0]).name == "train.py" else []
    kept = [
        word
        for word in given
        if "=" in word and not word.startswith("-") and word.partition("=")[0] not in dropped and not sweeps(word)
    ]
    return shlex.join(["python", "train.py", *kept, more])


def sweeps(override: str) -> bool:
    """Whether an override gives several values, so that `-m` makes several jobs of it."""
    value = override.partition("=")[2]
    return ("," in value and value[0] not in "[{'\"") or value.startswith(("range(", "choice(", "glob("))
