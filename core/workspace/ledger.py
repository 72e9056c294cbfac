"""The request ledger: a SQLite file in which every step of a request is written before the next one is taken.

Each transition and its data are one transaction, flushed to disk (`synchronous=FULL`). The ids and the salt of a request are in `pending`
until it is committed. They are then overwritten (`secure_delete`) and the write-ahead log is truncated, so that no page of the files
still holds them.

    accepted -> planned -> trained -> committed
         `---------`----------> withdrawn (the caller cancelled before training was done; the model is as it was)

Events form a hash chain, and `head` says how long it is. The chain has no secret: see `core.workspace.receipts` on what that means.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from core.errors import InputError, StoreError
from core.runtime.file_locks import utc_now
from core.workspace.receipts import canonical, commit_to, keys_digest

NEXT = {
    "accepted": {"planned", "withdrawn"},
    "planned": {"trained", "withdrawn"},
    "trained": {"committed"},
    "committed": set(),
    "withdrawn": set(),
}
MODEL = ("created", "rebuilt", "learned")  # events of the model itself, under request 0
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
    """An unfinished request: its last state, what each state recorded, its ids and salt."""

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
        """Record that the workspace was created, its model rebuilt for another environment, or samples were learned."""
        with self._transaction():
            self._append(0, state, data)
        self._checkpoint()

    def accept(self, ids: Sequence[str], salt: bytes, facts: dict | None = None) -> Pending:
        """Record a new request, with facts of the samples before it, and return it; from here on it will be completed, even after a crash.

        Raises InputError over a limit.
        """
        self._check_limits(len(ids))
        unfinished = self.pending()
        if unfinished is not None:
            raise StoreError(f"Request {unfinished.request} is not finished. Complete it before another is accepted.")
        with self._transaction():
            (last,) = self._db.execute("SELECT MAX(request) FROM events").fetchone()
            request = (last or 0) + 1
            self._db.execute("INSERT INTO pending VALUES (?, ?, ?)", (request, canonical(list(ids)), salt))
            self._append(request, "accepted", {**(facts or {}), "count": len(ids), "commitments": keys_digest(commit_to(salt, ids))})
        return self._still_pending()

    def advance(self, request: int, state: str, data: dict) -> Pending:
        """Record the next state of the pending request with its data and return it; raises StoreError out of order."""
        with self._transaction():
            self._check_order(request, state)
            self._append(request, state, data)
        return self._still_pending()

    def finish(self, request: int, state: str, data: dict) -> None:
        """Record `committed` or `withdrawn` and delete the request's ids and salt, in one transaction, then empty the log."""
        with self._transaction():
            self._check_order(request, state)
            self._append(request, state, data)
            self._db.execute("DELETE FROM pending WHERE request = ?", (request,))
        self._checkpoint()

    def pending(self) -> Pending | None:
        """Return the unfinished request, if any; raises StoreError when its ids are missing."""
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
        try:
            return Pending(row[0], events[-1].state, facts, events[0].time, tuple(json.loads(row[1])), bytes(row[2]))
        except (TypeError, ValueError) as error:
            raise StoreError(f"{self.path} is damaged: the ids of request {row[0]} cannot be read. Restore it from a copy.") from error

    def _still_pending(self) -> Pending:
        pending = self.pending()
        if pending is None:
            raise StoreError(f"{self.path} does not hold the request that was just written. Restore the file from a copy.")
        return pending

    def events(self) -> tuple[Event, ...]:
        """Return all rows of the chain, oldest first."""
        return self._events("ORDER BY seq")

    def last(self, *states: str) -> Event | None:
        """Return the newest row with one of the states."""
        newest = self._events(f"WHERE state IN ({','.join('?' * len(states))}) ORDER BY seq DESC LIMIT 1", *states)
        return newest[0] if newest else None

    def model_event(self, *states: str) -> Event:
        """Return the newest row with one of the states; raises StoreError when there is none."""
        event = self.last(*states)
        if event is None:
            raise StoreError(f"{self.path} does not say that a workspace was made here. Restore it from a copy.")
        return event

    def _events(self, which: str, *values) -> tuple[Event, ...]:
        with self._mapped():
            rows = self._db.execute(f"SELECT seq, request, state, time, data, previous, hash FROM events {which}", values).fetchall()
        try:
            return tuple(_event(row) for row in rows)
        except (TypeError, ValueError) as error:
            raise StoreError(f"{self.path} is damaged: a row is not as it was written ({error}). Restore it from a copy.") from error

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


def _event(row: tuple) -> Event:
    """Return a row as it was read; raises ValueError or TypeError for what no row holds."""
    data = json.loads(row[4])
    if [type(v) for v in (*row[:4], data, *row[5:])] != [int, int, str, str, dict, str, str]:
        raise TypeError(f"row {str(row[0])[:20]} has values of other types")
    seq, request, state, time, _, previous, own = row
    return Event(seq, request, state, time, data, previous, own)


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
