"""What is in a store, and which runs it is of use to."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mathse.store.artifact import PARTIAL, RECIPE, RECORD

NAME = re.compile(r"[A-Za-z_]\w*-[0-9a-f]{12}")


@dataclass(frozen=True)
class Stored:
    """An artifact in a store, or the unfinished work on one."""

    name: str
    path: Path
    record: Mapping[str, Any] | None  # None where it is missing or broken
    size: int  # bytes
    used: float  # when a run made or found it, as time.time()

    @property
    def inputs(self) -> list[str]:
        """The artifacts that its recipe names, in order."""
        return list(dict.fromkeys(_named((self.record or {}).get("inputs"))))


@dataclass(frozen=True)
class Run:
    """A run that was finished, from its summary.json."""

    name: str
    steps: tuple[str, ...]


@dataclass(frozen=True)
class Contents:
    """A store as it is now, and the finished runs whose reports are known."""

    root: Path
    artifacts: Mapping[str, Stored] = field(default_factory=dict)
    unfinished: Mapping[str, Stored] = field(default_factory=dict)
    runs: tuple[Run, ...] = ()

    def used_by(self, name: str) -> list[str]:
        """The runs that an artifact is of use to."""
        return [run.name for run in self.runs if name in run.steps]

    def with_inputs(self, names: Iterable[str]) -> set[str]:
        """These artifacts and whatever they were made from."""
        found: set[str] = set()
        ahead = list(names)
        while ahead:
            name = ahead.pop()
            if name not in found:
                found.add(name)
                ahead += self.artifacts[name].inputs if name in self.artifacts else []
        return found

    def find(self, word: str) -> Stored:
        """The artifact of this name, or whose name begins so. Raises ValueError where there is none, or more than one."""
        fits = [name for name in self.artifacts if name.startswith(word)]
        if word not in self.artifacts and len(fits) != 1:
            several = f"{len(fits)} artifacts begin so: {', '.join(fits[:4])}{' …' * (len(fits) > 4)}"
            missing = f"there is none in {self.root}; `python -m mathse.store ls store={self.root}` shows what there is"
            raise ValueError(f"{word}: {several if fits else missing}")
        return self.artifacts[word if word in self.artifacts else fits[0]]


def read(root: Path, reports: Path) -> Contents:
    """Look into a store. Raises ValueError where it is none, or where a run's summary cannot be read."""
    if not root.is_dir():
        raise ValueError(f"store={root}: there is no such folder")
    artifacts: dict[str, Stored] = {}
    unfinished: dict[str, Stored] = {}
    for folder in sorted(root.iterdir()):
        name = folder.name.removesuffix(PARTIAL)
        if NAME.fullmatch(name) and folder.is_dir():
            partial = folder.name != name
            (unfinished if partial else artifacts)[name] = _stored(name, folder, RECIPE if partial else RECORD)
    return Contents(root, artifacts, unfinished, tuple(_runs(reports)))


def _stored(name: str, folder: Path, record: str) -> Stored:
    files = [path.stat() for path in folder.rglob("*") if path.is_file()]
    try:
        known = json.loads((folder / record).read_text(encoding="utf-8"))
        assert isinstance(known, dict)
    except (OSError, ValueError, AssertionError):
        known = None
    used = folder.stat().st_mtime
    if folder.name.endswith(PARTIAL):
        used = max([used, *(file.st_mtime for file in files)])
    return Stored(name, folder, known, sum(file.st_size for file in files), used)


def _runs(reports: Path) -> Iterator[Run]:
    for path in sorted(reports.glob("*/summary.json")):
        try:
            summary = json.loads(path.read_text(encoding="utf-8"))
            yield Run(path.parent.name, tuple(step["name"] for step in summary["steps"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{path}: cannot be read, so what this run needs is not known; run it again or delete {path.parent}"
            ) from error


def _named(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if set(value) == {"artifact"}:
            yield str(value["artifact"])
        else:
            for member in value.values():
                yield from _named(member)
    elif isinstance(value, list):
        for member in value:
            yield from _named(member)


def remove(folder: Path) -> None:
    """Delete a folder so that a kill half-way leaves no half artifact behind."""
    going = folder.with_name(f"{GOING}{folder.name}")
    folder.rename(going)
    shutil.rmtree(going)


GOING = ".gc-"  # begins the name of what is being deleted


def mebibytes(size: float) -> str:
    """A size in words."""
    for unit in ("B", "KiB", "MiB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 10 else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
