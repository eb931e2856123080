"""What a step is for, read from its recipe: which model it trains, which round it judges, or if it prepares the ORM."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

STUDENT = "student"  # whose mistakes the ORM learns from (mathse/feedback/orm.py)


def role_of(recipe: Mapping[str, Any], roles: Mapping[str, str], judge: Any) -> str:
    """The role of a step: `M_1` (its training, solutions and evaluation), `round 1`, `teacher`, `reflection`, `orm` …

    `roles` are those of the artifacts seen before, `judge` is the run's judge in canonical form. Empty for no role.
    """
    inputs = recipe["inputs"]
    match recipe["step"].rpartition(".")[2]:
        case "load":
            return "test" if "problems" in roles.values() else "problems"
        case "fitting" | "decontaminate" | "disjoint":
            return roles.get(inputs["problems"]["artifact"], "")
        case "draw":
            return "orm" if inputs.get("seed") == "orm" else "seed"
        case "distill":
            return "teacher"
        case "generate" | "evaluate":
            return str(inputs["model"]["name"])
        case "judge":
            return _judged(roles.get(inputs["solutions"]["artifact"], ""), inputs.get("source") or {}, judge)
        case "sft":
            return _tuned([roles.get(data["artifact"], "") for data in inputs["data"]], roles)
        case "diagnose" | "reflect" | "write_up":
            return "reflection"
        case "annotate" | "train_orm" | "test_orm":
            return "orm"
    return ""


def round_of(role: str) -> int | None:
    """The number of the round whose verdicts a step is, None for any other step."""
    return int(role.removeprefix("round ")) if role.startswith("round ") else None


def _judged(author: str, source: Mapping[str, Any], judge: Any) -> str:
    model = re.fullmatch(r"M_(\d+)", author)
    if model:
        return f"round {int(model[1]) + 1}"
    # The ORM's student is taught by answer match, whatever the run's own judge is.
    prepares = source != judge and str(source.get("_target_")).endswith(".AnswerMatch")
    return STUDENT if author == "teacher" and prepares else author


def _tuned(learned: Sequence[str], roles: Mapping[str, str]) -> str:
    last = learned[-1] if learned else ""
    rounds = [k for role in learned if (k := round_of(role))]
    if rounds and f"M_{rounds[-1]}" not in roles.values():  # a round's own repairs may come behind it
        return f"M_{rounds[-1]}"
    if last == "teacher":  # with judge=answer both learn from the same verdicts, and M_0 comes first
        return STUDENT if "M_0" in roles.values() else "M_0"
    return "M_final" if last == "reflection" else last


STAGES = ("problems", "stage 1", "ORM", "stage 2", "stage 3", "evaluation")


def stage_of(step: str, role: str) -> str:
    """To which part of a run a step of that role belongs, one of STAGES."""
    if step in ("load", "decontaminate", "disjoint", "fitting", "draw", "remaining"):
        return "problems"
    if step == "evaluate":
        return "evaluation"
    if role in ("orm", STUDENT):
        return "ORM"
    if role in ("reflection", "M_final"):
        return "stage 3"
    if step == "generate" or re.fullmatch(r"round \d+|M_[1-9]\d*", role):
        return "stage 2"
    return "stage 1"
