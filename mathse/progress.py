"""Progress of long work: a bar with rate and time left in a terminal, a plain line now and then anywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

PLAIN_EVERY = 10.0  # seconds between lines where there is no terminal


class Progress:
    """Counts what is done of `total`; `advance` it as work gets done."""

    def __init__(self, label: str, total: int, unit: str, done: int = 0) -> None:
        self.label, self.total, self.unit = label, total, unit
        self.done = self.before = done
        self.begun = self.last = time.monotonic()
        self.note = ""
        self.bar = None
        if sys.stderr.isatty():
            from tqdm import tqdm

            self.bar = tqdm(total=total, initial=done, desc=label, unit=f" {unit}", leave=False, dynamic_ncols=True)

    def advance(self, count: int, note: str = "") -> None:
        """`count` more are done; `note` (a loss, say) is shown at the end of the line."""
        self.done += count
        self.note = note
        if self.bar is not None:
            self.bar.set_postfix_str(note, refresh=False)
            self.bar.update(count)
        elif time.monotonic() - self.last > PLAIN_EVERY:
            self.last = time.monotonic()
            rate = (self.done - self.before) / (self.last - self.begun)
            left = (self.total - self.done) / rate if rate else 0.0
            print(
                f"  {self.label}: {self.done}/{self.total} {self.unit}, {rate:.1f}/s, {left:.0f} s left  {note}",
                flush=True,
            )

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


@contextmanager
def progress(label: str, total: int, unit: str, done: int = 0) -> Iterator[Progress]:
    """A `Progress` that is taken down at the end, however it ends."""
    shown = Progress(label, total, unit, done)
    try:
        yield shown
    finally:
        shown.close()
