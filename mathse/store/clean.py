"""Which artifacts no run needs, and their deletion.

Kept is what a finished run's report names, what the user names, whatever these were made from, and what was of use lately: a run that
was killed and will go on has no report yet. Answers of a paid teacher (teacher/) are never touched.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass

from mathse.store.contents import GOING, Contents, Stored, remove
from mathse.store.locks import IN_USE, alone, busy

DAY = 24 * 3600.0


@dataclass(frozen=True)
class Sorted:
    """What of a store is kept and what may go."""

    needed: tuple[Stored, ...]
    young: tuple[Stored, ...]  # of no known run, but used lately
    going: tuple[Stored, ...]
    unfinished_young: tuple[Stored, ...]
    unfinished_going: tuple[Stored, ...]
    busy: tuple[Stored, ...]  # unfinished, and a living process is at it
    missing: tuple[tuple[str, str], ...]  # artifacts that a run names and the store has not, each with the run


def sort(contents: Contents, keep: Sequence[str], days: float) -> Sorted:
    """Sort a store's contents. Raises ValueError where what is to be kept cannot be found out."""
    if not contents.runs and not keep:
        raise ValueError(
            f"no run's report is known, so everything in {contents.root} would go; say where reports are with reports=…, "
            "or name what you want with keep=…"
        )
    named = [contents.find(word).name for word in keep]
    runs = [(run.name, step) for run in contents.runs for step in run.steps]
    needed = contents.with_inputs([*named, *(step for _, step in runs)])
    for name in sorted(needed & set(contents.artifacts)):
        if contents.artifacts[name].record is None:
            raise ValueError(
                f"{contents.artifacts[name].path}: its record is missing or broken, so what it was made from is not known; "
                "see `python -m mathse.store verify`"
            )
    since = time.time() - days * DAY
    at_work = {name for name in contents.unfinished if busy(contents.root / name)}
    recent = {name for name, some in contents.unfinished.items() if some.used > since and name not in at_work}
    young = contents.with_inputs(name for name, some in contents.artifacts.items() if some.used > since)
    young |= contents.with_inputs(name for key in at_work | recent for name in contents.unfinished[key].inputs)
    artifacts = contents.artifacts.items()
    return Sorted(
        needed=tuple(some for name, some in artifacts if name in needed),
        young=tuple(some for name, some in artifacts if name in young - needed),
        going=tuple(some for name, some in artifacts if name not in young | needed),
        unfinished_young=tuple(contents.unfinished[name] for name in sorted(recent)),
        unfinished_going=tuple(s for name, s in contents.unfinished.items() if name not in at_work | recent),
        busy=tuple(contents.unfinished[name] for name in sorted(at_work)),
        missing=tuple((step, run) for run, step in runs if step not in contents.artifacts),
    )


def delete(contents: Contents, found: Sorted) -> None:
    """Delete what may go, locks that nobody holds and what an earlier deletion left. Raises ValueError where a run is working in
    the store."""
    with alone(contents.root):
        for stored in (*found.going, *found.unfinished_going):
            if stored.path.exists():
                remove(stored.path)
        for left in contents.root.glob(f"{GOING}*"):
            shutil.rmtree(left)
        for lock in contents.root.glob(".*-*.lock"):
            if lock.name != IN_USE:
                lock.unlink()
