"""What all commands do alike: help, a mistake in one line, and an end without a traceback."""

from __future__ import annotations

import errno
import functools
import os
import select
import sys
from collections.abc import Callable, Sequence

# What a user or an endpoint can cause; anything else is ours, and shows its traceback.
MISTAKES = (ValueError, TypeError, OSError, RuntimeError)


def command(main: Callable[[Sequence[str]], int | None]) -> Callable[..., int]:
    """`main` as a command, called with its words (by default the command line's), whose exit status comes back.

    It is `main`'s, and without one 0; 2 after a mistake, which is said in one line (MATHSE_TRACEBACK=1 shows where it came from); 130 where
    it was interrupted. Who reads the output, as `head` does, may stop at any time.
    """

    @functools.wraps(main)
    def called(words: Sequence[str] | None = None) -> int:
        try:
            return _status(main, sys.argv[1:] if words is None else words)
        except KeyboardInterrupt:
            return _ended("interrupted", 130)
        except MISTAKES as error:
            if isinstance(error, BrokenPipeError) and unread():
                return _ended("", 0)
            if os.environ.get("MATHSE_TRACEBACK"):
                raise
            return _ended(in_a_line(error), 2)

    return called


def usage(about: str | None, words: Sequence[str]) -> None:
    """Where `words` ask for help, print what a command is about, its module's docstring, and end with status 0."""
    if {"--help", "-h"} & set(words):
        print((about or "").strip())
        raise SystemExit(0)


def in_a_line(error: BaseException) -> str:
    """An error's words in one line; an error of the system's names the file first."""
    if not isinstance(error, OSError) or not error.strerror:
        return " ".join(str(error).split())
    words = error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    if error.errno == errno.ENOSPC:
        return f"{words}; free some space and run the same command: it goes on where it was"
    if error.errno == errno.EPIPE and unread():
        return "nobody reads what is printed any more; nothing is lost, and the same command goes on where it was"
    return words


def unread() -> bool:
    """Whether stdout is a pipe whose reader has gone, as it has behind `head`."""
    poll = select.poll()
    poll.register(1, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _status(main: Callable[[Sequence[str]], int | None], words: Sequence[str]) -> int:
    try:
        status = main(words) or 0
    except SystemExit as end:  # of argparse, or after help
        if isinstance(end.code, str):
            raise
        status = end.code or 0
    sys.stdout.flush()
    return status


def _ended(words: str, status: int) -> int:
    if words:
        print(f"mathse: {words}", file=sys.stderr, flush=True)
    try:
        sys.stdout.flush()
    except OSError:  # what is left cannot be written, and Python would try again
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return status
