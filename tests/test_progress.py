"""How far work is: plain lines in a file, a live view in a terminal, and what another process shows of ours."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

import pytest

from mathse import progress as shown
from mathse.progress import MARK, RELAY, View, duration, progress, relayed, viewed, viewing
from mathse.progress.live import labelled


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.04, "0.0 s"), (4.2, "4.2 s"), (41.3, "41 s"), (719, "12 min"), (12240, "3.4 h"), (181440, "2.1 d")],
)
def test_times_are_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_in_a_file_there_is_a_plain_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with viewing(View()) as view, progress("M_0 solves", 100, "problems", done=20) as work:
        view.now("stage 2, evolve, round 1 of 2", "step 12, generate M_0")
        work.advance(10)
        assert capsys.readouterr().out == ""  # not yet
        work.begun -= 10.0
        view.last[id(work)] -= 20.0
        work.advance(10, "loss 0.5")
        work.advance(1)
        assert capsys.readouterr().out == (
            "     stage 2, evolve, round 1 of 2: M_0 solves: 40/100 problems, 2.0/s, 30 s left  loss 0.5\n"
        )


def test_what_is_slow_is_told_by_the_time_that_one_takes() -> None:
    work = shown.Progress("training", 10, "steps", done=4, before=2)
    work.begun -= 10
    assert work.speed == "5.0 s each, 30 s left"


def test_before_the_first_is_done_no_rate_is_made_up() -> None:
    assert shown.Progress("training", 10, "steps", done=4, before=4).speed == ""


def test_another_process_shows_our_progress_and_what_we_print(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(RELAY, "1")
    monkeypatch.setattr(shown, "RELAY_EVERY", -1.0)
    with progress("outer", 4, "rows") as outer:
        with progress("inner", 2, "calls") as inner:
            inner.advance(2, "note")
        print("a line of the step's own")
        outer.advance(4)
    told = capsys.readouterr().out.splitlines(keepends=True)
    assert sum(line.startswith(MARK) for line in told) == 6
    monkeypatch.delenv(RELAY)

    class Seen(View):
        def __init__(self) -> None:
            super().__init__()
            self.seen: list[str] = []

        def show(self, progress: shown.Progress) -> None:
            self.seen.append(f"{progress.label} {progress.done}/{progress.total} {progress.note}".rstrip())

    with viewing(Seen()) as view:
        relayed(told[:-1])  # the last is cut off: it was killed
        assert isinstance(view, Seen)
        assert view.seen[-1] == "outer 4/4"
        assert "inner 2/2 note" in view.seen
        assert view.last == {}
    assert capsys.readouterr().out == "a line of the step's own\n"


def test_every_line_of_a_job_begins_with_its_label(capsys: pytest.CaptureFixture[str]) -> None:
    with labelled("[2/5 K=1] "):
        print("one\ntwo")
        print("half", end="")
        print("problem", file=sys.stderr)
    print("after")
    out, err = capsys.readouterr()
    assert out == "[2/5 K=1] one\n[2/5 K=1] two\n[2/5 K=1] half\nafter\n"
    assert err == "[2/5 K=1] problem\n"


def test_without_a_label_nothing_is_changed(capsys: pytest.CaptureFixture[str]) -> None:
    with labelled(""):
        print("one")
    assert capsys.readouterr().out == "one\n"


def test_a_view_that_is_on_is_taken_and_put_back() -> None:
    with viewing(View()) as outer:
        with viewed() as inner:
            assert inner is outer
        assert shown.VIEW is outer
    assert shown.VIEW is None


SCRIPT = """
import time
from mathse.progress import progress, viewed
from mathse.progress.live import labelled
with viewed() as view, labelled("[1/2 K=0] "):
    view.job = "[1/2 K=0] "
    view.score("M_0", 0.182)
    view.now("stage 2, evolve, round 1 of 2", "step 12, generate M_0")
    with progress("M_0 solves", 40, "problems") as work:
        for _ in range(4):
            work.advance(10, "a note")
            print("/a/path/" + "x" * 150 + "/end")
            time.sleep(0.4)
    view.now("", "")
print("the last line")
"""


def in_terminal(script: str, **env: str) -> str:
    """What a script writes to a terminal of 24 by 80."""
    master, slave = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=slave,
        stderr=slave,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "110", **env},
    ) as process:
        os.close(slave)
        written = b""
        while True:
            try:
                read = os.read(master, 65536)
            except OSError:  # the other end is closed
                break
            if not read:
                break
            written += read
    os.close(master)
    assert process.returncode == 0, written.decode()
    return written.decode()


def test_in_a_terminal_stage_step_rate_time_left_and_accuracies_stand_below_the_lines() -> None:
    written = in_terminal(SCRIPT)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written)
    assert "stage 2, evolve, round 1 of 2  step 12, generate M_0" in plain
    assert re.search(r"M_0 solves ━+.*\d0/40 problems \d+\.\d/s, .* left", plain)
    assert "accuracy  M_0 18.2" in plain
    assert "[1/2 K=0] /a/path/" + "x" * 150 + "/end" in plain  # a path stays whole, so that it can be copied
    assert plain.rstrip().endswith("the last line")
    assert written.rfind("\x1b[?25h") > written.rfind("\x1b[?25l")  # the cursor is there, also after a kill


def test_a_dumb_terminal_gets_plain_lines() -> None:
    assert "\x1b[" not in in_terminal(SCRIPT, TERM="dumb")
