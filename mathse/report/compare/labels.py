"""What arms are called: by what users typed where that tells them apart, else by the few settings that do."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from mathse.report import NOT_IDENTITY
from mathse.report.run import Run
from mathse.report.text import sweeps

FIRST = ("stage", "backbone", "scale", "K", "seed_size", "judge", "feedback")  # what people vary, in the order of names
UNSAID = {*NOT_IDENTITY, "hydra", "sweep", "seed"}
DEFAULT = "default"  # an arm of which nobody said anything


def typed(run: Run) -> dict[str, str]:
    """The overrides of a run's command, but those that say where and how it ran, and the lists of a sweep."""
    try:
        words = shlex.split(str(run.summary.get("command", "")))
    except ValueError:
        return {}
    pairs = [word.lstrip("+").partition("=")[::2] for word in words if "=" in word and not sweeps(word)]
    return {name: value for name, value in pairs if value and name.partition(".")[0] not in UNSAID}


def spoken(known: Sequence[Mapping[str, str]], said: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    """For each setting that somebody typed its value in each arm, in the words that were typed.

    Of an arm where nobody did, the value that its recipes have, if these use the same words: `K=2` is typed and stored alike; what
    is typed as `feedback=orm` is stored as the class that it stands for, and is then left empty.
    """
    columns = {}
    for name in dict.fromkeys(name for one in said for name in one):
        alike = all(
            same(one[name], stored.get(name, "")) for one, stored in zip(said, known, strict=True) if name in one
        )
        columns[name] = [
            one.get(name) or (stored.get(name, "") if alike else "") for one, stored in zip(said, known, strict=True)
        ]
    return {name: row for name, row in columns.items() if len(set(row)) > 1}


def same(a: str, b: str) -> bool:
    """Whether two words are one value: `1e-3` and `0.001` are."""
    try:
        return a == b or float(a) == float(b)
    except ValueError:
        return False


def labels(
    between: Mapping[str, Sequence[str]], count: int, said: Mapping[str, Sequence[str]] | None = None
) -> list[str]:
    """For each arm the few settings that tell it from the others: always the one that tells most of them apart, until all are;
    first what was `said` and what people vary, then the rest of what is `between` them.

    >>> labels({"fit.lr": ["1", "1", "2", "2"], "K": ["1", "2", "1", "2"], "x": ["", "", "1", "1"]}, 4)
    ['K=1, fit.lr=1', 'K=2, fit.lr=1', 'K=1, fit.lr=2', 'K=2, fit.lr=2']
    >>> labels({"feedback": ["Trained", "Trained"], "feedback.training.analysis": ["True", "False"]}, 2, {"feedback": ["", "binary"]})
    ['default', 'feedback=binary']
    """
    said = said or {}
    values = {**between, **said}
    chosen: list[str] = []

    def told_apart(names: Sequence[str]) -> int:
        return len({tuple(values[name][i] for name in names) for i in range(count)})

    def rank(name: str) -> tuple[bool, int, bool, int, int]:
        place = -FIRST.index(name) if name in FIRST else -len(FIRST)
        return (
            name in said or name in FIRST,
            told_apart([*chosen, name]),
            "" not in values[name],
            place,
            -name.count("."),
        )

    while told_apart(chosen) < told_apart(list(values)):
        chosen.append(max((name for name in values if told_apart([*chosen, name]) > told_apart(chosen)), key=rank))
    chosen.sort(key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST))
    stages = values.get("stage", [])
    words = []
    for i in range(count):
        own = [name for name in chosen if values[name][i]]
        odd = stages and stages[i] != max(stages, key=stages.count)  # it lacks what the others have
        words.append(
            ", ".join(f"{name}={values[name][i]}" for name in ["stage"] * bool(odd and "stage" not in own) + own)
        )
    return [label or DEFAULT * bool(said) for label in words]
