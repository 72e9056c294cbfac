import os
import shutil
import threading

import numpy as np
import pytest

from core.backbone import feature_cache as derived
from core.errors import CancelledError, InputError, LMEraserError, StalePlanError, StoreError, UnknownSampleError
from core.lmeraser.eraser import LMEraser
from core.lmeraser.state_store import DirectoryStore
from core.runtime.progress import Progress
from core.workspace import recorder, sample_files
from core.workspace import workspace as workspace_module
from core.workspace.ledger import Ledger
from core.workspace.merkle import merkle_root
from core.workspace.receipts import check_chain, check_request, opens, opens_subject
from core.workspace.verify import verify_workspace
from core.workspace.workspace import Workspace
from tests.conftest import tiny_config
from tests.core.workspace.faults import break_forget, break_plan


def clean(samples, backbone) -> str:
    return LMEraser(tiny_config(), backbone).fit(samples).root_


def content(root) -> bytes:
    return b"".join(p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file())


def test_opening_gives_the_model_that_was_made_without_training(workspace, few, backbone):
    assert workspace.eraser.root_ == clean(few, backbone)
    assert workspace.eraser.outcome_.trained == ()
    assert workspace.eraser.samples_.ids == few.ids
    assert workspace.eraser.samples_.subjects == few.subjects
    assert workspace.about.name == "digits"
    assert workspace.eraser.predict(few.images[:3]).shape == (3,)


def test_forgetting_gives_the_clean_root_and_a_chain_of_receipts(workspace, few, backbone):
    before = workspace.eraser.root_
    plan = workspace.eraser.plan(few.ids[:2])
    keys = workspace.eraser.keys_
    receipts = [workspace.forget(plan), workspace.forget(few.ids[2])]
    assert workspace.eraser.root_ == receipts[1].root_after == clean(few.without(few.ids[:3]), backbone)
    assert receipts[0].root_before == before
    assert receipts[1].root_before == receipts[0].root_after
    assert set(receipts[0].affected) == {keys[c] for c in plan.touched}
    assert set(receipts[0].retrained) == set(plan.retrain)
    assert receipts[0].untouched == len(plan.untouched)
    assert workspace.receipts() == tuple(receipts)
    assert check_chain(receipts) == workspace.ledger.verify_chain() == ()
    assert not any(r.resumed for r in receipts)


def test_numbers_are_permanent_and_never_given_again(root, few):
    with Workspace.open(root) as workspace:
        own = workspace.id
        assert workspace.numbers.tolist() == list(range(60))
        workspace.forget([few.ids[0], few.ids[7], few.ids[59]])
        assert workspace.numbers.tolist() == [n for n in range(60) if n not in (0, 7, 59)]
    with Workspace.open(root) as workspace:
        assert [few.ids[n] for n in workspace.numbers] == list(workspace.eraser.samples_.ids)
        assert workspace.numbers.tolist() == workspace.files.numbers().tolist()
        assert (workspace.total, workspace.id) == (60, own)
        with pytest.raises(CancelledError):
            workspace.forget(few.ids[1], cancel=cancelled())
        assert workspace.numbers[0] == 1
        workspace.forget(workspace.eraser.samples_.ids)
        assert len(workspace.numbers) == 0
    with Workspace.open(root) as workspace:
        assert (workspace.numbers.tolist(), workspace.total) == ([], 60)


def cancelled() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


def test_a_receipt_tells_without_images_that_exactly_the_requested_went(workspace, few):
    salt = os.urandom(32)
    first, second = workspace.forget(few.ids[:2], salt=salt), workspace.forget(few.ids[9])
    assert check_request(first, few.ids, few.ids[:2], salt) == check_request(second, few.ids[2:], few.ids[9:10]) == ()
    assert check_request(first, few.ids, few.ids[1:3]) != ()
    assert first.retained_after == second.retained_before == merkle_root(few.ids[2:])
    assert (first.samples_before, second.samples_before, second.samples) == (60, 58, 57)
    accepted = [e.data for e in workspace.ledger.events() if e.state == "accepted"]
    assert [e["retained_after"] for e in accepted] == [first.retained_after, second.retained_after]


