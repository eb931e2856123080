"""Every answered call, kept, and what it cost: one SQLite file that all steps and processes of a store share.

- An answer is stored in the transaction that books its price: no call is paid for unseen, and none is asked again, kill -9 included.
- A call in flight holds a reservation of the most that it can cost. So whatever comes back, no cap is passed.
- A process that dies leaves its reservations. They count as spent (`lost`): the endpoint may have answered and charged.
- Limits (concurrency, requests and tokens a minute, an endpoint's `retry-after`) are kept here too, for all processes together.

Write-ahead logging with one sync per checkpoint: a killed process loses nothing, a power cut at most the last moments.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sqlite3
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal

from filelock import FileLock, Timeout

from mathse.store import Doing
from mathse.teacher.pace import Bucket, take
from mathse.teacher.wire import Answer

DATABASE = "calls.sqlite"
TABLES = """
CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, text TEXT, ended TEXT, model TEXT,
    tokens_in INTEGER, tokens_cached INTEGER, tokens_out INTEGER, counted INTEGER);
CREATE TABLE IF NOT EXISTS spent (run TEXT, step TEXT, calls INTEGER, tokens_in INTEGER, tokens_cached INTEGER,
    tokens_out INTEGER, truncated INTEGER, refused INTEGER, dollars REAL, lost REAL, PRIMARY KEY (run, step));
