"""What verification finds in a workspace that was altered, and what a replay rests on."""

from dataclasses import replace

import pytest

from core.errors import InputError, RepairNeeded
from core.workspace import proof, recorder
from core.workspace.receipts import check_request
from core.workspace.sample_files import SampleFiles
from core.workspace.verify import replay_request, verify_model, verify_workspace
from core.workspace.workspace import Workspace
from tests.core.workspace.faults import break_forget, break_plan, clean_room_here, next_row


def alter(path, old: bytes, new: bytes) -> None:
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new))


def test_verify_finds_nothing_in_an_untouched_workspace(root, few):
    with Workspace.open(root) as workspace:
        workspace.forget(few.ids[:2])
    report = verify_workspace(root)
    assert report["equal"]
    assert report["problems"] == []
    assert (report["receipts"], report["samples"], report["rows"]) == (1, 58, 5)


def test_verify_finds_an_altered_pixel(root, few):
    image = few.images[20].tobytes()
    alter(next((root / "samples").iterdir()), image, bytes([image[0] ^ 1]) + image[1:])
    assert any(few.ids[20][:12] in p for p in verify_workspace(root)["problems"])


def test_verify_finds_an_altered_and_a_missing_state(root):
    path = next((root / "states").glob("*/*.safetensors"))
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert "was written as" in verify_workspace(root)["problems"][0]
    path.unlink()
    assert any("1 of 8 states were missing" in p for p in verify_workspace(root)["problems"])
    assert verify_workspace(root)["problems"] == []


def test_verify_finds_a_sample_put_back(root, few):
    part = next((root / "samples").iterdir())
    old = part.read_bytes()
    with Workspace.open(root) as workspace:
        workspace.forget(few.ids[:1])
    part.write_bytes(old)
    assert any("was recorded" in p for p in verify_workspace(root)["problems"])
    with pytest.raises(RepairNeeded, match="Merkle root"):
        Workspace.open(root)


def test_verify_finds_an_altered_ledger(root, few):
    with Workspace.open(root) as workspace:
        workspace.forget(few.ids[:1])
        workspace.ledger._db.execute("UPDATE events SET time = '2020' WHERE seq = 3")
    assert any("row 3" in p and "altered" in p for p in verify_workspace(root)["problems"])


def test_only_the_last_request_can_be_replayed(root, few, monkeypatch):
    monkeypatch.setattr(proof, "clean_room", clean_room_here)  # another process: test_exactness, test_cli
    with Workspace.open(root) as workspace:
        workspace.forget(few.ids[:1])
        workspace.forget(few.ids[1:2])
    with pytest.raises(InputError, match=r"Request 1 cannot be replayed.*Only the last one can \(2\)"):
        verify_workspace(root, replay=1)
    report = verify_workspace(root, replay=2)
    assert report["equal"]
    assert report["replay"]["clean_room"] == report["root"]
    monkeypatch.setattr(proof, "clean_room", lambda *given: replace(clean_room_here(*given), root="0" * 64))
    assert "trained from scratch" in verify_workspace(root, replay=2)["problems"][0]


def test_a_replay_rests_on_what_was_recorded_before_the_work_and_on_the_samples_on_disk(root, few, monkeypatch):
    monkeypatch.setattr(proof, "clean_room", clean_room_here)
    with Workspace.open(root) as workspace:
        workspace.forget(few.ids[:1])
        workspace.files.remove(few.ids[5:6])  # and the model still has it
        report = replay_request(workspace.recorder, 1, workspace=workspace)
        assert any("was recorded before the request" in p for p in report["problems"])
        assert any("other samples than remain" in p for p in report["problems"])


@pytest.mark.parametrize("planted", [break_forget, break_plan])
@pytest.mark.parametrize("files", [False, True], ids=["in the model", "on disk, too"])
def test_verify_finds_that_another_sample_went_than_was_requested(root, few, planted, files):
    """As if the recorder did not look: what was recorded before the work tells."""
    with pytest.MonkeyPatch.context() as patch:
        planted(patch)
        patch.setattr(recorder, "_check_retained", lambda *_: None)
        patch.setattr(recorder, "_check_plan", lambda *_: None)
        if files:
            patch.setattr(SampleFiles, "remove", lambda self, ids, real=SampleFiles.remove: real(self, next_row(ids, few.ids)))
        with Workspace.open(root) as workspace:
            workspace.forget(few.ids[3])
            assert any("leaves samples with Merkle root" in p for p in verify_model(workspace.recorder)["problems"])
            assert check_request(workspace.receipts()[0], few.ids, few.ids[3:4]) == ()  # what was asked; the model is another
    report = verify_workspace(root)
    assert not report["equal"]
    assert any("leaves samples with Merkle root" in p for p in report["problems"])


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"commitments": ("a" * 64, "b" * 64)}, "a receipt for other samples than request 1 named"),
        ({"retained_after": "a" * 64}, "whose retained_after is not what was recorded"),
        ({"retained_before": "a" * 64}, "whose retained_before is not what was recorded"),
        ({"subjects": ("a" * 64,)}, "a receipt for other subjects than request 1 named"),
        ({"request": 2}, "does not belong to request 1"),
        ({"root_after": "a" * 64}, "does not belong to request 1"),
    ],
)
def test_verify_finds_the_receipt_of_another_request_in_an_unbroken_ledger(root, few, change, word):
    with Workspace.open(root) as workspace:
        receipt = workspace.forget(few.ids[:2])
        ledger = workspace.ledger
        ledger._db.execute("DELETE FROM events WHERE state = 'committed'")
        last = ledger.events()[-1]
        ledger._db.execute("UPDATE head SET seq = ?, hash = ?", (last.seq, last.hash))
        with ledger._transaction():
            ledger._append(1, "committed", {"receipt": replace(receipt, **change).to_json()})
        assert ledger.verify_chain() == ()
    assert any(word in p for p in verify_workspace(root)["problems"])
