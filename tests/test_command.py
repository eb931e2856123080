"""Every command ends in the same way: a mistake is one line, an interrupt too, and a reader may go away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from mathse.command import command

ROOT = Path(__file__).parent.parent
ABOUT = """
from mathse.command import command

@command
def main(words):
    {body}

raise SystemExit(main())
"""


def ended(body: str, out: int | None = subprocess.PIPE, **more: str) -> tuple[int, str]:
    """The exit status of a command that does this, and what it says on stderr."""
    done = subprocess.run(
        [sys.executable, "-c", ABOUT.format(body=body)],
        stdout=out,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **more},
        cwd=ROOT,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ("return None", 0, ""),
        ("return 1", 1, ""),
        ("raise ValueError('K should be\\n  0 or more')", 2, "mathse: K should be 0 or more\n"),
        ("open('nowhere/a.json')", 2, "mathse: nowhere/a.json: No such file or directory\n"),
        ("raise OSError(28, 'No space left', 'a')", 2, "mathse: a: No space left; free some space"),
        ("raise KeyboardInterrupt", 130, "mathse: interrupted\n"),
        ("raise SystemExit(3)", 3, ""),
        ("raise BrokenPipeError(32, 'Broken pipe')", 2, "mathse: Broken pipe\n"),  # not the one that is printed to
    ],
)
def test_a_mistake_is_one_line_and_a_status(body: str, status: int, said: str) -> None:
    code, err = ended(body)
    assert code == status
    assert err.startswith(said)
    assert err.count("\n") == bool(said)


def test_what_is_no_users_mistake_shows_its_traceback_and_a_mistake_does_so_where_it_is_asked_for() -> None:
    assert "KeyError" in ended("{}['a']")[1]
    code, err = ended("raise ValueError('x')", MATHSE_TRACEBACK="1")
    assert (code, "Traceback" in err) == (1, True)


@pytest.mark.parametrize("body", ["print('a line')", "print('x' * 100_000)", "print(1, flush=True)"])
def test_who_reads_may_stop(body: str) -> None:
    unread, written = os.pipe()
    os.close(unread)
    try:
        assert ended(body, written) == (0, "")
    finally:
        os.close(written)


def test_a_full_disk_is_one_line() -> None:
    with open("/dev/full", "w") as full:
        assert ended("print(1)", full.fileno()) == (
            2,
            "mathse: No space left on device; free some space and run the same command: it goes on where it was\n",
        )


COMMANDS = [["train.py", "--cfg", "job"], ["-m", "mathse.score", "--help"], ["experiments/stages.py", "--help"]]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_behind_head_no_command_has_a_traceback(words: Sequence[str]) -> None:
    unread, written = os.pipe()
    os.close(unread)
    done = subprocess.run([sys.executable, *words], stdout=written, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    os.close(written)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_an_interrupt_while_it_works_is_one_line() -> None:
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"  # which a background job does not
    body = f"{heard}; import time; print('up', flush=True); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", ABOUT.format(body=body)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as process:
        assert process.stdout
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.communicate()[1] == "mathse: interrupted\n"
    assert process.returncode == 130


def test_words_may_be_given_to_it() -> None:
    @command
    def count(words: Sequence[str]) -> int:
        """How many there are."""
        return len(words)

    assert (count(["a", "b"]), count.__doc__) == (2, "How many there are.")
