"""The store: a step runs once per recipe, and the directory that holds what it left is named by the hash of that recipe.

- A recipe is the step's name and version, its settings, and the names of the artifacts it reads: a Merkle chain of JSON
  that people can read (`record.json`). Everything the caller gives a step is identity.
- What the store itself hands to a step (where to write, `runtime`: device, batch size) never is, nor are the fields that a
  settings class names in its `execution`: an endpoint, a limit, a budget.
- A step works in `<name>.partial`, which survives a kill so that long steps go on inside it. Files whose name begins with
  a dot are its scratch; they go once the record is written, which comes last; then the directory is renamed.
- A lock lets two processes that want one recipe compute it once.
- What has no stable identity (a function, a tensor, a path) cannot be part of a recipe.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib
import inspect
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from filelock import FileLock, Timeout

from mathse.settings import settings
from mathse.work import counted

RECORD = "record.json"
RECIPE, CALL, METRICS = ".recipe.json", ".call.json", ".metrics.json"  # in the work directory only


@settings
class Runtime:
    """Where and how steps run, never what they compute: no part of any recipe.

    `device`: cpu or cuda; `threads`: of torch, 0 = all cores; `batch_size`: chats decoded together; `isolate`: every
    step in a process of its own (frees GPU memory, keeps DDP away from the algorithm); `unfold`: generate with plain float
    layers that hold what the 4-bit ones compute (fast, but needs their memory); `recompute`: fine-tuning keeps only each
    layer's input and computes the rest again on the way back (gradient checkpointing: a third more work, much less memory);
    `save_every`: seconds between checkpoints.
    """

    device: str
    threads: int
    batch_size: int
    isolate: bool
    unfold: bool
    recompute: bool
    save_every: float


@dataclass(frozen=True)
class Artifact:
    """What a step left: its directory, named by the recipe's hash, and the metrics it returned."""

    name: str
    path: Path = dataclasses.field(compare=False)
    metrics: Mapping[str, float] = dataclasses.field(default_factory=dict, compare=False)

    @property
    def step(self) -> str:
        return self.name.rpartition("-")[0]


@dataclass(frozen=True)
class Doing:
    """Which step of which run is being computed: who pays for what is bought meanwhile."""

    run: str = ""
    step: str = ""


NOTHING = Doing()
DOING: ContextVar[Doing] = ContextVar("DOING", default=NOTHING)


