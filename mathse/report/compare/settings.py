"""What runs were told, read off the recipes of their steps under the names that the command line knows, and in what they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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
    ("train_orm", "fit"): "orm.fit",
    ("train_orm", "lora"): "orm.lora",
}
LEFT_OUT = ("content", "model")  # hashes of files; the model inside a judge, whose settings stand elsewhere
SEED = "seed"


def settings(run: Run) -> dict[str, str]:
    """Setting -> value, as far as the run's steps have it. `K`, `stage`, `scale` and `seed` are the summary's."""
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
                found = {**_leaves(value, place), **found}
    head = {key: str(run.summary[key]) for key in ("scale", "stage", "K", SEED) if key in run.summary}
    return {**found, **head}


def _leaves(value: Any, name: str) -> dict[str, str]:
    if isinstance(value, Mapping):
        leaves: dict[str, str] = {}
        for key, member in value.items():
            if key == "_target_":
                leaves[name] = str(member).rpartition(".")[2]
            elif key not in LEFT_OUT and key != "artifact":
                leaves |= _leaves(member, f"{name}.{key}")
        return leaves
    return {name: ", ".join(map(str, value)) if isinstance(value, list) else str(value)}


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
    """The runs by arm, in their order, and the settings in which the arms differ (each with a value for each arm)."""
    told = [settings(run) for run in runs]
    differ = differences(told)
    groups: dict[tuple[str, ...], Arm] = {}
    for i, (run, one) in enumerate(zip(runs, told, strict=True)):
        key = tuple(row[i] for name, row in differ.items() if name != SEED)
        groups.setdefault(key, Arm("", one, [])).runs.append(run)
    found = list(groups.values())
    between = differences([{k: v for k, v in arm.settings.items() if k != SEED} for arm in found])
    for i, arm in enumerate(found):
        arm.label = _label({name: row[i] for name, row in between.items()}) or arm.runs[0].name
    return found, between


def _label(own: Mapping[str, str]) -> str:
    """The settings that come first, in a few words: a part chosen by its name says enough about what is inside it."""
    chosen = {name for name, value in own.items() if value}
    outer = [name for name in own if name in chosen and not any(name.startswith(f"{other}.") for other in chosen)]
    return ", ".join(f"{name}={own[name]}" for name in outer[:3]) + ", …" * (len(outer) > 3)
