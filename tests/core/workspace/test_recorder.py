"""Requests recorded beside a model in memory: the same receipts as a workspace's, checked and replayed."""

import threading

import pytest

from core.errors import CancelledError, InputError, StoreError
from core.lmeraser.eraser import LMEraser
from core.lmeraser.records import ClusterState
from core.workspace import clean_room as cleanroom
from core.workspace import proof
from core.workspace.clean_room import CleanRoomJob, clean_room, train_from_scratch
from core.workspace.receipts import check_chain
from core.workspace.recorder import Recorder
from core.workspace.verify import replay_request, verify_model
from tests.conftest import tiny_config


@pytest.fixture(scope="module")
def base(digits, backbone):
    return LMEraser(tiny_config(), backbone).fit(digits.train.take(range(60)))


@pytest.fixture
def recorder(base, tmp_path):
    recorder = Recorder.begin(base.fork(), tmp_path / "ledger.sqlite")
    yield recorder
    recorder.close()


def test_a_private_ledger_gives_a_chain_of_receipts_and_the_clean_root(recorder, base, backbone):
    ids = base.samples_.ids
    receipts = [recorder.forget(recorder.eraser.plan(ids[:2])), recorder.forget(ids[5])]
    assert check_chain(receipts) == recorder.ledger.verify_chain() == ()
    assert receipts[0].root_before == base.root_
    clean = LMEraser(tiny_config(), backbone).fit(base.samples_.without([*ids[:2], ids[5]]))
    assert receipts[1].root_after == recorder.eraser.root_ == clean.root_
    assert recorder.receipts() == tuple(receipts)


def test_what_was_learned_and_forgotten_leaves_the_root_that_there_was(recorder, base, digits):
    new = digits.train.take([70, 71])
    ids = recorder.learn(new)
    assert recorder.eraser.samples_.ids[-2:] == ids and recorder.eraser.root_ != base.root_
    assert verify_model(recorder)["equal"]
    receipts = [recorder.forget(ids[:1]), recorder.forget(ids[1:])]
    assert recorder.eraser.root_ == receipts[1].root_after == base.root_
    assert [r.learned for r in receipts] == [2, 0]
    recorder.learn(new)
    with pytest.raises(InputError, match="has learned more since"):
        replay_request(recorder, 2)
    receipts.append(recorder.forget(ids))
    assert check_chain(receipts) == ()
    assert verify_model(recorder)["equal"] and replay_request(recorder, 3)["problems"] == []
    assert [e.state for e in recorder.ledger.events()].count("learned") == 2


def test_what_cannot_be_recorded_is_not_learned(recorder, base, digits, monkeypatch):
    def full(*_):
        raise StoreError("The disk is full.")

    monkeypatch.setattr(recorder.ledger, "note", full)
    with pytest.raises(StoreError):
        recorder.learn(digits.train.take([70]))
    assert recorder.eraser.root_ == base.root_ and len(recorder.eraser.samples_) == 60


def test_a_planted_row_about_learning_is_found(recorder, digits):
    recorder.learn(digits.train.take([70]))
    recorder.ledger.note("learned", {**recorder.facts(), "root_before": "a" * 64, "count": 1})
    assert any("starts from root aaaaaaaaaaaa" in p for p in verify_model(recorder)["problems"])


def test_cancelling_withdraws_and_unblocks(recorder, base):
    cancel = threading.Event()
    with pytest.raises(CancelledError):
        recorder.forget(base.samples_.ids[:20], progress=lambda p: cancel.set(), cancel=cancel)
    assert [e.state for e in recorder.ledger.events()] == ["created", "accepted", "planned", "withdrawn"]
    assert recorder.eraser.root_ == base.root_
    assert recorder.eraser.model_.blocked == frozenset()


def test_verifying_a_model_in_memory_finds_nothing_or_the_altered_state(recorder, base):
    recorder.forget(base.samples_.ids[:1])
    report = verify_model(recorder)
    assert report["equal"]
    assert (report["receipts"], report["rows"], report["samples"]) == (1, 5, 59)
    key = recorder.eraser.keys_[0]
    state = recorder.eraser.states_[key]
    recorder.eraser.states_[key] = ClusterState({name: array + 1 for name, array in state.tensors.items()})
    try:
        assert any("states' digests give root" in p for p in verify_model(recorder)["problems"])
    finally:
        recorder.eraser.states_[key] = state


def test_verifying_finds_an_altered_row(recorder, base):
    recorder.forget(base.samples_.ids[:1])
    recorder.ledger._db.execute("UPDATE events SET data = replace(data, '59', '60') WHERE seq = 4")
    assert any("row 4" in p and "altered" in p for p in verify_model(recorder)["problems"])


def test_only_the_last_request_is_replayed(recorder, base, monkeypatch):
    def here(before, ids, config, backbone, workers, *_):
        return train_from_scratch(CleanRoomJob(before, tuple(ids), config, backbone.spec, "cpu", workers))

    monkeypatch.setattr(proof, "clean_room", here)
    recorder.forget(base.samples_.ids[:1])
    recorder.forget(base.samples_.ids[1:2])
    with pytest.raises(InputError, match=r"Only the last one can \(2\)"):
        replay_request(recorder, 1)
    report = replay_request(recorder, 2)
    assert report["problems"] == []
    assert report["clean_room"] == recorder.eraser.root_


@pytest.mark.slow
def test_a_clean_room_says_how_far_it_is_and_can_be_stopped(base):
    seen, cancel = [], threading.Event()
    control = clean_room(base.samples_, (), base.config_, base.backbone_, progress=seen.append)
    assert control.root == base.root_
    assert [p.done for p in seen if p.stage == "train"] == list(range(1, len(base.keys_) + 1))
    cancel.set()
    with pytest.raises(CancelledError):
        clean_room(base.samples_, (), base.config_, base.backbone_, cancel=cancel)


def test_a_clean_room_that_fails_says_what_failed(base, monkeypatch):
    monkeypatch.setattr(cleanroom, "_followed", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        clean_room(base.samples_, (), base.config_, base.backbone_)
