"""Recipes: the identity of what a step is given, and back."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from mathse.store.artifact import RECORD, Artifact


def canonical(value: Any, *, whole: bool = False, absent: bool = False) -> Any:
    """The identity of a value as plain JSON; with `whole`, its `execution` fields too. Raises TypeError for what has none.

    With `absent`, weights and data that are not there have no content; else whatever they raise is raised.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Artifact):
        return {"artifact": value.name}
    if isinstance(value, (list, tuple)):
        return [canonical(member, whole=whole, absent=absent) for member in value]
    if isinstance(value, Mapping):
        return {str(key): canonical(member, whole=whole, absent=absent) for key, member in sorted(value.items())}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        kind = type(value)
        left_out = () if whole else getattr(kind, "execution", ())
        names = [field.name for field in dataclasses.fields(value) if field.name not in left_out]
        fields = {name: canonical(getattr(value, name), whole=whole, absent=absent) for name in names}
        content = {}
        if hasattr(value, "recipe"):
            with contextlib.suppress(*((ValueError, OSError) if absent else ())):
                content = {"content": canonical(value.recipe())}
        return {"_target_": f"{kind.__module__}.{kind.__qualname__}", **fields, **content}
    raise TypeError(f"{value!r} ({type(value).__name__}) has no stable identity and cannot be part of a recipe")


F = TypeVar("F", bound=Callable[..., Mapping[str, float]])


def means(*, version: int = 1, prompts: tuple[str, ...] = ()) -> Callable[[F], F]:
    """Says what, beside its inputs, decides what a step computes: raise `version` when its code changes meaning."""

    def mark(step: F) -> F:
        step.__dict__.update(version=version, prompts=prompts)
        return step

    return mark


def recipe_of(step: Callable[..., Any], inputs: Mapping[str, Any], *, absent: bool = False) -> dict[str, Any]:
    """The recipe of a call: the step's name, version and prompts (see `means`), and its inputs; `absent`: see `canonical`."""
    return {
        "step": f"{step.__module__}.{step.__qualname__}",
        "version": step.__dict__.get("version", 1),
        "prompts": list(step.__dict__.get("prompts", ())),
        "inputs": {name: canonical(value, absent=absent) for name, value in sorted(inputs.items())},
    }


def name_of(recipe: Mapping[str, Any]) -> str:
    """`<step>-<12 hex digits of the recipe's sha256>`."""
    text = json.dumps(recipe, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return f"{recipe['step'].rpartition('.')[2]}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def restore(data: Any, root: Path) -> Any:
    """The value whose `canonical` form is `data`. Only classes of mathse are built."""
    if isinstance(data, list):
        return tuple(restore(member, root) for member in data)
    if not isinstance(data, dict):
        return data
    if set(data) == {"artifact"}:
        record = json.loads((root / data["artifact"] / RECORD).read_text(encoding="utf-8"))
        return Artifact(data["artifact"], root / data["artifact"], record["metrics"])
    members = {key: restore(member, root) for key, member in data.items() if key not in ("_target_", "content")}
    return find(data["_target_"])(**members) if "_target_" in data else members


def find(target: str) -> Any:
    """The class or function at a dotted path inside mathse. Raises ValueError for any other."""
    module, _, name = target.rpartition(".")
    if not module.startswith("mathse"):
        raise ValueError(f"_target_ {target}: only classes of mathse can be named in a configuration")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"_target_ {target}: there is no such class ({error})") from error