def test_a_receipt_commits_to_the_persons_of_whom_nothing_remains(workspace, few):
    salt, of = os.urandom(32), lambda person: [i for i, s in zip(few.ids, few.subjects, strict=True) if s == person]
    some = workspace.forget([*of("person-3"), *of("person-4")[1:]], salt=salt)
    assert opens_subject(some, salt, "person-3")
    assert not opens_subject(some, salt, "person-4")  # one of their images is still there
    rest = workspace.forget(of("person-4")[:1], salt=salt)
    assert opens_subject(rest, salt, "person-4")
    assert len(some.subjects) == len(rest.subjects) == 1
    assert [e.data["subjects"] for e in workspace.ledger.events() if e.state == "accepted"] == [[*some.subjects], [*rest.subjects]]
    assert workspace.forget(of("person-0")[:1]).subjects == ()
    assert b"person-3" not in content(workspace.root)


def test_nothing_of_what_was_forgotten_is_left_in_the_folder(workspace, root, few):
    rows = np.flatnonzero(np.array(few.subjects) == "person-3")
    inputs = workspace.eraser.prepare_members(rows)
    old = content(root)
    affected = workspace.forget([few.ids[r] for r in rows]).affected
    new = content(root)
    for row, feature in zip(rows, inputs.features, strict=True):
        for trace in (few.images[row].tobytes(), bytes.fromhex(few.digests[row]), feature.tobytes()):
            assert trace in old
            assert trace not in new
        assert few.digests[row].encode() not in new
    assert b"person-3" in old
    assert b"person-3" not in new
    assert b"person-4" in new
    assert not set(affected) & set(workspace.store.keys())


def test_the_model_goes_on_after_reopening(root, few, backbone):
    for k in range(3):
        with Workspace.open(root) as workspace:
            workspace.forget(few.ids[k])
    with Workspace.open(root) as workspace:
        assert workspace.eraser.root_ == clean(few.take(np.arange(3, 60)), backbone)
        assert len(workspace.receipts()) == 3
        assert workspace.eraser.outcome_.trained == ()


def test_everything_can_be_forgotten(root, few):
    with Workspace.open(root) as workspace:
        assert workspace.forget(few.ids).samples == 0
        assert list(workspace.store.keys()) == []
    with Workspace.open(root) as workspace:
        assert len(workspace.eraser.samples_) == 0
        assert workspace.eraser.samples_.classes == few.classes
        assert np.allclose(workspace.eraser.predict_proba(few.images[:2]), 0.1)
    assert verify_workspace(root)["equal"]


def test_parts_are_cut_and_only_touched_ones_rewritten(tmp_path, few, backbone, monkeypatch):
    monkeypatch.setattr(sample_files, "PART", 16)
    with Workspace.create(tmp_path / "w", few, LMEraser(tiny_config(), backbone)) as workspace:
        before = {p: p.stat().st_ino for p in workspace.files.paths()}
        assert len(before) == 4
        workspace.forget([*few.ids[16:32], few.ids[33]])
        after = {p: p.stat().st_ino for p in workspace.files.paths()}
        assert [before[p] == after[p] for p in after] == [True, False, True]
        assert workspace.files.read().ids == workspace.eraser.samples_.ids


@pytest.mark.parametrize(
    ("ids", "error"),
    [(["no such id"], UnknownSampleError), ([], InputError), (None, InputError)],
)
def test_what_cannot_be_carried_out_is_not_recorded(workspace, few, ids, error):
    with pytest.raises(error):
        workspace.forget([few.ids[0]] * 2 if ids is None else ids)
    with pytest.raises(InputError, match="salt has 3 bytes"):
        workspace.forget(few.ids[:1], salt=b"abc")
    assert len(workspace.ledger.events()) == 1


def test_a_stale_plan_is_refused_unrecorded(workspace, few):
    plan = workspace.eraser.plan(few.ids[:1])
    workspace.forget(few.ids[1:2])
    with pytest.raises(StalePlanError):
        workspace.forget(plan)
    assert workspace.ledger.pending() is None


def test_the_salt_is_the_requesters_to_keep(workspace, root, few):
    salt = os.urandom(32)
    receipt = workspace.forget(few.ids[:2], salt=salt)
    assert opens(receipt, salt, few.ids[0])
    assert not opens(receipt, salt, few.ids[2])
    assert salt not in content(root)


def test_cancelling_withdraws_the_request(workspace, few, backbone):
    cancel = threading.Event()
    before = workspace.eraser.predict_proba(few.images[:5])
    with pytest.raises(CancelledError):
        workspace.forget(few.ids[:20], progress=lambda p: cancel.set() if p.stage == "train" else None, cancel=cancel)
    assert workspace.ledger.pending() is None
    assert workspace.ledger.events()[-1].state == "withdrawn"
    assert workspace.eraser.root_ == clean(few, backbone)
    assert np.array_equal(workspace.eraser.predict_proba(few.images[:5]), before)
    assert workspace.forget(few.ids[:1]).request == 2
    assert workspace.ledger.verify_chain() == ()


