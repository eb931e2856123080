"""Runs one step in a process of its own, or in several that share it: all end when this one does. Shows their progress here."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, TextIO

from mathse.progress import RELAY, relayed
from mathse.store.artifact import PARTIAL, metrics_of
from mathse.store.runtime import RANK
from mathse.store.work import COUNTS


def needs_weights(value: Any) -> bool:
    """Whether there is a backbone, whose weights are loaded here, in what a step is given."""
    if isinstance(value, Mapping):
        return any(map(needs_weights, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(needs_weights, value))
    if not dataclasses.is_dataclass(value):
        return False
    parts = [getattr(value, field.name) for field in dataclasses.fields(value)]
    return (hasattr(value, "shape") and hasattr(value, "load")) or any(map(needs_weights, parts))


def in_own_process(work: Path, processes: int) -> tuple[dict[str, float], dict[str, float]]:
    """The metrics and the `Work` of the step whose recipe and call are written in `work`. Raises RuntimeError where it fails:
    where one of the processes does, the others are ended."""
    port = _free_port()
    ranks = [_start(work, rank, processes, port) for rank in range(processes)]
    first = ranks[0]
    assert first.stdout
    assert first.stderr
    said: list[str] = []
    threads = [threading.Thread(target=_pass_on, args=(first.stderr, sys.stderr, said))]
    threads += [threading.Thread(target=_watch, args=(process, ranks)) for process in ranks]
    for thread in threads:
        thread.start()
    try:
        relayed(first.stdout)
    except BaseException:  # an interrupt, say
        for process in ranks:
            process.kill()
        raise
    finally:
        for thread in threads:
            thread.join()
        for process in ranks:
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream:
                    stream.close()
    failed = [process.returncode for process in ranks if process.returncode]
    if failed:
        for rank in range(1, processes):
            words = _errors(work, rank).read_text(encoding="utf-8", errors="replace")
            if words not in "".join(said):
                print(words, end="", file=sys.stderr, flush=True)
        status = max(failed)  # not that of one that was ended, which is below 0
        raise RuntimeError(f"{work.name.removesuffix(PARTIAL)} failed with exit status {status}; see above")
    metrics, _ = json.loads(metrics_of(work, 0).read_text())
    done = [json.loads(metrics_of(work, rank).read_text())[1] for rank in range(processes)]
    return metrics, {name: sum(some[name] for some in done) for name in COUNTS}


def _start(work: Path, rank: int, processes: int, port: int) -> subprocess.Popen[str]:
    environment = {**os.environ, RELAY: "1", "PYTHONUNBUFFERED": "1"}
    if processes > 1:  # the last four for Lightning, which starts none where it finds them
        environment[RANK] = f"{rank}/{processes}"
        environment |= {"LOCAL_RANK": str(rank), "NODE_RANK": "0"}
        environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    shown = rank == 0
    with _errors(work, rank).open("w") as errors:
        return subprocess.Popen(
            [sys.executable, "-m", "mathse.store.run_step", str(work)],
            text=True,
            env=environment,
            stdin=subprocess.PIPE,  # never written to: it ends when this process does, and the step with it
            stdout=subprocess.PIPE if shown else subprocess.DEVNULL,
            stderr=subprocess.PIPE if shown else errors,
        )


def _errors(work: Path, rank: int) -> Path:
    return work / f".errors-{rank}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _watch(process: subprocess.Popen[str], ranks: list[subprocess.Popen[str]]) -> None:
    if process.wait():
        for other in ranks:
            other.kill()


def _pass_on(lines: IO[str], out: TextIO, said: list[str]) -> None:
    for line in lines:
        said.append(line)
        print(line, end="", file=out, flush=True)
