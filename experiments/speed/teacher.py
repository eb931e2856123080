"""How fast is the API teacher, and does it ever ask twice? 1,000 calls to an endpoint that takes 50 ms, 64 at once.

    python experiments/speed/teacher.py [--calls 1000 --delay 0.05 --concurrency 64 --repeats 5]

Prints the time beside the ideal (whole waves of `concurrency` calls); then kills an asking process (kill -9) half way, asks again, and
counts: no call whose answer had reached the cache may be asked again. What was in flight at the kill has no answer and is asked again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from mathse.config import load
from mathse.teacher.calls import Calls
from mathse.teacher.openai import ApiTeacher
from mathse.types import Turn

ROOT = Path(__file__).parent.parent.parent


def ask(port: int, cache: str, calls: int, concurrency: int) -> tuple[float, float]:
    """Ask them all; the seconds that it took, and those of the processor."""
    import openai  # noqa: F401  (loading it is not what is measured)

    teacher = load("teacher=openai", "teacher.key_env=null", f"teacher.base_url=http://127.0.0.1:{port}/v1").teacher
    assert isinstance(teacher, ApiTeacher)
    teacher = dataclasses.replace(teacher, cache=cache, concurrency=concurrency, requests_per_minute=0)
    begun, busy = time.perf_counter(), time.process_time()
    texts = teacher([(Turn("user", f"What is {n} + {n + 1}?"),) for n in range(calls)])
    seconds, busy = time.perf_counter() - begun, time.process_time() - busy
    assert all(text.endswith(f"is {2 * n + 1}.") for n, text in enumerate(texts))
    return seconds, busy


@contextmanager
def endpoint(delay: float) -> Iterator[int]:
    """The port of an endpoint in a process of its own."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([sys.executable, str(ROOT / "tests" / "endpoint.py"), str(port), str(delay)])
    try:
        while True:
            try:
                seen(port)
                break
            except OSError:
                time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait()


def seen(port: int) -> list[dict[str, Any]]:
    """The calls that the endpoint was sent."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/seen") as reply:
        rows: list[dict[str, Any]] = json.load(reply)
    return rows


def answered(cache: str) -> int:
    """How many answers a cache holds."""
    with Calls(Path(cache)) as calls:
        return calls.count()


def killed(args: argparse.Namespace, cache: str) -> None:
    """Kill an asking process half way, go on, and say what was asked twice."""
    with endpoint(args.delay) as port:
        command = [sys.executable, __file__, "--ask", str(port), cache, "--calls", str(args.calls)]
        process = subprocess.Popen([*command, "--concurrency", str(args.concurrency)], stdout=subprocess.DEVNULL)
        while len(seen(port)) < args.calls // 2:
            time.sleep(0.01)
        process.kill()
        process.wait()
        time.sleep(2 * args.delay)
        before, kept = len(seen(port)), answered(cache)
        subprocess.run([*command, "--concurrency", str(args.concurrency)], check=True, stdout=subprocess.DEVNULL)
        rows = seen(port)
    repeated = sum(count - 1 for count in Counter(row["identity"] for row in rows).values())
    print(
        f"killed after {before} calls, {kept} of them answered and kept: {len(rows) - before} calls more, "
        f"so {len(rows) - before - (args.calls - kept)} kept answers were asked for again ({repeated} calls had been in flight)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--delay", type=float, default=0.05)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--ask", nargs=2, metavar=("PORT", "CACHE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.ask:
        print(ask(int(args.ask[0]), args.ask[1], args.calls, args.concurrency))
        return
    ideal = math.ceil(args.calls / args.concurrency) * args.delay
    with tempfile.TemporaryDirectory() as folder:
        with endpoint(args.delay) as port:
            for i in range(args.repeats):
                seconds, busy = ask(port, f"{folder}/{i}", args.calls, args.concurrency)
                times = f"{seconds:.2f} s, ideal {ideal:.2f} s, {seconds / ideal:.2f} times the ideal"
                print(f"{args.calls} calls: {times}; {busy:.2f} s of the processor")
        killed(args, f"{folder}/killed")


if __name__ == "__main__":
    main()
