import datetime
import sqlite3

import pytest

from core.errors import InputError, StoreError
from core.workspace import ledger as ledger_module
from core.workspace.ledger import Ledger, RequestLimits

SALT = bytes(range(32))
IDS = tuple(f"{n:064x}-0" for n in range(10**20, 10**20 + 400))


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.note("created", {"root": "a"})
    yield ledger
    ledger.close()


def finish(ledger: Ledger, ids=IDS[:2]) -> int:
    request = ledger.accept(ids, SALT).request
    ledger.advance(request, "planned", {"root_before": "a"})
    ledger.advance(request, "trained", {"root": "b"})
    ledger.finish(request, "committed", {"receipt": {"n": request}})
    return request


def everything(ledger: Ledger) -> bytes:
    return b"".join(p.read_bytes() for p in ledger.path.parent.iterdir() if p.is_file())


def test_a_request_goes_its_way(ledger):
    assert ledger.pending() is None
    pending = ledger.accept(IDS[:2], SALT)
    assert (pending.request, pending.state, pending.ids, pending.salt) == (1, "accepted", IDS[:2], SALT)
    pending = ledger.advance(1, "planned", {"plan": 7})
    assert ledger.advance(1, "trained", {}).facts["planned"] == {"plan": 7}
    ledger.finish(1, "committed", {})
    assert ledger.pending() is None
    assert finish(ledger) == 2
    assert [e.state for e in ledger.events() if e.request == 1] == ["accepted", "planned", "trained", "committed"]
    assert ledger.verify_chain() == ()


def test_a_request_over_the_limit_is_refused_unrecorded(ledger):
    ledger.limits = RequestLimits(ids=2)
    with pytest.raises(InputError, match="A request of 3 ids is over the limit of 2"):
        ledger.accept(IDS[:3], SALT)
    assert ledger.pending() is None
    assert finish(ledger) == 1


def test_requests_that_come_too_fast_are_refused_until_a_minute_is_over(ledger, monkeypatch):
    ledger.limits = RequestLimits(per_minute=2)
    assert [finish(ledger), finish(ledger)] == [1, 2]
    with pytest.raises(InputError, match="2 requests came within a minute, and the limit is 2"):
        finish(ledger)
    again = Ledger(ledger.path, RequestLimits(per_minute=2))  # a restart does not help
    with pytest.raises(InputError, match="Ask again in a minute"):
        again.accept(IDS[:1], SALT)
    again.close()
    monkeypatch.setattr(ledger_module, "timedelta", lambda minutes: datetime.timedelta(seconds=-1))  # as if a minute had gone by
    assert finish(ledger) == 3


def test_a_cancelled_request_is_withdrawn(ledger):
    ledger.accept(IDS[:2], SALT)
    ledger.finish(1, "withdrawn", {})
    assert ledger.pending() is None
    assert finish(ledger) == 2
    assert ledger.verify_chain() == ()


@pytest.mark.parametrize("state", ["trained", "committed", "accepted", "nonsense"])
def test_steps_out_of_order_are_refused(ledger, state):
    ledger.accept(IDS[:2], SALT)
    with pytest.raises(StoreError, match="is accepted, so it cannot become"):
        ledger.advance(1, state, {})
    assert ledger.pending().state == "accepted"


def test_unknown_and_finished_requests_take_no_step(ledger):
    with pytest.raises(StoreError, match="unknown"):
        ledger.advance(5, "planned", {})
    finish(ledger)
    with pytest.raises(StoreError, match="committed"):
        ledger.advance(1, "planned", {})


def test_one_request_at_a_time(ledger):
    ledger.accept(IDS[:2], SALT)
    with pytest.raises(StoreError, match="Request 1 is not finished"):
        ledger.accept(IDS[2:4], SALT)


def test_a_request_outlives_its_ledger_object(ledger):
    ledger.accept(IDS[:2], SALT)
    ledger.advance(1, "planned", {"plan": 7})
    ledger.close()
    again = Ledger(ledger.path)
    assert again.pending().state == "planned"
    assert again.pending().ids == IDS[:2]
    again.close()


