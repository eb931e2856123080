"""Who is at work in a store: a lock for each recipe that is being computed, and one that all who use the store share.

The system takes the locks of a process that ends, however it ends.
"""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from mathse.store.artifact import BY, PARTIAL

IN_USE = ".in-use.lock"
SAY_EVERY = 60.0  # seconds between the lines of one that waits


def lock_of(final: Path) -> Path:
    """The lock of who computes this artifact."""
    return final.with_name(f".{final.name}.lock")


@contextmanager
def computing(final: Path) -> Iterator[None]:
    """Within, no other process computes this artifact. Says so while it waits for one that does, and goes on when that one ends."""
    lock = FileLock(lock_of(final))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        _wait(lock, final)
    try:
        yield
    finally:
        lock.release()


def _wait(lock: FileLock, final: Path) -> None:
    begun = time.monotonic()
    print(f"{final.name}: {doing(final)} is computing it, waiting", flush=True)
    while True:
        with suppress(Timeout):
            lock.acquire(timeout=SAY_EVERY, poll_interval=0.1)
            break
        print(f"{final.name}: waiting for {(time.monotonic() - begun) / 60:.0f} min", flush=True)
    if not final.exists():
        print(f"{final.name}: the other process ended without it, going on here", flush=True)


def doing(final: Path) -> str:
    """Who computes this artifact, in words."""
    try:
        by = json.loads((final.with_name(final.name + PARTIAL) / BY).read_text(encoding="utf-8"))
        return f"process {by['pid']} on {by['host']}{' for ' * bool(by['run'])}{by['run']}"
    except (OSError, ValueError, KeyError):
        return "another process"


def busy(final: Path) -> bool:
    """Whether a living process computes this artifact."""
    if not lock_of(final).exists():
        return False
    lock = FileLock(lock_of(final))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False


class In:
    """As long as it lives, nothing is taken out of the store. Waits, saying so, while something is."""

    def __init__(self, root: Path) -> None:
        self.file = (root / IN_USE).open("a")
        try:
            fcntl.flock(self.file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{root}: is being cleaned by another process, waiting", flush=True)
            fcntl.flock(self.file, fcntl.LOCK_SH)


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """Within, nobody else uses the store. Raises ValueError where somebody does."""
    with (root / IN_USE).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(
                f"{root}: a run is working in it; nothing is deleted while one does, ask again when it has ended"
            ) from error
        yield