CREATE TABLE IF NOT EXISTS flying (key TEXT PRIMARY KEY, owner TEXT, run TEXT, step TEXT, dollars REAL);
CREATE TABLE IF NOT EXISTS buckets (name TEXT PRIMARY KEY, level REAL, at REAL);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value REAL);
CREATE TABLE IF NOT EXISTS batches (name TEXT PRIMARY KEY, id TEXT, url TEXT);
CREATE TABLE IF NOT EXISTS batched (key TEXT PRIMARY KEY, batch TEXT, run TEXT, step TEXT, dollars REAL);
"""
SUMS = ("calls", "tokens_in", "tokens_cached", "tokens_out", "truncated", "refused", "dollars", "lost")
BOOK = (
    f"INSERT INTO spent (run, step, {', '.join(SUMS)}) VALUES ({', '.join('?' * (2 + len(SUMS)))}) "
    f"ON CONFLICT (run, step) DO UPDATE SET {', '.join(f'{name} = {name} + excluded.{name}' for name in SUMS)}"
)
STATE = """SELECT (SELECT 1 FROM answers WHERE key = ?), (SELECT 1 FROM flying WHERE key = ?),
    (SELECT count(*) FROM flying), (SELECT value FROM facts WHERE name = 'hold until')"""
GONE = """SELECT (SELECT total(dollars) + total(lost) FROM spent WHERE {column} = ?),
    (SELECT total(dollars) FROM flying WHERE {column} = ?), (SELECT total(dollars) FROM batched WHERE {column} = ?)"""
ELSE = """SELECT 1 FROM answers WHERE key = ? UNION ALL SELECT 1 FROM flying WHERE key = ?
    UNION ALL SELECT 1 FROM batched WHERE key = ?"""
ELSEWHERE = 0.05  # seconds between looks at what another process does
SWEEP_EVERY = 1.0


Way = Literal["flying", "batched"]  # how a call that has no answer yet is on its way


class Spent(RuntimeError):
    """The next call could pass a cap."""


@dataclass(frozen=True)
class Limits:
    """0 requests or tokens a minute are no limit; a cap of None is none. `step` is the cap of the step in progress."""

    concurrency: int
    requests: int
    tokens: int
    run_usd: float | None = None
    step_usd: float | None = None


class Calls:
    """The file, open. Close it, or use it in a `with`: while it is open, its calls in flight are known to be alive."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / DATABASE
        self.owner = uuid.uuid4().hex
        try:
            (folder / "alive").mkdir(parents=True, exist_ok=True)
            self._alive = self._lock_of(self.owner)
            self._alive.acquire()
            self.db = sqlite3.connect(self.path, timeout=60, isolation_level=None)
            with FileLock(folder / "alive" / "opening"):  # SQLite does not wait its turn for a change of the journal
                self.db.execute("PRAGMA journal_mode=WAL")
                self.db.executescript(TABLES)
            self.db.execute("PRAGMA synchronous=NORMAL")
            self.sweep()
        except (OSError, sqlite3.Error) as error:
            raise ValueError(
                f"{self.path}: cannot be used ({error}); give another folder with teacher.cache=…"
            ) from None

    def __enter__(self) -> Calls:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Calls still in flight count as lost from now on."""
        self.db.close()
        self._alive.release()
        Path(self._alive.lock_file).unlink(missing_ok=True)

    def _lock_of(self, owner: str) -> FileLock:
        return FileLock(self.folder / "alive" / f"{owner}.lock")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield self.db
            self.db.execute("COMMIT")
        except sqlite3.Error as error:
            raise OSError(f"{self.path}: {error}; what was answered is kept") from None
        finally:
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")

    # ---- answers ----

    def find(self, key: str) -> Answer | None:
        """The stored answer."""
        row = self.db.execute(
            "SELECT text, ended, model, tokens_in, tokens_cached, tokens_out, counted FROM answers WHERE key = ?",
            (key,),
        ).fetchone()
        return Answer(*row) if row else None

    def count(self) -> int:
        """How many answers are stored."""
        count: int = self.db.execute("SELECT count(*) FROM answers").fetchone()[0]
        return count

    def known(self, fact: str) -> bool:
        """Whether `learn` was told this of an endpoint."""
        return self.db.execute("SELECT 1 FROM facts WHERE name = ?", (fact,)).fetchone() is not None

    def learn(self, fact: str) -> None:
        self.db.execute("INSERT OR IGNORE INTO facts VALUES (?, 1)", (fact,))

    # ---- one call ----

    def admit(self, key: str, payer: Doing, most: float, tokens: int, limits: Limits) -> Answer | float:
        """The answer if there is one by now; else the seconds to wait before asking again; 0: the call may be sent.

        A call that may be sent is in flight until `settle` or `fail`. Raises Spent where it could pass a cap, though nothing that is in
        flight could still turn out cheaper.
        """
        with self._transaction() as db:
            answered, taken, flying, held = db.execute(STATE, (key, key)).fetchone()
            if answered:
                found = self.find(key)
                assert found is not None
                return found
            wait = max(0.0, (held or 0.0) - time.time())
            if taken or flying >= limits.concurrency:
                wait = ELSEWHERE
            wait = wait or self._room(payer, most, limits) or self._paced(tokens, limits)
            if not wait:
                row = (key, self.owner, payer.run, payer.step, most)
                db.execute("INSERT INTO flying VALUES (?, ?, ?, ?, ?)", row)
        if wait and time.monotonic() - self._swept > SWEEP_EVERY:
            self.sweep()
        return wait

    def _room(self, payer: Doing, most: float, limits: Limits) -> float:
        """0 if `most` more dollars pass no cap, a wait if they may pass none once what is in flight is known. Raises Spent."""
        for setting, cap, gone, reserved in self._caps(payer, limits):
            if gone + most > cap:
                raise Spent(
                    f"{setting}={cap:g}: {gone:.4f} dollars are spent and the next call could cost {most:.4f}, so it is not sent. "
                    f"All answers are kept; raise {setting} and run the same command to go on"
                )
            if gone + reserved + most > cap:
                return ELSEWHERE
        return 0.0

    def _caps(self, payer: Doing, limits: Limits) -> Iterator[tuple[str, float, float, float]]:
        """Each cap that holds: its setting, dollars, what is gone of it, and what is reserved for calls in flight."""
        word = payer.step.rpartition("-")[0]
        for setting, column, value, cap in (
            ("teacher.budget_usd", "run", payer.run, limits.run_usd),
            (f"teacher.step_budgets_usd.{word}", "step", payer.step, limits.step_usd),
        ):
            if cap is not None:
                gone, flying, batched = self.db.execute(GONE.format(column=column), (value,) * 3).fetchone()
                yield setting, cap, gone, flying + batched

    def _paced(self, tokens: int, limits: Limits) -> float:
        now = time.time()
        taken = []
        for name, amount, per_minute in (("requests", 1, limits.requests), ("tokens", tokens, limits.tokens)):
            if per_minute:
                row = self.db.execute("SELECT level, at FROM buckets WHERE name = ?", (name,)).fetchone()
                bucket, wait = take(Bucket(*row) if row else None, amount, per_minute, now)
                if wait:
                    return wait
                taken.append((name, bucket.level, bucket.at))
        if taken:
            self.db.executemany("INSERT OR REPLACE INTO buckets VALUES (?, ?, ?)", taken)
        return 0.0

    def settle(
        self, key: str, payer: Doing, answer: Answer, dollars: float, *, unused: int = 0, way: Way = "flying"
    ) -> None:
        """Store the answer and book what it cost, at once. `unused` tokens of what was taken from the minute go back."""
        with self._transaction() as db:
            db.execute(f"DELETE FROM {way} WHERE key = ?", (key,))
            row = (key, *dataclasses.astuple(answer))
            db.execute("INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
            cut, refused = answer.ended == "length", answer.ended == "refused"
            counts = (answer.tokens_in, answer.tokens_cached, answer.tokens_out)
            self._book(payer, (1, *counts, cut, refused, dollars, 0.0))
            if unused:
                db.execute("UPDATE buckets SET level = level + ? WHERE name = 'tokens'", (unused,))

    def fail(self, key: str, payer: Doing, lost: float, *, way: Way = "flying") -> None:
        """The call in flight brought no answer, and the endpoint may have charged `lost` dollars for it."""
        with self._transaction() as db:
            db.execute(f"DELETE FROM {way} WHERE key = ?", (key,))
            if lost:
                self._book(payer, (0, 0, 0, 0, 0, 0, 0.0, lost))

    def hold(self, seconds: float) -> None:
        """No process sends a call for so long: the endpoint asked for it."""
        self.db.execute(
            "INSERT INTO facts VALUES ('hold until', ?) ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)",
            (time.time() + seconds,),
        )

    def alive(self, owner: str) -> bool:
        """Whether the process that named itself so still runs."""
        if owner == self.owner:
            return True
        try:
            with self._lock_of(owner).acquire(timeout=0):
                return False
        except Timeout:
            return True

    def sweep(self) -> None:
        """What processes that are no more had in flight is no longer in flight, and counts as lost."""
        self._swept = time.monotonic()
        for (owner,) in self.db.execute("SELECT DISTINCT owner FROM flying").fetchall():
            if owner == self.owner:
                continue
            lock = self._lock_of(owner)
            with contextlib.suppress(Timeout), lock.acquire(timeout=0), self._transaction() as db:
                for run, step, dollars in db.execute(
                    "SELECT run, step, dollars FROM flying WHERE owner = ?", (owner,)
                ).fetchall():
                    self._book(Doing(run, step), (0, 0, 0, 0, 0, 0, 0.0, dollars))
                db.execute("DELETE FROM flying WHERE owner = ?", (owner,))
                Path(lock.lock_file).unlink(missing_ok=True)

    def _book(self, payer: Doing, amounts: tuple[float, ...]) -> None:
        self.db.execute(BOOK, (payer.run, payer.step, *amounts))

    # ---- batches ----

    def pack(self, name: str, url: str, calls: Mapping[str, float], payer: Doing, limits: Limits) -> list[str]:
        """The keys of as many of the calls (key: most dollars) as no cap forbids, reserved for a batch that is about to be sent.

        What is answered, in flight or in a batch already is left out. Raises Spent where a cap leaves room for none, and nothing is
        on its way that could make some.
        """
        with self._transaction() as db:
            left = min(
                (cap - gone - reserved for _, cap, gone, reserved in self._caps(payer, limits)), default=float("inf")
            )
            keys: list[str] = []
            for key, most in calls.items():
                if db.execute(ELSE, (key,) * 3).fetchone():
                    continue
                if most > left:
                    if not keys:
                        self._room(payer, most, limits)
                    break
                left -= most
                keys.append(key)
                db.execute("INSERT INTO batched VALUES (?, ?, ?, ?, ?)", (key, name, payer.run, payer.step, most))
            if keys:
                db.execute("INSERT INTO batches VALUES (?, NULL, ?)", (name, url))
        return keys

    def sent(self, name: str, remote: str) -> None:
        """The endpoint has the batch, under this id."""
        self.db.execute("UPDATE batches SET id = ? WHERE name = ?", (remote, name))

    def batches(self) -> list[tuple[str, str | None, str]]:
        """The batches on their way: our name, the endpoint's id (None: perhaps not sent), and where they were sent."""
        return self.db.execute("SELECT name, id, url FROM batches").fetchall()

    def packed(self, name: str) -> dict[str, tuple[Doing, float]]:
        """The keys of a batch that nothing came back for yet: who pays, and the most that it can cost."""
        rows = self.db.execute("SELECT key, run, step, dollars FROM batched WHERE batch = ?", (name,)).fetchall()
        return {key: (Doing(run, step), dollars) for key, run, step, dollars in rows}

    def unpack(self, name: str) -> None:
        """The batch is over; what it did not answer can be asked again."""
        with self._transaction() as db:
            db.execute("DELETE FROM batched WHERE batch = ?", (name,))
            db.execute("DELETE FROM batches WHERE name = ?", (name,))

    # ---- money ----

    def spent(self, *, run: str | None = None, step: str | None = None) -> Mapping[str, float]:
        """What was asked and paid, by one run or for one step, by all tries together."""
        column, value = ("run", run) if run is not None else ("step", step)
        sums = ", ".join(f"total({name})" for name in SUMS)
        row = self.db.execute(f"SELECT {sums} FROM spent WHERE {column} = ?", (value,)).fetchone()
        return dict(zip(SUMS, row, strict=True))