@pytest.mark.parametrize("n", [1, 40, 400])  # in one page, and in pages of its own
def test_ids_and_salt_are_in_the_files_until_the_commit_and_not_after(ledger, n):
    finish(ledger)
    ids = IDS[:n]
    request = ledger.accept(ids, SALT).request
    assert ids[-1].encode() in everything(ledger)
    ledger.advance(request, "planned", {})
    ledger.advance(request, "trained", {})
    ledger.finish(request, "committed", {"receipt": {}})
    found = everything(ledger)
    assert not any(i.encode() in found or i.split("-")[0].encode() in found for i in ids)
    assert SALT not in found
    wal = ledger.path.with_name(ledger.path.name + "-wal")
    assert not wal.exists() or wal.stat().st_size == 0


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE events SET request = 9 WHERE seq = {}",
        "UPDATE events SET state = 'withdrawn' WHERE seq = {}",
        "UPDATE events SET time = '2020' WHERE seq = {}",
        "UPDATE events SET data = '{{\"x\":1}}' WHERE seq = {}",
        "UPDATE events SET previous = 'x' WHERE seq = {}",
        "UPDATE events SET hash = 'x' WHERE seq = {}",
        "DELETE FROM events WHERE seq = {}",
    ],
)
@pytest.mark.parametrize("row", [1, 3, 9])  # the first, one in the middle, the last
def test_an_altered_row_is_found(ledger, change, row):
    finish(ledger)
    finish(ledger)
    ledger._db.execute(change.format(row))
    assert ledger.verify_chain() != ()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE head SET seq = 2",
        "UPDATE head SET hash = 'x'",
        "DELETE FROM head",
        "UPDATE pending SET ids = '[\"other\"]'",
        "UPDATE pending SET ids = 'no json'",
        "UPDATE pending SET salt = x'00'",
        "UPDATE pending SET salt = 3.5",
        "UPDATE pending SET request = 7",
        "DELETE FROM pending",
        "INSERT INTO pending VALUES (1, '[]', x'00')",
    ],
)
def test_an_altered_head_or_request_is_found(ledger, change):
    finish(ledger)
    ledger.accept(IDS[:2], SALT)
    ledger._db.execute(change)
    assert ledger.verify_chain() != ()


def test_a_row_that_is_no_json_is_an_error_of_the_project(ledger):
    ledger._db.execute("UPDATE events SET data = '{'")
    with pytest.raises(StoreError, match="damaged"):
        ledger.events()


def test_a_full_disk_leaves_the_last_step_recorded(ledger):
    ledger.accept(IDS[:2], SALT)
    (pages,) = ledger._db.execute("PRAGMA page_count").fetchone()
    ledger._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError, match="full.*Free space"):
        ledger.advance(1, "planned", {"x": "y" * 50_000})
    assert ledger.pending().state == "accepted"
    assert ledger.verify_chain() == ()
    ledger._db.execute("PRAGMA max_page_count = 100000")
    assert ledger.advance(1, "planned", {}).state == "planned"


def test_what_is_no_ledger_is_refused(tmp_path):
    (tmp_path / "ledger.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(StoreError, match="not a database"):
        Ledger(tmp_path / "ledger.sqlite")


def test_settings_that_safety_rests_on(ledger):
    assert [ledger._db.execute(f"PRAGMA {p}").fetchone()[0] for p in ("secure_delete", "synchronous", "journal_mode")] == [1, 2, "wal"]


def test_a_reader_that_keeps_the_log_from_being_emptied_is_reported(ledger):
    ledger._db.execute("PRAGMA busy_timeout = 50")
    reader = sqlite3.connect(ledger.path, isolation_level=None)
    try:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM events").fetchall()
        with pytest.raises(StoreError, match="another process"):
            finish(ledger)
    finally:
        reader.close()
