"""A sweep of Hydra's (`-m`, or `sweep=…`): which jobs it has, the label of each, and the table at its end.

Jobs may run in processes of their own, or on machines of their own that see the same folder: each leaves what became of it in a file.
"""

from __future__ import annotations

import json
import os
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.experimental.callback import Callback

from mathse.progress import duration
from mathse.report.files import write_text
from mathse.report.run import JOBS
from mathse.report.text import aligned

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override
    from omegaconf import DictConfig

FOLDER = "MATHSE_SWEEP"  # the variable that tells jobs, wherever they run, where the sweep's folder is
GROUP = "MATHSE_GROUP"  # and the one that conf/tracker takes their group from
TABLE = "sweep.md"
LONGEST = 80  # characters of what went wrong in the table; the whole stands above it


class Sweep(Callback):
    """Hydra calls it: lists the sweep's jobs in a folder before the first of them starts."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        folder = Path(config.hydra.sweep.dir) / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
        try:
            folder.mkdir(parents=True)
        except OSError:  # Hydra would make a warning of it, and cannot write there itself next, which is said
            return
        given = [f"{key}={value}" for key, value in (config.hydra.sweeper.get("params") or {}).items()]
        words = parsed([*given, *config.hydra.overrides.task])
        write_text(folder / JOBS, json.dumps(jobs(words), indent=1) + "\n")
        os.environ[FOLDER] = str(folder.resolve())
        swept = [str(word.input_line) for word in words if word.is_sweep_override()]
        os.environ.setdefault(GROUP, " ".join(["sweep", *swept])[:120])


def parsed(overrides: Sequence[str]) -> list[Override]:
    """The overrides as Hydra understands them."""
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.override_parser.overrides_parser import OverridesParser

    return OverridesParser.create(GlobalHydra.instance().config_loader()).parse_overrides(list(overrides))


def jobs(overrides: list[Override]) -> list[list[str]]:
    """The jobs of a sweep in order, each as the overrides in which it differs from others."""
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    (batch,) = BasicSweeper.split_arguments(overrides, None)
    return [[word for i, word in enumerate(job) if len({other[i] for other in batch}) > 1] for job in batch]


def folder() -> Path | None:
    """The folder of the sweep that is going on, if one is."""
    return Path(os.environ[FOLDER]) if FOLDER in os.environ else None


def label(number: int) -> str:
    """What tells the lines of a job (from 0) from those of others: `[2/5 K=1] `; empty outside of sweeps."""
    at = folder()
    if at is None:
        return ""
    known = json.loads((at / JOBS).read_text(encoding="utf-8"))
    return f"[{' '.join([f'{number + 1}/{len(known)}', *known[number]])}] "


@contextmanager
def outcome(number: int) -> Iterator[dict[str, Any]]:
    """What became of a job, to be filled in; it is kept in the sweep's folder, with the time that the job took."""
    at, since = folder(), time.monotonic()
    told: dict[str, Any] = {}
    _keep(at, number, {"failed": "did not end"})  # its process may be killed
    try:
        yield told
    except BaseException:
        told.setdefault("failed", "interrupted")
        raise
    finally:
        _keep(at, number, told | {"seconds": round(time.monotonic() - since, 1)})


def _keep(at: Path | None, number: int, told: Mapping[str, Any]) -> None:
    if at:
        write_text(at / f"{number}.json", json.dumps(told) + "\n")


def begun(at: Path) -> bool:
    """Whether any job of the sweep was begun."""
    return any(at.glob("[0-9]*.json"))


def closing(at: Path) -> tuple[str, int]:
    """The table at the end of a sweep, which is written to its folder too, and how many of its jobs did not end well."""
    known = json.loads((at / JOBS).read_text(encoding="utf-8"))
    rows = [["job", "differs in", "outcome", "model", "accuracy", "95% interval", "computed", "time"]]
    failed = 0
    for i, words in enumerate(known):
        path = at / f"{i}.json"
        told = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"failed": "was not begun"}
        failed += "failed" in told
        rows.append([str(i + 1), " ".join(words), *_cells(told)])
    text = aligned(rows)
    write_text(at / TABLE, "\n".join(["# Sweep", "", "```", text, "```", ""]))
    return text, failed


def comparing(at: Path) -> str:
    """The command that shows the runs of a sweep side by side; empty where no job left one."""
    told = [json.loads(path.read_text(encoding="utf-8")) for path in at.glob("[0-9]*.json")]
    here = at.relative_to(Path.cwd()) if at.is_relative_to(Path.cwd()) else at
    command = shlex.join(["python", "-m", "mathse.report", str(here), f"out={here / 'report'}"])
    return command if any(job.get("summary") for job in told) else ""


def _cells(told: Mapping[str, Any]) -> list[str]:
    took = duration(told["seconds"]) if "seconds" in told else ""
    if "failed" in told:
        why = told["failed"]
        return [f"failed: {why if len(why) <= LONGEST else f'{why[:LONGEST]} …'}", "", "", "", "", took]
    if not told.get("summary"):  # dry_run=true
        return ["done", "", "", "", "", took]
    summary = json.loads(Path(told["summary"]).read_text(encoding="utf-8"))
    last = summary["models"][-1]
    low, high = last["ci95"]
    computed = sum(not step["cached"] for step in summary["steps"])
    return [
        "done",
        last["name"],
        f"{100 * last['accuracy']:.1f}",
        f"{100 * low:.1f} to {100 * high:.1f}",
        f"{computed} of {len(summary['steps'])} steps",
        took,
    ]
