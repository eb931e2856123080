"""What runs were told, read off the recipes of their steps under the names that the command line knows, and in what they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mathse.report.compare.labels import labels, spoken, typed
from mathse.report.run import Run

PLACES = {  # step and input of a recipe -> the setting that it is
    ("sft", "fit"): "fit",
    ("sft", "lora"): "lora",
    ("sft", "backbone"): "backbone",
    ("sft", "seed"): "seed",
    ("generate", "sampling"): "sampling",
    ("evaluate", "sampling"): "decoding",
    ("evaluate", "benchmark"): "benchmark",
    ("distill", "teacher"): "teacher",
    ("diagnose", "source"): "feedback",
    ("diagnose", "repeated"): "reflection.repeated",
    ("diagnose", "solved_later"): "reflection.solved_later",
    ("reflect", "retries"): "reflection.retries",
}
LEFT_OUT = ("content", "artifact", "seed")  # hashes of files; whatever the seed changes
SEED = "seed"


def settings_of(run: Run) -> dict[str, str]:
    """Setting -> value, as far as the run's steps have it. `K`, `stage`, `scale`, `backbone` and `seed` are the summary's."""
    found: dict[str, str] = {}
    for name, recipe in run.recipes.items():
        step, role = run.artifacts[name].step, run.roles[name]
        for key, value in recipe["inputs"].items():
            place = PLACES.get((step, key))
            if (step, key) == ("draw", "size"):
                place = "orm_problems" if role == "orm" else "seed_size"
            elif (step, key) == ("load", "data") and role == "problems":
                place = "data"
            elif (step, key) == ("judge", "source") and role not in ("student", "reflection"):
                place = "judge"
            if place:
                found = {**_leaves(value, place), **_trained(run, value, place), **found}
    head = {key: str(run.summary[key]) for key in ("backbone", "scale", "stage", "K", SEED) if key in run.summary}
    return {**found, **head}


def _leaves(value: Any, name: str) -> dict[str, str]:
    if isinstance(value, Mapping):
        leaves: dict[str, str] = {}
        for key, member in value.items():
            if key == "_target_":
                leaves[name] = str(member).rpartition(".")[2]
            elif key in LEFT_OUT or (key == "model" and not isinstance(member, str)):
                continue  # a judge's weights: its training is what tells it from others
            else:
                leaves |= _leaves(member, f"{name}.{key}")
        return leaves
    return {name: ", ".join(map(str, value)) if isinstance(value, list) else str(value)}


def _trained(run: Run, source: Any, name: str) -> dict[str, str]:
    """The settings of the training that a judge or feedback comes from, where it is an ORM."""
    model = source.get("model") if isinstance(source, Mapping) else None
    adapter = (model.get("adapter") or {}).get("artifact", "") if isinstance(model, Mapping) else ""
    if not adapter.startswith("train_orm-") or adapter not in run.recipes:
        return {}
    inputs = run.recipes[adapter]["inputs"]
    parts = [_leaves(inputs[key], f"{name}.training.{key}") for key in inputs if key not in LEFT_OUT]
    return {key: value for part in parts for key, value in part.items()}


def differences(told: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    """The settings that are not the same in all runs, each with its value in every run; empty where a run has none."""
    names = list(dict.fromkeys(name for one in told for name in one))
    values = {name: [one.get(name, "") for one in told] for name in names}
    return {name: row for name, row in values.items() if len(set(row)) > 1}


@dataclass
class Arm:
    """Runs that differ in their seed only. `label` is what tells the arm from the others."""

    label: str
    settings: Mapping[str, str]
    runs: list[Run]


def arms(runs: Sequence[Run]) -> tuple[list[Arm], dict[str, list[str]]]:
    """The runs by arm, in their order, and the settings in which the arms differ (each with a value for each arm).

    Two runs of one seed are never one arm: what tells them apart is then in no recipe that is known, and their names do.
    """
    told = [settings_of(run) for run in runs]
    differ = differences(told)
    groups: dict[tuple[str, ...], Arm] = {}
    for i, (run, one) in enumerate(zip(runs, told, strict=True)):
        key = tuple(row[i] for name, row in differ.items() if name != SEED)
        arm = groups.setdefault(key, Arm("", one, []))
        if any(other.summary.get(SEED) == run.summary.get(SEED) for other in arm.runs):
            arm = groups.setdefault((*key, run.name), Arm("", one, []))
        arm.runs.append(run)
    found = list(groups.values())
    between = differences([{k: v for k, v in arm.settings.items() if k != SEED} for arm in found])
    said = spoken(
        [arm.settings for arm in found], [{k: v for run in arm.runs for k, v in typed(run).items()} for arm in found]
    )
    for arm, label in zip(found, labels(between, len(found), said), strict=True):
        arm.label = label
    twice = {arm.label for arm in found if sum(other.label == arm.label for other in found) > 1}
    for arm in found:
        if arm.label in twice or not arm.label:
            arm.label = f"{arm.label} {arm.runs[0].name}".strip()
    return found, between