class Watcher(Protocol):
    """Whoever wants to hear of steps: the reporter."""

    def step(self, artifact: Artifact, recipe: Mapping[str, Any], *, cached: bool, seconds: float) -> None: ...


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
        recipe = recipe_of(step, inputs)
        name = name_of(recipe)
        final = self.root / name
        begun = time.monotonic()
        cached = True
        if not final.exists():
            with self._lock(name):
                if not final.exists():
                    cached = False
                    if self.explain:
                        print(self.explanation(recipe), flush=True)
                    self._compute(step, recipe, inputs, final)
        artifact = self.get(name)
        if self.watcher:
            self.watcher.step(artifact, recipe, cached=cached, seconds=time.monotonic() - begun)
        return artifact

    def get(self, name: str) -> Artifact:
        """A stored artifact, its files checked against their record. Raises ValueError where one was changed or is missing."""
        folder = self.root / name
        try:
            record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
            files: dict[str, str] = record["files"]
            metrics = record["metrics"]
        except (OSError, ValueError, KeyError) as error:
            raise ValueError(
                f"{folder / RECORD}: missing or broken; delete {folder} and it will be computed again"
            ) from error
        for file, digest in files.items():
            path = folder / file
            if not path.is_file() or _sha256(path) != digest:
                raise ValueError(
                    f"{path}: missing or changed since it was made; delete {folder} and it will be computed again"
                )
        return Artifact(name, folder, metrics)

    @contextmanager
    def _lock(self, name: str) -> Iterator[None]:
        lock = FileLock(self.root / f".{name}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            print(f"{name}: another process is computing it, waiting", flush=True)
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def _compute(
        self, step: Callable[..., Mapping[str, float]], recipe: dict[str, Any], inputs: Mapping[str, Any], final: Path
    ) -> None:
        work = final.with_name(final.name + ".partial")
        resumed = work.exists()
        if (work / RECORD).exists():  # killed between the record and the renaming
            _settle(work, final)
            return
        work.mkdir(exist_ok=True)
        _write_json(work / RECIPE, recipe)
        begun = time.time()
        if self.runtime.isolate:
            metrics, done = self._in_own_process(work, inputs)
        else:
            metrics, done = call(step, work, inputs, self.runtime, self.name)
        files = sorted(path for path in work.rglob("*") if path.is_file() and not path.name.startswith("."))
        record = {
            **recipe,
            "metrics": metrics,
            "work": done,
            "resumed": resumed,  # then work and seconds are those of the last start only
            "files": {str(path.relative_to(work)): _sha256(path) for path in files},
            "seconds": round(time.time() - begun, 3),
            "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            **provenance(),
        }
        _write_json(work / RECORD, record)
        _settle(work, final)

    def _in_own_process(self, work: Path, inputs: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, float]]:
        whole = {"inputs": dict(inputs), "runtime": self.runtime, "run": self.name}
        _write_json(work / CALL, canonical(whole, whole=True))
        done = subprocess.run([sys.executable, "-m", "mathse.run_step", str(work)])
        if done.returncode:
            raise RuntimeError(
                f"{work.name.removesuffix('.partial')} failed with exit status {done.returncode}; see above"
            )
        metrics, done = json.loads((work / METRICS).read_text())
        return metrics, done

    def explanation(self, recipe: Mapping[str, Any]) -> str:
        """Which parts of `recipe` differ from the stored recipe of the same step that is nearest to it."""
        wanted = dict(_leaves(recipe))
        nearest: tuple[int, str, dict[str, Any]] | None = None
        for path in sorted(self.root.glob(f"{recipe['step'].rpartition('.')[2]}-*/{RECORD}")):
            stored = json.loads(path.read_text(encoding="utf-8"))
            found = dict(_leaves({key: stored.get(key) for key in recipe}))
            differ = {
                key: (found.get(key), wanted.get(key))
                for key in {**found, **wanted}
                if found.get(key) != wanted.get(key)
            }
            if nearest is None or len(differ) < nearest[0]:
                nearest = (len(differ), path.parent.name, differ)
        if nearest is None:
            return f"{name_of(recipe)}: no such step is stored yet"
        lines = [f"  {key}: {old!r} -> {new!r}" for key, (old, new) in sorted(nearest[2].items())]
        return "\n".join([f"{name_of(recipe)}: differs from {nearest[1]} in", *lines])


def _settle(work: Path, final: Path) -> None:
    for scratch in work.rglob(".*"):
        if scratch.is_file():
            scratch.unlink()
    work.rename(final)


def call(
    step: Callable[..., Mapping[str, float]], work: Path, inputs: Mapping[str, Any], runtime: Runtime, run: str
) -> tuple[dict[str, float], dict[str, float]]:
    """Call the step on the account of `run`, with `runtime` if it asks for it: its metrics, and what it did (`Work`)."""
    extra = {"runtime": runtime} if "runtime" in inspect.signature(step).parameters else {}
    token = DOING.set(Doing(run, work.name.removesuffix(".partial")))
    try:
        with counted() as done:
            return dict(step(work, **inputs, **extra)), dataclasses.asdict(done)
    finally:
        DOING.reset(token)


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


def _leaves(value: Any, prefix: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return [
            leaf for key, member in value.items() for leaf in _leaves(member, f"{prefix}.{key}" if prefix else str(key))
        ]
    if isinstance(value, list):
        return [leaf for i, member in enumerate(value) for leaf in _leaves(member, f"{prefix}[{i}]")]
    return [(prefix, value)]


def _write_json(path: Path, data: Any) -> None:
    with path.with_suffix(".tmp").open("w", encoding="utf-8") as out:
        json.dump(data, out, ensure_ascii=False, indent=1)
        out.flush()
        os.fsync(out.fileno())
    path.with_suffix(".tmp").replace(path)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