def test_touched_clusters_do_not_serve_until_they_are_retrained(workspace, few):
    eraser, seen = workspace.eraser, []
    plan = eraser.plan(few.ids[:1])

    def watch(progress: Progress) -> None:
        model = eraser.model_
        seen.append((model.blocked, int(model.serving_head.counts.sum()), eraser.predict_proba(few.images[:4])))

    before = eraser.predict_proba(few.images[:4])
    workspace.forget(plan, progress=watch)
    assert seen
    assert all(blocked == set(plan.touched) and samples == 59 for blocked, samples, _ in seen)
    assert not np.array_equal(seen[0][2], before)
    assert np.allclose(seen[0][2].sum(1), 1)
    assert eraser.model_.blocked == frozenset()
    assert eraser.model_.serving_head is None


def fail_once(monkeypatch, target, name: str, after: int = 0) -> None:
    """Let one method raise as on a full disk, after so many calls, and work again later."""
    real, calls = getattr(target, name), []

    def failing(*arguments, **named):
        calls.append(1)
        if len(calls) == after + 1:
            raise StoreError("x cannot be written (No space left on device). Free space; nothing was changed.")
        return real(*arguments, **named)

    monkeypatch.setattr(target, name, failing)


FAILURES = [
    (DirectoryStore, "put", 0, True),
    (DirectoryStore, "put", 1, False),
    (DirectoryStore, "delete", 0, True),
    (DirectoryStore, "delete", 0, False),
    (sample_files, "write_atomically", 0, True),
    (sample_files, "write_atomically", 0, False),
    (workspace_module, "delete_partial_files", 0, True),
]


@pytest.mark.parametrize(("target", "name", "after", "reopen"), FAILURES)
def test_a_full_disk_leaves_a_request_that_is_completed_later(root, few, backbone, monkeypatch, target, name, after, reopen):
    with Workspace.open(root) as workspace:
        with monkeypatch.context() as patch:
            fail_once(patch, target, name, after)
            with pytest.raises(StoreError, match="No space left.*Request 1 stays recorded"):
                workspace.forget(few.ids[:5])
        assert workspace.ledger.pending().ids == few.ids[:5]
        assert workspace.eraser.predict(few.images[:2]).shape == (2,)
        if target is DirectoryStore and name == "put":
            assert workspace.eraser.root_ == clean(few, backbone)
        if not reopen:
            assert workspace.forget(few.ids[:5]).request == 1
    with Workspace.open(root) as workspace:
        assert [r.request for r in workspace.receipts()] == [1]
        assert workspace.receipts()[0].resumed
        assert workspace.eraser.root_ == clean(few.without(few.ids[:5]), backbone)
    assert verify_workspace(root)["problems"] == []


def test_another_request_completes_the_one_before_first(workspace, few, monkeypatch):
    with monkeypatch.context() as patch:
        fail_once(patch, DirectoryStore, "put")
        with pytest.raises(StoreError):
            workspace.forget(few.ids[:5])
    assert workspace.forget(few.ids[5:6]).request == 2
    assert [r.samples for r in workspace.receipts()] == [55, 54]


@pytest.mark.parametrize("moment", ["trained", "committed"])
def test_a_receipt_completed_after_a_crash_has_true_figures(root, few, monkeypatch, moment):
    whole = shutil.copytree(root, root.parent / "whole")
    with Workspace.open(whole) as workspace:
        wanted = workspace.forget(few.ids[:5])
        train = sum(workspace.eraser.states_[key].seconds for key in wanted.retrained)

    step = "advance" if moment == "trained" else "finish"
    real = getattr(Ledger, step)

    def dies(ledger, request, state, data):
        if state == moment:
            raise KeyboardInterrupt
        return real(ledger, request, state, data)

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, step, dies)
        with Workspace.open(root) as workspace, pytest.raises(KeyboardInterrupt):
            workspace.forget(few.ids[:5])
    with Workspace.open(root) as workspace:
        receipt = workspace.receipts()[0]
        assert workspace.eraser.outcome_.trained == ()  # all states were found
        assert receipt.resumed
        assert (receipt.retrained, receipt.sample_passes) == (wanted.retrained, wanted.sample_passes)
        assert receipt.sample_passes > 0
        assert receipt.seconds["total"] >= receipt.seconds["train"] > 0.1 * train
    assert verify_workspace(root)["problems"] == []


