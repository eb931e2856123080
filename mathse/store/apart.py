"""Runs one step in a process of its own, which ends when this one does, and shows its progress here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, TextIO

from mathse.progress import RELAY, relayed
from mathse.store.artifact import METRICS, PARTIAL


def in_own_process(work: Path) -> tuple[dict[str, float], dict[str, float]]:
    """The metrics and the `Work` of the step whose recipe and call are written in `work`. Raises RuntimeError where it fails."""
    command = [sys.executable, "-m", "mathse.store.run_step", str(work)]
    environment = {**os.environ, RELAY: "1", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command,
        text=True,
        env=environment,
        stdin=subprocess.PIPE,  # never written to: it ends when this process does, and the step with it
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout
        assert process.stderr
        errors = threading.Thread(target=_pass_on, args=(process.stderr, sys.stderr))
        errors.start()
        try:
            relayed(process.stdout)
        except BaseException:  # an interrupt, say
            process.kill()
            raise
        finally:
            errors.join()
    if process.returncode:
        raise RuntimeError(f"{work.name.removesuffix(PARTIAL)} failed with exit status {process.returncode}; see above")
    metrics, done = json.loads((work / METRICS).read_text())
    return metrics, done


def _pass_on(lines: IO[str], out: TextIO) -> None:
    for line in lines:
        print(line, end="", file=out, flush=True)
