"""Runs a step once per recipe."""

from __future__ import annotations

import dataclasses
import inspect
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from mathse.store.apart import in_own_process, needs_weights
from mathse.store.artifact import BY, CALL, PARTIAL, RECIPE, RECORD, Artifact, changed, read_record, sha256
from mathse.store.artifact import write_json as write
from mathse.store.difference import explanation
from mathse.store.locks import In, computing
from mathse.store.recipe import canonical, name_of, recipe_of
from mathse.store.runtime import DOING, Doing, Runtime, ShareDone
from mathse.store.work import counted


class Watcher(Protocol):
    """Whoever wants to hear of steps: the reporter."""

    def step(self, artifact: Artifact, recipe: Mapping[str, Any], *, cached: bool, seconds: float) -> None:
        """A step was found or computed."""


@runtime_checkable
class Expecting(Protocol):
    """A watcher who wants to hear of a step beforehand, too: what shows where a run is."""

    def begin(self, recipe: Mapping[str, Any]) -> None:
        """A step is not in the store and is going to be computed."""


class Store:
    """A folder of artifacts. `explain` prints, for each step that has to be computed, what differs from its nearest relative;
    `name` is the run's, on whose account steps spend."""

    def __init__(
        self, root: Path, runtime: Runtime, watcher: Watcher | None = None, *, explain: bool = False, name: str = ""
    ) -> None:
        self.root = root.resolve()
        self.name = name
        self.runtime = runtime
        self.watcher = watcher
        self.explain = explain
        self.inside: In | None = None
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            probe = self.root / f".writable-{os.getpid()}"
            probe.write_text("")
            probe.unlink()
        except OSError as error:
            raise ValueError(
                f"store={root}: cannot be written ({error.strerror}); give another folder with store=…"
            ) from error

    def run(self, step: Callable[..., Mapping[str, float]], /, **inputs: Any) -> Artifact:
        """The artifact of `step(**inputs)`: found if its recipe was run before, computed otherwise."""
        self.inside = self.inside or In(self.root)
        recipe = recipe_of(step, inputs)
        name = name_of(recipe)
        final = self.root / name
        begun = time.monotonic()
        cached = True
        if not final.exists():
            if isinstance(self.watcher, Expecting):
                self.watcher.begin(recipe)
            with computing(final):
                if not final.exists():
                    cached = False
                    if self.explain:
                        print(explanation(self.root, recipe), flush=True)
                    self._compute(step, recipe, inputs, final)
        artifact = self.get(name)
        with suppress(OSError):  # another user's store
            os.utime(final)  # when it was last of use: what `python -m mathse.store gc` goes by
        if self.watcher:
            self.watcher.step(artifact, recipe, cached=cached, seconds=time.monotonic() - begun)
        return artifact

    def get(self, name: str) -> Artifact:
        """A stored artifact, its files checked against their record. Raises ValueError where one was changed or is missing."""
        folder = self.root / name
        record = read_record(folder)
        for file in changed(folder, record["files"]):
            raise ValueError(
                f"{folder / file}: missing or changed since it was made; delete {folder} and it will be computed again"
            )
        return Artifact(name, folder, record["metrics"])

    def _compute(
        self, step: Callable[..., Mapping[str, float]], recipe: dict[str, Any], inputs: Mapping[str, Any], final: Path
    ) -> None:
        work = final.with_name(final.name + PARTIAL)
        if (work / RECORD).exists():  # killed between the record and the renaming
            _settle(work, final)
            return
        resumed = work.exists()
        work.mkdir(exist_ok=True)
        write(work / RECIPE, recipe)
        write(work / BY, {"pid": os.getpid(), "host": os.uname().nodename, "run": self.name, "since": time.time()})
        begun = time.time()
        processes = self.runtime.devices if _takes_runtime(step) and needs_weights(inputs) else 1
        if self.runtime.isolate or processes > 1:
            whole = {"inputs": dict(inputs), "runtime": self.runtime, "run": self.name}
            write(work / CALL, canonical(whole, whole=True))
            metrics, done = in_own_process(work, processes)
        else:
            metrics, done = call(step, work, inputs, self.runtime, self.name)
        files = sorted(path for path in work.rglob("*") if path.is_file() and not path.name.startswith("."))
        record = {
            **recipe,
            "metrics": metrics,
            "work": done,
            "resumed": resumed,  # then work and seconds are those of the last start only
            "files": {str(path.relative_to(work)): sha256(path) for path in files},
            "seconds": round(time.time() - begun, 3),
            "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            **provenance(),
        }
        write(work / RECORD, record)
        _settle(work, final)


def _settle(work: Path, final: Path) -> None:
    for scratch in work.rglob(".*"):
        if scratch.is_file():
            scratch.unlink()
    work.rename(final)


def call(
    step: Callable[..., Mapping[str, float]], work: Path, inputs: Mapping[str, Any], runtime: Runtime, run: str
) -> tuple[dict[str, float], dict[str, float]]:
    """Call the step on the account of `run`, with `runtime` if it asks for it: its metrics, and what it did (`Work`)."""
    extra = {"runtime": runtime} if _takes_runtime(step) else {}
    token = DOING.set(Doing(run, work.name.removesuffix(".partial")))
    metrics: dict[str, float] = {}
    try:
        with counted() as done, suppress(ShareDone):
            metrics = dict(step(work, **inputs, **extra))
        return metrics, dataclasses.asdict(done)
    finally:
        DOING.reset(token)


def _takes_runtime(step: Callable[..., Any]) -> bool:
    return "runtime" in inspect.signature(step).parameters


def provenance() -> dict[str, Any]:
    """Who made it: commit, command line, versions of what computed it."""
    from importlib.metadata import PackageNotFoundError, version

    versions = {}
    for package in ("torch", "transformers", "peft", "bitsandbytes", "pytorch-lightning"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    git = subprocess.run(["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True)
    return {
        "commit": git.stdout.strip() or None,
        "command": sys.argv,
        "versions": versions,
        "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
