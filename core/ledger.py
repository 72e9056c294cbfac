"""The request ledger: SQLite, in which every step of a request is written before the next is taken, and a workspace's lock.

Knows requests, states and hashes; nothing of models or files. Each transition and its data are one transaction, flushed to disk
(`synchronous=FULL`). The ids and the salt of a request live in `pending` until it is committed, and are then overwritten
(`secure_delete`) and the write-ahead log is truncated, so that no page of the files still holds them.

    accepted -> planned -> trained -> committed
         `---------`----------> withdrawn (the caller cancelled before training was done; the model is as it was)

Events form a hash chain, and `head` says how long it is. The chain has no secret: see `core.receipts` on what that means.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from core.errors import InputError, StoreError
from core.receipts import canonical, commit_to, keys_digest

NEXT = {
    "accepted": {"planned", "withdrawn"},
    "planned": {"trained", "withdrawn"},
    "trained": {"committed"},
    "committed": set(),
    "withdrawn": set(),
}
MODEL = ("created", "rebuilt")  # events of the workspace itself, under request 0
GENESIS = "0" * 64
PAGE = 512  # bytes: rows of about 0.8 kB fill such pages; pages of 4 kB stay a quarter empty
_TABLES = """
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY, request INTEGER NOT NULL, state TEXT NOT NULL, time TEXT NOT NULL,
    data TEXT NOT NULL, previous TEXT NOT NULL, hash TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS pending (request INTEGER PRIMARY KEY, ids TEXT NOT NULL, salt BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS head (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, hash TEXT NOT NULL);
INSERT OR IGNORE INTO head VALUES (1, 0, '0000000000000000000000000000000000000000000000000000000000000000');
"""


@dataclass(frozen=True)
class RequestLimits:
    """The most that is accepted: ids in one request, and requests within any 60 seconds, those before a restart included."""

    ids: int = 100_000
    per_minute: int = 600


@dataclass(frozen=True)
class Event:
    """One row of the chain. Requests count from 1; 0 is the workspace itself."""

    seq: int
    request: int
    state: str
    time: str
    data: dict
    previous: str
    hash: str


@dataclass(frozen=True)
class Pending:
    """A request under way: its last state, what each state recorded, its ids and salt."""

    request: int
    state: str
    facts: dict[str, dict]
    accepted: str
    ids: tuple[str, ...]
    salt: bytes


class Ledger:
    """The ledger in one file; raises StoreError when the file cannot be read or written. `limits` may be set at any time."""

    def __init__(self, path: Path | str, limits: RequestLimits = RequestLimits()):
        self.path, self.limits = Path(path), limits
        self._lock = threading.RLock()
        with self._mapped():
            self._db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
            for pragma in (f"page_size={PAGE}", "secure_delete=ON", "synchronous=FULL", "journal_mode=WAL"):
                self._db.execute(f"PRAGMA {pragma}").fetchall()
            self._db.executescript(f"BEGIN IMMEDIATE; {_TABLES} COMMIT;")
        self._checkpoint()

    def close(self) -> None:
        """Close the file; SQLite then folds its log in."""
        with self._mapped():
            self._db.close()

    def note(self, state: str, data: dict) -> None:
        """Record that the workspace was created, or its model rebuilt for another environment."""
        with self._transaction():
            self._append(0, state, data)
        self._checkpoint()

    def accept(self, ids: Sequence[str], salt: bytes) -> Pending:
        """Record a new request and return it; from here on it will be carried out, whatever happens. Raises InputError over a limit."""
        self._check_limits(len(ids))
        if self.pending() is not None:
            raise StoreError(f"Request {self.pending().request} is not finished. Complete it before another is accepted.")
        with self._transaction():
            (last,) = self._db.execute("SELECT MAX(request) FROM events").fetchone()
            request = (last or 0) + 1
            self._db.execute("INSERT INTO pending VALUES (?, ?, ?)", (request, canonical(list(ids)), salt))
            self._append(request, "accepted", {"count": len(ids), "commitments": keys_digest(commit_to(salt, ids))})
        return self.pending()

    def advance(self, request: int, state: str, data: dict) -> Pending:
        """Record the next state of the pending request with its data and return it; raises StoreError out of order."""
        with self._transaction():
            self._check_order(request, state)
            self._append(request, state, data)
        return self.pending()

    def finish(self, request: int, state: str, data: dict) -> None:
        """Record `committed` or `withdrawn` and delete the request's ids and salt, in one transaction, then empty the log."""
        with self._transaction():
            self._check_order(request, state)
            self._append(request, state, data)
            self._db.execute("DELETE FROM pending WHERE request = ?", (request,))
        self._checkpoint()

    def pending(self) -> Pending | None:
        """Return the request under way, if any; raises StoreError when its ids are gone."""
        with self._mapped():
            row = self._db.execute("SELECT request, ids, salt FROM pending ORDER BY request").fetchone()
        if row is None:
            last = self.last("accepted", "planned", "trained", "committed", "withdrawn")
            if last and NEXT[last.state]:
                raise StoreError(f"{self.path} has lost the ids of request {last.request}, which is not finished. Restore the file.")
            return None
        events = self._events("WHERE request = ? ORDER BY seq", row[0])
        if not events:
            raise StoreError(f"{self.path} holds ids for request {row[0]}, which was never accepted. Restore the file.")
        facts = {e.state: e.data for e in events}
        return Pending(row[0], events[-1].state, facts, events[0].time, tuple(json.loads(row[1])), bytes(row[2]))

    def events(self) -> tuple[Event, ...]:
        """Return all rows of the chain, oldest first."""
        return self._events("ORDER BY seq")

    def last(self, *states: str) -> Event | None:
        """Return the newest row with one of the states."""
        found = self._events(f"WHERE state IN ({','.join('?' * len(states))}) ORDER BY seq DESC LIMIT 1", *states)
        return found[0] if found else None

    def _events(self, which: str, *values) -> tuple[Event, ...]:
        with self._mapped():
            rows = self._db.execute(f"SELECT seq, request, state, time, data, previous, hash FROM events {which}", values).fetchall()
        try:
            return tuple(Event(*row[:4], json.loads(row[4]), *row[5:]) for row in rows)
        except (TypeError, ValueError) as error:
            raise StoreError(f"{self.path} is damaged: a row's data is not JSON ({error}). Restore it from a copy.") from error

    def verify_chain(self) -> tuple[str, ...]:
        """Return what is wrong with the ledger, row by row; nothing when no row was altered, added or taken away."""
        events = self.events()
        problems = [*_broken_links(events), *_broken_order(events)]
        with self._mapped():
            head = self._db.execute("SELECT seq, hash FROM head").fetchall()
            pending = self._db.execute("SELECT request, ids, salt FROM pending").fetchall()
        end = (events[-1].seq, events[-1].hash) if events else (0, GENESIS)
        if head != [end]:
            problems.append(f"the ledger's head says {head[:2]}, but its last row is {end[0]} with hash {end[1][:12]}")
        lost = {e.request for e in events if e.request} - {e.request for e in events if not NEXT.get(e.state, {""})}
        problems += [f"the ids of request {n}, which is not finished, are gone" for n in sorted(lost - {row[0] for row in pending})]
        return tuple(problems + [p for row in pending for p in _broken_pending(row, events)])

    def _check_limits(self, ids: int) -> None:
        if ids > self.limits.ids:
            raise InputError(f"A request of {ids:,} ids is over the limit of {self.limits.ids:,}. Ask in several requests.")
        since = (datetime.now(UTC) - timedelta(minutes=1)).isoformat(timespec="milliseconds")
        with self._mapped():
            (recent,) = self._db.execute("SELECT COUNT(*) FROM events WHERE state = 'accepted' AND time > ?", (since,)).fetchone()
        if recent >= self.limits.per_minute:
            raise InputError(
                f"{recent:,} requests came within a minute, and the limit is {self.limits.per_minute:,}. Ask again in a minute."
            )

    def _check_order(self, request: int, state: str) -> None:
        row = self._db.execute("SELECT state FROM events WHERE request = ? ORDER BY seq DESC LIMIT 1", (request,)).fetchone()
        if row is None or state not in NEXT.get(row[0], ()):
            raise StoreError(f"Request {request} is {row[0] if row else 'unknown'}, so it cannot become {state}. Reopen the workspace.")

    def _append(self, request: int, state: str, data: dict) -> None:
        seq, previous = self._db.execute("SELECT seq, hash FROM head").fetchone()
        row = (seq + 1, request, state, utc_now(), canonical(data), previous)
        self._db.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", (*row, _row_hash(row)))
        self._db.execute("UPDATE head SET seq = ?, hash = ?", (seq + 1, _row_hash(row)))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._mapped():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _checkpoint(self) -> None:
        """Move the log into the database and cut it to zero bytes."""
        with self._mapped():
            busy, *_ = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise StoreError(f"{self.path} is being read by another process, so its log could not be emptied. Close that process.")

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        """One thread at a time; SQLite's errors become StoreError."""
        with self._lock:
            try:
                yield
            except sqlite3.Error as error:
                raise StoreError(
                    f"{self.path} cannot be used ({error}). Free space, make it writable, or restore it from a copy; "
                    "the step under way was not recorded."
                ) from error


def utc_now() -> str:
    """Return the time as receipts and events give it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _row_hash(row: tuple) -> str:
    return hashlib.sha256(canonical(list(row)).encode()).hexdigest()


def _broken_links(events: Sequence[Event]) -> Iterator[str]:
    previous = GENESIS
    for number, e in enumerate(events, 1):
        if e.seq != number or e.previous != previous:
            yield f"row {e.seq} does not follow the row before it"
        if e.hash != _row_hash((e.seq, e.request, e.state, e.time, canonical(e.data), e.previous)):
            yield f"row {e.seq} (request {e.request}, {e.state}) was altered"
        previous = e.hash


def _broken_order(events: Sequence[Event]) -> Iterator[str]:
    last: dict[int, str] = {}
    for e in events:
        first = e.state == "accepted" and e.request == max(last, default=0) + 1
        known = e.state in MODEL if e.request == 0 else first if e.request not in last else e.state in NEXT.get(last[e.request], ())
        if not known:
            yield f"row {e.seq}: request {e.request} became {e.state} after {last.get(e.request, 'nothing')}"
        last[e.request] = e.state
    if events and events[0].state != "created":
        yield "the ledger does not begin with the workspace's creation"


def _broken_pending(row: tuple, events: Sequence[Event]) -> Iterator[str]:
    accepted = [e for e in events if e.request == row[0] and e.state == "accepted"]
    done = any(e.request == row[0] and not NEXT.get(e.state, {""}) for e in events)
    try:
        digest = keys_digest(commit_to(bytes(row[2]), json.loads(row[1])))
    except (AttributeError, TypeError, ValueError):
        digest = "unreadable"
    if not accepted or done or accepted[0].data.get("commitments") != digest:
        yield f"the ids kept for request {row[0]} are not those that were accepted"


class WorkspaceLock:
    """Exclusive use of a folder while this object is open; the system releases it when the process dies, however it dies.

    Raises StoreError naming the holder when another has it still after `wait` seconds. Works on local file systems.
    """

    def __init__(self, path: Path, wait: float = 0.0):
        self.path, deadline = Path(path), time.monotonic() + wait
        try:
            self._file = open(path, "a+", encoding="utf-8")  # noqa: SIM115
        except OSError as error:
            raise StoreError(f"{path} cannot be written ({error.strerror}). Make the folder writable, or work on a copy.") from error
        while not _try_lock(self._file):
            if time.monotonic() >= deadline:
                message = f"{self.path.parent} is in use by {self._holder()}. Close it there, or wait longer than {wait:g} s."
                self._file.close()
                raise StoreError(message)
            time.sleep(0.02)
        self._write({"pid": os.getpid(), "host": platform.node(), "since": utc_now()})

    def _holder(self) -> str:
        self._file.seek(0)
        try:
            facts = json.loads(self._file.read())
            return f"process {facts['pid']} on {facts['host']} since {facts['since']}"
        except (ValueError, KeyError, TypeError):
            return "another process"

    def _write(self, facts: dict) -> None:
        try:
            self._file.truncate(0)
            self._file.write(json.dumps(facts))
            self._file.flush()
        except OSError as error:
            self._file.close()
            raise StoreError(f"{self.path} cannot be written ({error.strerror}). Free space and try again.") from error

    def close(self) -> None:
        """Release the folder."""
        self._file.close()


def _try_lock(file) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        file.seek(2**20)  # beyond the text, which others may then read
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
