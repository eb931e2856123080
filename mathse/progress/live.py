"""The live view of a run in a terminal: stage, step, rate, time left and the accuracies so far, below the lines that are printed."""

from __future__ import annotations

import functools
import io
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from types import TracebackType
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live as Area
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from mathse.progress import Progress, View, duration

BAR = 30  # characters
Words = list[str | tuple[str, str]]  # each with its style


class Lines(io.TextIOBase):
    """A stream that gives away its text line by line, with a label before each line."""

    def __init__(self, emit: Callable[[str], object], label: str = "") -> None:
        self.emit, self.label, self.rest = emit, label, ""

    def write(self, text: str) -> int:
        *whole, self.rest = (self.rest + text).split("\n")
        for line in whole:
            self.emit(f"{self.label}{line}")
        return len(text)

    def end(self) -> None:
        """Give away what no newline followed."""
        if self.rest:
            self.write("\n")


@contextmanager
def labelled(label: str) -> Iterator[None]:
    """Within, each line that is printed begins with the label; none where it is empty."""
    if not label:
        yield
        return
    out, err = sys.stdout, sys.stderr
    streams = tuple(Lines(functools.partial(_line, stream), label) for stream in (out, err))
    with redirect_stdout(streams[0]), redirect_stderr(streams[1]):
        try:
            yield
        finally:
            for stream in streams:
                stream.end()


def _line(stream: TextIO, line: str) -> None:
    print(line, file=stream, flush=True)


class Live(View):
    """Shows progress at the bottom of the terminal as long as it is entered; whatever is printed meanwhile goes above it."""

    def __init__(self) -> None:
        super().__init__()
        self.stage = self.step = ""
        self.since = time.monotonic()
        self.scores: dict[str, float] = {}
        self.works: list[Progress] = []
        self.console = Console(file=sys.stdout, highlight=False)
        self.area = Area(
            console=self.console,
            get_renderable=self._draw,
            transient=True,
            redirect_stdout=False,  # its own way breaks long lines, and with them paths
            redirect_stderr=False,
        )
        self.streams = (Lines(self._above), Lines(self._above))
        self.open_until = ExitStack()

    def __enter__(self) -> Live:
        out, err = self.streams
        self.open_until.enter_context(redirect_stdout(out))
        self.open_until.enter_context(redirect_stderr(err))
        self.open_until.enter_context(self.area)
        self.console.show_cursor(True)  # a killed run would leave the terminal without
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for stream in self.streams:
            stream.end()
        self.open_until.close()

    def _above(self, line: str) -> None:
        self.console.print(Text(line), soft_wrap=True)

    def now(self, stage: str, step: str) -> None:
        self.stage, self.step, self.since = stage, step, time.monotonic()

    def score(self, model: str, accuracy: float) -> None:
        self.scores[model] = accuracy

    def open(self, progress: Progress) -> None:
        self.works.append(progress)

    def show(self, progress: Progress) -> None:
        pass  # drawn several times a second, from what it holds

    def close(self, progress: Progress) -> None:
        self.works.remove(progress)

    def _draw(self) -> RenderableType:
        parts: list[RenderableType] = []
        if self.step:
            since = time.monotonic() - self.since
            words: Words = [(self.job, "dim"), (self.stage, "bold"), *["  "] * bool(self.stage), self.step]
            words.append((f"  {since:.0f} s" if since < 100 else f"  {duration(since)}", "dim"))
            parts.append(Text.assemble(*words, no_wrap=True, overflow="ellipsis"))
        if self.works:
            bars = Table.grid(padding=(0, 1))
            for _ in range(5):
                bars.add_column(no_wrap=True, overflow="ellipsis")
            for work in self.works:
                bar = ProgressBar(total=work.total, completed=work.done, width=BAR)
                count = f"{work.done}/{work.total} {work.unit}"
                bars.add_row(work.label, bar, count, work.speed, Text(work.note, "dim"))
            parts.append(bars)
        if self.scores:
            scores: Words = [("accuracy", "dim")]
            for model, accuracy in self.scores.items():
                scores += [f"  {model} ", (f"{100 * accuracy:.1f}", "bold")]
            parts.append(Text.assemble(*scores, no_wrap=True, overflow="ellipsis"))
        return Group(*parts)
