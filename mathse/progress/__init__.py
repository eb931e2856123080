"""How far long work is: a live view in a terminal, a plain line now and then anywhere else."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

PLAIN_EVERY, PLAIN_SELDOM = 10.0, 60.0  # seconds between plain lines, at first and of work that takes long
RELAY = "MATHSE_RELAY"  # set where another process shows our progress (mathse/store/apart.py)
MARK = "\x01progress "  # begins a line that is for that process
RELAY_EVERY = 0.2


@dataclass
class Progress:
    """Counts what is done of `total`; `advance` it as work gets done. `done` at first is what an earlier process did."""

    label: str
    total: int
    unit: str
    done: int = 0
    note: str = ""
    before: int = 0
    begun: float = field(default_factory=time.monotonic)

    def advance(self, count: int, note: str = "") -> None:
        """`count` more are done; `note` (a loss, say) is shown at the end of the line."""
        self.done += count
        self.note = note
        if VIEW:
            VIEW.show(self)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.begun

    @property
    def speed(self) -> str:
        """In words, how many a second, or how long one takes, and how long the rest will; empty before the first is done."""
        rate = (self.done - self.before) / max(self.seconds, 1e-9)
        if not rate:
            return ""
        each = f"{rate:.1f}/s" if rate >= 1 else f"{1 / rate:.1f} s each"
        return f"{each}, {duration((self.total - self.done) / rate)} left"


class View:
    """Where progress is shown. This one prints a plain line now and then."""

    def __init__(self) -> None:
        self.job = ""  # of several, which
        self.where = ""
        self.last: dict[int, float] = {}

    def now(self, stage: str, step: str) -> None:
        """A step begins."""
        self.where = f"{stage}: " if stage else ""

    def score(self, model: str, accuracy: float) -> None:
        """A model was evaluated."""

    def open(self, progress: Progress) -> None:
        """Work begins; other work may be going on around it."""
        self.last[id(progress)] = progress.begun

    def show(self, progress: Progress) -> None:
        """Work went on."""
        now = time.monotonic()
        if now - self.last[id(progress)] > min(max(PLAIN_EVERY, progress.seconds / 10), PLAIN_SELDOM):
            self.last[id(progress)] = now
            share = f"{progress.done}/{progress.total} {progress.unit}, {progress.speed}"
            print(f"     {self.where}{progress.label}: {share}  {progress.note}".rstrip(), flush=True)

    def close(self, progress: Progress) -> None:
        """Work ended, however it ended."""
        del self.last[id(progress)]


class Relay(View):
    """Tells the process that started this one."""

    def open(self, progress: Progress) -> None:
        super().open(progress)
        self._tell(progress, open=True)

    def show(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self.last[id(progress)] > RELAY_EVERY:
            self.last[id(progress)] = now
            self._tell(progress, open=True)

    def close(self, progress: Progress) -> None:
        super().close(progress)
        self._tell(progress, open=False)

    def _tell(self, progress: Progress, *, open: bool) -> None:
        told = dataclasses.asdict(progress) | {"id": id(progress), "open": open}
        print(MARK + json.dumps(told), flush=True)


VIEW: View | None = None


@contextmanager
def viewing(view: View) -> Iterator[View]:
    """Within, progress is shown there."""
    global VIEW
    outer, VIEW = VIEW, view
    try:
        yield view
    finally:
        VIEW = outer


@contextmanager
def viewed(*, live: bool = True) -> Iterator[View]:
    """The view that is on, or else the one for where we are: live in a terminal unless told otherwise, or plain."""
    if VIEW:
        yield VIEW
    elif RELAY in os.environ:
        with viewing(Relay()) as view:
            yield view
    elif live and sys.stdout.isatty() and sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        from mathse.progress.live import Live

        with Live() as terminal, viewing(terminal):
            yield terminal
    else:
        with viewing(View()) as view:
            yield view


@contextmanager
def progress(label: str, total: int, unit: str, done: int = 0) -> Iterator[Progress]:
    """A `Progress` that is shown until the end, however it ends."""
    with viewed() as view:
        shown = Progress(label, total, unit, done, before=done)
        view.open(shown)
        try:
            yield shown
        finally:
            view.close(shown)


def relayed(lines: Iterable[str]) -> None:
    """Shows here what another process prints, its progress included."""
    known: dict[int, Progress] = {}
    with viewed() as view:
        for line in lines:
            if not line.startswith(MARK):
                print(line, end="", flush=True)
                continue
            told = json.loads(line.removeprefix(MARK))
            key, open = told.pop("id"), told.pop("open")
            told.pop("begun")  # by another clock
            if key not in known:
                known[key] = Progress(**told)
                view.open(known[key])
            known[key].done, known[key].note = told["done"], told["note"]
            view.show(known[key]) if open else view.close(known.pop(key))
        for left in known.values():  # it was killed
            view.close(left)


def duration(seconds: float) -> str:
    """A time in words: `4.2 s`, `41 s`, `12 min`, `3.4 h`, `2.1 d`."""
    if seconds < 100:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes = seconds / 60
    if minutes < 100:
        return f"{minutes:.0f} min"
    return f"{minutes / 60:.1f} h" if minutes < 48 * 60 else f"{minutes / 60 / 24:.1f} d"
