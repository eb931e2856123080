"""What differs between recipes, down through the artifacts that they read to the first cause."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mathse.store.artifact import RECORD, read_record
from mathse.store.recipe import name_of

RECIPE_KEYS = ("step", "version", "prompts", "inputs")
SHOWN = 90  # characters of a value
ABSENT = object()


@dataclass(frozen=True)
class Difference:
    """One part of two recipes that is not the same; of two artifacts, what differs in their recipes stands in `within`."""

    part: str
    old: Any
    new: Any
    within: tuple[Difference, ...] = ()

    def __str__(self) -> str:
        return f"{self.part}: {shown(self.old)} -> {shown(self.new)}"


Pairs = dict[tuple[str | None, ...], tuple[Difference, ...]]  # of artifacts that were compared before


def differences(
    root: Path, old: Mapping[str, Any], new: Mapping[str, Any], known: Pairs | None = None
) -> tuple[Difference, ...]:
    """Every part in which the recipe `new` differs from `old`; artifacts of the same step are looked into, if the store has them."""
    known = {} if known is None else known
    return tuple(
        Difference(part.removeprefix("inputs."), a, b, _within(root, a, b, known))
        for part, a, b in _parts(_recipe(old), _recipe(new))
    )


def _recipe(record: Mapping[str, Any]) -> dict[str, Any]:
    return {key: record.get(key) for key in RECIPE_KEYS}


def _within(root: Path, a: Any, b: Any, known: Pairs) -> tuple[Difference, ...]:
    names = (_artifact(a), _artifact(b))
    if None in names or _step(a) != _step(b):
        return ()
    if names not in known:
        try:
            old, new = (read_record(root / str(name)) for name in names)
            known[names] = differences(root, old, new, known)
        except ValueError:  # one of them is no longer there
            known[names] = ()
    return known[names]


def _parts(a: Any, b: Any, at: str = "") -> Iterator[tuple[str, Any, Any]]:
    """The parts of two values that differ, each with its path, as small as they get."""
    if a == b:
        return
    if isinstance(a, Mapping) and isinstance(b, Mapping) and not (_artifact(a) or _artifact(b)):
        for key in {**a, **b}:
            yield from _parts(a.get(key, ABSENT), b.get(key, ABSENT), f"{at}.{key}" if at else str(key))
    elif isinstance(a, list) and isinstance(b, list):
        for i in range(max(len(a), len(b))):
            yield from _parts(a[i] if i < len(a) else ABSENT, b[i] if i < len(b) else ABSENT, f"{at}[{i}]")
    else:
        yield at, a, b


def _artifact(value: Any) -> str | None:
    return value["artifact"] if isinstance(value, Mapping) and set(value) == {"artifact"} else None


def _step(value: Any) -> str:
    return str(_artifact(value)).rpartition("-")[0]


def shown(value: Any) -> str:
    """A value of a recipe in one short line."""
    if value is ABSENT:
        return "nothing"
    if _artifact(value):
        return str(_artifact(value))
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}… ({len(text)} characters)"


def causes(found: Sequence[Difference], of: str = "", seen: set[int] | None = None) -> dict[str, str]:
    """The first causes: differences that no difference of an artifact explains, each with the step that it is in; once each."""
    seen = set() if seen is None else seen
    told: dict[str, str] = {}
    for one in found:
        if not one.within:
            told.setdefault(str(one), of)
        elif id(one.within) not in seen:
            seen.add(id(one.within))
            told = causes(one.within, _step(one.new), seen) | told
    return told


def tree(found: Sequence[Difference], indent: str = "  ", seen: set[str] | None = None) -> list[str]:
    """All differences as lines, those in an artifact below it; what was shown before is not shown again."""
    seen = set() if seen is None else seen
    lines = []
    for one in found:
        again = bool(one.within) and f"{shown(one.old)} {shown(one.new)}" in seen
        lines.append(f"{indent}{one}{', as above' if again else ', which differ in' if one.within else ''}")
        if one.within and not again:
            seen.add(f"{shown(one.old)} {shown(one.new)}")
            lines += tree(one.within, indent + "  ", seen)
    return lines


def explanation(root: Path, recipe: Mapping[str, Any]) -> str:
    """Which parts of `recipe` differ from the stored recipe of the same step that is nearest to it, and why."""
    kind = recipe["step"].rpartition(".")[2]
    nearest: tuple[int, str, Mapping[str, Any]] | None = None
    for path in sorted(root.glob(f"{kind}-*/{RECORD}")):
        try:
            stored = read_record(path.parent)
        except ValueError:  # said where it is asked for
            continue
        count = sum(1 for _ in _parts(_recipe(stored), _recipe(recipe)))
        if nearest is None or count < nearest[0]:
            nearest = (count, path.parent.name, stored)
    if nearest is None:
        return f"{name_of(recipe)}: no {kind} is stored yet"
    lines = []
    for one in differences(root, nearest[2], recipe):
        lines.append(f"  {one}")
        lines += [f"    since {step}: {cause}" for cause, step in causes(one.within, _step(one.new)).items()]
    return "\n".join([f"{name_of(recipe)}: not stored; the nearest, {nearest[1]}, differs in", *lines])