@pytest.mark.parametrize(("planted", "state"), [(break_forget, "planned"), (break_plan, "accepted")])
def test_a_request_that_takes_another_sample_is_not_committed_and_completed_rightly_later(root, few, backbone, planted, state):
    with pytest.MonkeyPatch.context() as patch, Workspace.open(root) as workspace:
        planted(patch)
        with pytest.raises(StoreError, match="No sample was deleted.*Request 1 stays recorded"):
            workspace.forget(few.ids[3])
        assert (workspace.receipts(), workspace.ledger.pending().state) == ((), state)
        assert workspace.files.read().ids == few.ids
        with pytest.raises(StoreError, match="No sample was deleted"):
            workspace.forget(few.ids[9])
        assert workspace.files.read().ids == few.ids
    with Workspace.open(root) as workspace:
        assert workspace.eraser.samples_.ids == few.without(few.ids[3:4]).ids
        assert workspace.receipts()[0].root_after == workspace.eraser.root_ == clean(few.without(few.ids[3:4]), backbone)
    assert verify_workspace(root)["problems"] == []


def test_a_second_user_is_told_or_waits(root):
    with Workspace.open(root):
        with pytest.raises(StoreError, match=f"in use by process {os.getpid()}"):
            Workspace.open(root)
        with pytest.raises(StoreError, match="in use by process"):
            verify_workspace(root)
    first = Workspace.open(root)
    timer = threading.Timer(0.2, first.close)
    timer.start()
    Workspace.open(root, wait=30).close()
    timer.join()


def test_partial_files_and_unused_states_are_deleted_at_opening(root, few):
    (root / "samples" / ".partial-x").write_bytes(b"half")
    (root / "states" / "00").mkdir(exist_ok=True)
    (root / "states" / "00" / ".partial-y").write_bytes(b"half")
    with Workspace.open(root) as workspace:
        spare = workspace.eraser.states_[workspace.eraser.keys_[0]]
        workspace.store.put("0" * 64, spare)
    with Workspace.open(root) as workspace:
        assert set(workspace.store.keys()) == set(workspace.eraser.keys_)
    assert list(root.rglob(".partial-*")) == []


def test_only_an_empty_folder_becomes_a_workspace(template, tmp_path, few, backbone):
    with pytest.raises(StoreError, match="workspace already"):
        Workspace.create(template, few, LMEraser(tiny_config(), backbone))
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(StoreError, match="letter.txt"):
        Workspace.create(tmp_path, few, LMEraser(tiny_config(), backbone))
    with pytest.raises(StoreError, match="not a workspace"):
        Workspace.open(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["letter.txt"]


def test_a_creation_that_fails_leaves_no_sample_and_can_be_repeated(tmp_path, few, backbone, monkeypatch):
    with monkeypatch.context() as patch:
        fail_once(patch, sample_files, "write_atomically")
        with pytest.raises(StoreError, match="No space left"):
            Workspace.create(tmp_path / "w", few, LMEraser(tiny_config(), backbone))
    assert [p.name for p in (tmp_path / "w").iterdir()] == ["lock"]
    with Workspace.create(tmp_path / "w", few, LMEraser(tiny_config(), backbone)) as workspace:
        assert len(workspace.ledger.events()) == 1


def test_other_libraries_make_another_model_which_is_recorded(root, few, monkeypatch):
    old = Workspace.open(root)
    before = old.eraser.root_
    old.close()
    with monkeypatch.context() as patch:
        from core.lmeraser import cluster_training as train

        real = train.environment
        for module in (train, derived, recorder):
            patch.setattr(module, "environment", lambda device: {**real(device), "torch": "99"})
        report = verify_workspace(root)
        assert "other torch" in report["problems"][0]
        with Workspace.open(root) as workspace:
            assert workspace.eraser.root_ != before
            assert workspace.ledger.events()[-1].state == "rebuilt"
            workspace.forget(few.ids[:1])
        assert verify_workspace(root)["problems"] == []


def test_damaged_files_are_errors_of_the_project(root, template, tmp_path):
    for name in ("workspace.json", "samples/part-000000.safetensors", "ledger.sqlite"):
        copy = shutil.copytree(template, tmp_path / name.replace("/", "-"))
        (copy / name).write_bytes(b"{}" * 300)
        with pytest.raises(LMEraserError):
            Workspace.open(copy)


def test_the_ledger_grows_little(workspace, few):
    size = lambda: sum(p.stat().st_size for p in workspace.root.glob("ledger*"))  # noqa: E731
    workspace.forget(few.ids[:1])
    before = size()
    for k in range(1, 6):
        workspace.forget(few.ids[k])
    assert (size() - before) / 5 < 10_000
