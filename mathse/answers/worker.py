"""math-verify in a process of its own, which can be killed: it may hang past its own timeout or take all memory.

It is given LaTeX only: its reader of plain expressions evaluates Python code, its reader of LaTeX is a grammar.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import sys
import threading
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import TracebackType

YES, NO = b"yes", b"no"  # bytes, not objects: nothing that the worker says is unpickled


class Grader:
    """math-verify in a process of its own, which is killed and started again when a comparison takes too long.

    The process starts at the first comparison and ends with `close`, the `with` block or the program. Threads may share
    a grader: they take turns. `timeouts` counts the comparisons that were cut off.

    The time limit holds everywhere. The memory limit is Linux's (the only system here that keeps RLIMIT_AS and says in
    /proc what a process has already mapped); elsewhere a comparison may take what memory it can get in its `seconds`.
    """

    MEMORY = 2 << 30  # bytes that a comparison may take
    START = 120.0  # seconds that importing sympy may take on a busy machine

    def __init__(self, *, seconds: float = 3.0) -> None:
        self.seconds = seconds
        self.timeouts = 0
        self._lock = threading.Lock()
        self._process: SpawnProcess | None = None
        self._connection: Connection | None = None

    def __enter__(self) -> Grader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def compare(self, reference: str, answer: str) -> bool | None:
        """Whether math-verify finds two LaTeX formulas equal, or None if the limits cut it off."""
        with self._lock:
            connection = self._started()
            try:
                connection.send_bytes(json.dumps([reference, answer]).encode())
                if connection.poll(self.seconds):
                    return connection.recv_bytes() == YES
            except (EOFError, OSError):
                pass  # the worker died of its own limits, or was killed from outside
            except BaseException:
                self._stop()  # Ctrl-C between question and answer: the next one must not read this one's answer
                raise
            self.timeouts += 1
            self._stop()
            return None

    def close(self) -> None:
        """Ends the worker; a later comparison starts a new one."""
        with self._lock:
            self._stop()

    def _started(self) -> Connection:
        if self._connection and self._process and self._process.is_alive():
            return self._connection
        self._stop()
        spawn = multiprocessing.get_context("spawn")
        self._connection, theirs = spawn.Pipe()
        # a daemon, so that multiprocessing ends it when the program ends
        self._process = spawn.Process(target=_work, args=(theirs, self.MEMORY, self.seconds), daemon=True)
        self._process.start()
        theirs.close()  # else the death of the worker would not be seen as the end of the pipe
        with contextlib.suppress(EOFError, OSError):
            if self._connection.poll(self.START) and self._connection.recv_bytes() == YES:
                return self._connection
        self._stop()
        raise RuntimeError(
            "the process that compares formulas did not start (its error is printed above). Is math-verify[antlr4_9_3] "
            'installed, and does the main script guard what it runs with `if __name__ == "__main__"`?'
        )

    def _stop(self) -> None:
        if self._connection:
            self._connection.close()
        if self._process:
            self._process.kill()
            self._process.join()
        self._connection = self._process = None


def _work(connection: Connection, memory: int, seconds: float) -> None:
    """The worker: answers each pair of formulas with whether they are equal, until the other end closes."""
    import logging
    import signal

    from latex2sympy2_extended import NormalizationConfig
    from math_verify import parse, verify
    from math_verify.parser import LatexExtractionConfig

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us
    logging.disable()  # math-verify warns that its own timeouts are off
    limit_memory(memory)

    # its units are off: they would take the h from 2h
    normal = NormalizationConfig(
        basic_latex=True, units=False, malformed_operators=True, nits=True, boxed="none", equations=False
    )
    latex_only = [LatexExtractionConfig(normalization_config=normal)]

    def read(formula: str) -> list[object]:
        return list(
            parse(f"${formula}$", extraction_config=latex_only, fallback_mode="no_fallback", parsing_timeout=None)
        )

    verify(read("1"), read(r"\frac{2}{2}"), timeout_seconds=None)  # the first call builds tables
    connection.send_bytes(YES)
    with contextlib.suppress(EOFError):
        while True:
            reference, answer = json.loads(connection.recv_bytes())
            limit_time(seconds)
            same = verify(read(reference), read(answer), allow_set_relation_comp=True, timeout_seconds=None)
            connection.send_bytes(YES if same else NO)


def limit_memory(extra: int) -> None:
    """Let this process take `extra` bytes more than it has, on Linux; and leave no core file where it dies of that."""
    if sys.platform != "linux":
        return
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + extra
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def limit_time(seconds: float) -> None:
    """End this process a little after `seconds` more of computing: should the parent have been killed, nobody kills us."""
    if sys.platform == "win32":
        return
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime + seconds) + 2
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))
