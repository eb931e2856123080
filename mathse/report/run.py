"""A run as its reports see it: summary.json and the artifacts that it names, read back from the store, with what is missing.

A run that has not finished has left `unfinished.json` in its place: the same head, the run's judge, and the steps so far.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mathse.report.records import record_of
from mathse.report.roles import role_of, round_of
from mathse.report.summary import Scored, on_held_out, summarise
from mathse.store import RECORD, Artifact

SUMMARY, UNFINISHED, AUDIT = "summary.json", "unfinished.json", "audit.json"
JOBS = "jobs.json"  # of a sweep's folder; beside it N.json says what became of job N


@dataclass
class Run:
    """What a run left. `recipes` and `roles` go by artifact; `scores` are in the order of training, `rounds` in theirs; `missing`
    says in sentences what is not there."""

    name: str
    summary: Mapping[str, Any]
    artifacts: dict[str, Artifact] = field(default_factory=dict)
    recipes: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)
    scores: list[Scored] = field(default_factory=list)
    rounds: list[Artifact] = field(default_factory=list)
    audit: Mapping[str, Any] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    @property
    def about(self) -> str:
        """The run in one line."""
        s = self.summary
        return f"scale {s['scale']}, backbone {s['backbone']}, stage {s['stage']}, K = {s['K']}, seed {s['seed']}"

    def of(self, step: str, role: str | None = None) -> list[Artifact]:
        """The artifacts of a step, of one role where it is given."""
        found = [artifact for artifact in self.artifacts.values() if artifact.step == step]
        return [one for one in found if role is None or self.roles[one.name] == role]

    def seconds(self, name: str) -> float | None:
        """How long it took to compute an artifact, whenever that was; None where its record does not say."""
        artifact = self.artifacts.get(name)
        return record_of(artifact.path).get("seconds") if artifact else None


def read_run(folder: Path, store: Path | None = None) -> Run:
    """The run whose report is `folder`. `store` is where its artifacts are, if that is not two folders above.

    Raises ValueError where there is no such report; what is missing or broken in the store is said in `missing`.
    """
    finished = (folder / SUMMARY).is_file()
    path = folder / (SUMMARY if finished else UNFINISHED)
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
        steps = [str(step["name"]) for step in summary["steps"]]
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ValueError(
            f"{folder}: no run's report (neither {SUMMARY} nor {UNFINISHED}); name a folder below the store's reports/, or the store"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path}: broken ({error}); run the same command again, which computes nothing anew"
        ) from error
    run = Run(folder.resolve().name, summary)
    root = (store or folder.resolve().parent.parent).resolve()
    for name in steps:
        _take(run, root, name)
    _settle(run, finished)
    try:
        run.audit = json.loads((folder / AUDIT).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        run.missing += [f"The audit: {folder / AUDIT} cannot be read ({why})."] if run.rounds else []
    return run


def runs_below(folder: Path) -> list[Path]:
    """The runs' reports that a word of the command line names: itself, those of a sweep's jobs in their order, or all of a store,
    finished or not. Raises ValueError for a sweep of which no job has one."""
    if (folder / JOBS).is_file():
        return _of_a_sweep(folder)
    places = [folder] if any((folder / name).is_file() for name in (SUMMARY, UNFINISHED)) else []
    if not places:
        known = sorted(path for kind in (SUMMARY, UNFINISHED) for path in folder.glob(f"reports/*/{kind}"))
        places = list(dict.fromkeys(path.parent for path in known))
    return places or [folder]  # read_run says what is wrong with it


def _of_a_sweep(folder: Path) -> list[Path]:
    try:
        told = [
            json.loads(path.read_text("utf-8"))
            for path in sorted(folder.glob("[0-9]*.json"), key=lambda p: int(p.stem))
        ]
        found = [Path(job["summary"]).parent for job in told if job.get("summary")]
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{folder}: the sweep's files are broken ({error}); name its runs, or the store") from error
    if not found:
        raise ValueError(f"{folder}: no job of this sweep has ended well yet, so there is nothing to report")
    return list(dict.fromkeys(found))


def _take(run: Run, root: Path, name: str) -> None:
    record = record_of(root / name)
    if not record:
        run.missing.append(f"{name} is not in the store {root}, or its {RECORD} is broken: what it held is not shown.")
        return
    artifact = Artifact(name, root / name, record.get("metrics", {}))
    run.artifacts[name], run.recipes[name] = artifact, record


def _settle(run: Run, finished: bool) -> None:
    """Roles, scores and rounds, from the recipes."""
    sources = [run.recipes[one.name]["inputs"].get("source") or {} for one in run.of("judge")]
    others = [source for source in sources if not str(source.get("_target_")).endswith(".AnswerMatch")]
    # Answer match judges for the ORM too, so any other source is the run's judge; a run that was killed may have none yet.
    judge = run.summary.get("judge") or (others or sources or [{}])[-1]
    asked = [
        recipe["inputs"]["model"] for recipe in run.recipes.values() if isinstance(recipe["inputs"].get("model"), dict)
    ]
    known = {(model.get("adapter") or {}).get("artifact"): str(model["name"]) for model in asked}
    for (
        name,
        recipe,
    ) in run.recipes.items():  # what a model is called does not hang on what it learned from, which may be missing
        role = run.roles[name] = known.get(name) or role_of(recipe, run.roles, judge)
        if round_of(role):
            run.rounds.append(run.artifacts[name])
    run.scores = [Scored(run.roles[one.name], one) for one in run.of("evaluate")]
    if not finished:
        done = len(run.summary["steps"])
        run.missing.insert(
            0, f"This run has not finished: it has {done} steps so far. The same command goes on where it was."
        )
    elif run.missing:
        return  # the run's own numbers are of what is gone too
    models = run.summary.get("models", [])
    recipes = [run.recipes[one.artifact.name]["inputs"] for one in run.scores]
    benchmarks = [str(model["benchmark"]) for model in models] or [str(one["benchmark"].get("name")) for one in recipes]
    tests = [on_held_out(one) for one in run.of("test_orm")]
    try:
        numbers = summarise(next(iter(benchmarks), ""), run.scores, run.rounds, (tests or [{}])[0])
    except (OSError, ValueError, KeyError, TypeError):
        if not finished:
            raise
        return  # what is broken is said where it would be shown
    run.summary = {**run.summary, **numbers}  # today's numbers, should the summary be of an earlier version


def total_seconds(run: Run, names: Sequence[str]) -> float:
    """Of several artifacts together, as far as it is known."""
    return sum(run.seconds(name) or 0.0 for name in names)
