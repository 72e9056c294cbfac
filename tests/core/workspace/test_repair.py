"""Workspaces of an older version, altered or damaged ones: what repairing does, and what it refuses."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from core.errors import RepairNeeded, StoreError
from core.lmeraser.eraser import LMEraser
from core.workspace import sample_files
from core.workspace.about import ABOUT, About
from core.workspace.ledger import Ledger
from core.workspace.merkle import merkle_root
from core.workspace.receipts import check_chain
from core.workspace.sample_files import SampleFiles
from core.workspace.verify import verify_workspace
from core.workspace.workspace import Workspace
from tests.conftest import tiny_config
from tests.core.workspace.old_workspace import make_old


@pytest.fixture(scope="module")
def few(digits):
    return replace(digits.train.take(np.arange(60)), subjects=tuple(f"person-{n % 7}" for n in range(60)))


@pytest.fixture(scope="module")
def template(tmp_path_factory, few, backbone):
    """Three parts of 24, 24 and 12 samples."""
    root = tmp_path_factory.mktemp("template") / "w"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sample_files, "PART", 24)
        Workspace.create(root, few, LMEraser(tiny_config(), backbone), name="digits").close()
    return root


@pytest.fixture
def root(template, tmp_path):
    return shutil.copytree(template, tmp_path / "w")


def clean(samples, backbone) -> str:
    return LMEraser(tiny_config(), backbone).fit(samples).root_


def rows(n: int) -> list[int]:
    return list(range(n))


def forget(root, *ids) -> None:
    with Workspace.open(root) as workspace:
        for some in ids:
            workspace.forget(some)


def part(root, number: int = 0):
    return root / "samples" / f"part-{number:06d}.safetensors"


def rewrite(root, number: int, change) -> None:
    """Alter a part as a careless tool would: its arrays change, and what it says of itself does not."""
    about = About.read(root / ABOUT)
    files = SampleFiles(root / "samples", about.classes, about.shape)
    old = files.part(part(root, number))
    files.put(part(root, number), replace(change(old), stated=old.stated))


def test_an_older_workspace_is_refused_with_a_clear_word_and_put_right(root, few, backbone):
    make_old(root)
    before = part(root).read_bytes()
    with pytest.raises(RepairNeeded, match="has schema 1, and this version writes 2.*--repair"):
        Workspace.open(root)
    assert not verify_workspace(root)["equal"]
    assert part(root).read_bytes() == before
    with Workspace.open(root, repair=True) as workspace:
        assert workspace.eraser.samples_.ids == few.ids
        assert workspace.eraser.samples_.subjects == few.subjects
        assert workspace.eraser.outcome_.trained == ()
        assert workspace.eraser.root_ == clean(few, backbone)
        assert workspace.numbers.tolist() == rows(60) and workspace.total == 60
        assert "schema 1" in workspace.repaired["reason"]
        event = workspace.ledger.last("rebuilt").data
        assert (event["root_before"], event["root"], event["samples"]) == (event["root"][::-1], clean(few, backbone), 60)
        assert event["retained"] == merkle_root(few.ids)
        assert workspace.forget(few.ids[0]).request == 1
    assert verify_workspace(root)["problems"] == []
    with Workspace.open(root) as workspace:
        assert workspace.repaired is None
        assert workspace.numbers.tolist() == rows(60)[1:]


def test_old_receipts_stay_valid_and_the_chain_goes_on(root, few, backbone):
    forget(root, few.ids[:2], few.ids[5:6])
    make_old(root)
    with Workspace.open(root, repair=True) as workspace:
        old = workspace.receipts()
        assert [r.schema for r in old] == [1, 1]
        new = workspace.forget(few.ids[9])
        assert new.previous == old[1].hash
        assert (new.schema, new.repaired, new.samples_before, new.samples) == (4, True, 57, 56)
        assert not workspace.forget(few.ids[10]).repaired
        assert check_chain(workspace.receipts()) == workspace.ledger.verify_chain() == ()
    report = verify_workspace(root)
    assert (report["problems"], report["receipts"]) == ([], 4)


def test_numbers_of_an_older_workspace_that_has_forgotten_are_none_that_were_in_use(root, few):
    forget(root, few.ids[:2])
    make_old(root)
    with Workspace.open(root, repair=True) as workspace:
        assert workspace.numbers.tolist() == list(range(60, 118))
        assert workspace.total == 118


@pytest.mark.parametrize("state", ["accepted", "planned"])
def test_a_request_under_way_in_an_older_workspace_is_completed(root, few, backbone, state):
    forget(root, few.ids[:2])
    make_old(root, few.ids[30:33], state)
    with pytest.raises(RepairNeeded):
        Workspace.open(root)
    with Workspace.open(root, repair=True) as workspace:
        left = few.without([*few.ids[:2], *few.ids[30:33]])
        receipt = workspace.receipts()[-1]
        assert workspace.eraser.root_ == receipt.root_after == clean(left, backbone)
        assert (receipt.request, receipt.resumed, receipt.repaired) == (2, True, True)
        assert (receipt.samples_before, receipt.samples) == (58, 55)
        assert receipt.retained_before == merkle_root(few.ids[2:])
        assert receipt.retained_after == merkle_root(left.ids)
        assert receipt.sample_passes == sum(s.sample_passes for s in workspace.eraser.states_.values())
    assert verify_workspace(root)["problems"] == []


@pytest.mark.parametrize("moment", ["number", "note_rebuilt", "retain", "refresh", "upgrade"])
def test_a_repair_that_is_interrupted_is_done_again(root, few, backbone, monkeypatch, moment):
    forget(root, few.ids[:2])
    make_old(root, few.ids[30:33])
    target = SampleFiles if moment in ("number", "retain") else Workspace
    real = getattr(target, moment)

    def dies(self, *arguments):
        if moment in ("keep", "number"):  # after it did its work, else before
            real(self, *arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(target, moment, dies)
        with pytest.raises(KeyboardInterrupt):
            Workspace.open(root, repair=True)
    with pytest.raises(RepairNeeded):
        Workspace.open(root)
    with Workspace.open(root, repair=True) as workspace:
        assert workspace.eraser.root_ == clean(few.without([*few.ids[:2], *few.ids[30:33]]), backbone)
        assert min(workspace.numbers) == 60 and workspace.total == len({*workspace.numbers}) + 63
    assert verify_workspace(root)["problems"] == []


def test_an_altered_pixel_is_named_and_its_sample_not_kept(root, few, backbone):
    def change(old):
        images = old.samples.images.copy()
        images[6, 3, 3, 0] ^= 1
        return replace(old, samples=replace(old.samples, images=images))

    rewrite(root, 1, change)
    problems = verify_workspace(root)["problems"]
    assert any(few.ids[30][:12] in p and "number 30" in p for p in problems)
    with pytest.raises(RepairNeeded, match="part-000001.safetensors, which is not as it was written"):
        Workspace.open(root)
    with Workspace.open(root, repair=True) as workspace:
        assert workspace.repaired["dropped"] == {"altered": [30], "forgotten": [], "repeated": []}
        assert workspace.repaired["renumbered"] == 0
        assert workspace.numbers.tolist() == [n for n in rows(60) if n != 30]
        assert workspace.eraser.root_ == clean(few.without(few.ids[30:31]), backbone)
        receipt = workspace.forget(few.ids[0])
        assert (receipt.samples_before, receipt.samples, receipt.repaired) == (59, 58, True)
        assert few.ids[30].split("-")[0].encode() not in b"".join(p.read_bytes() for p in root.rglob("*") if p.is_file())
    assert verify_workspace(root)["problems"] == []


def test_a_requested_sample_whose_pixels_were_altered_is_forgotten_all_the_same(root, few, backbone):
    def change(old):
        images = old.samples.images.copy()
        images[0] = 255
        return replace(old, samples=replace(old.samples, images=images))

    workspace = Workspace.attach(root)
    workspace.ledger.accept(few.ids[:2], bytes(32))
    workspace.close()
    rewrite(root, 0, change)
    with Workspace.open(root, repair=True) as workspace:
        assert workspace.eraser.root_ == clean(few.take(np.arange(2, 60)), backbone)
        assert [r.samples for r in workspace.receipts()] == [58]
        assert workspace.repaired["dropped"]["altered"] == []
    assert verify_workspace(root)["problems"] == []


def test_altered_numbers_are_replaced_by_ones_never_given(root, few):
    rewrite(root, 1, lambda old: replace(old, numbers=old.numbers[::-1].copy()))
    assert "number or subject was altered" in verify_workspace(root)["problems"][0]
    with Workspace.open(root, repair=True) as workspace:
        assert workspace.numbers.tolist() == [*rows(24), *range(60, 84), *range(48, 60)]
        assert (workspace.total, workspace.repaired["renumbered"]) == (84, 24)
        assert workspace.eraser.samples_.ids == few.ids
    with Workspace.open(root) as workspace:
        assert workspace.total == 84


def test_altered_features_are_computed_again_by_themselves(root, few, backbone):
    rewrite(root, 1, lambda old: replace(old, features=old.features + 1))
    assert "a feature was altered" in verify_workspace(root)["problems"][0]
    with Workspace.open(root) as workspace:
        assert workspace.eraser.derived_images_ == 60
        assert workspace.eraser.root_ == clean(few, backbone)
    with Workspace.open(root) as workspace:
        assert workspace.eraser.derived_images_ == 0
    assert verify_workspace(root)["problems"] == []


def test_a_sample_put_back_is_found_and_a_repair_does_not_bring_it_back(root, few, backbone):
    old = part(root).read_bytes()
    forget(root, few.ids[:2])
    part(root).write_bytes(old)
    assert any("was recorded" in p for p in verify_workspace(root)["problems"])
    with pytest.raises(RepairNeeded, match="Merkle root"):
        Workspace.open(root)
    with Workspace.open(root, repair=True) as workspace:
        assert workspace.repaired["dropped"]["forgotten"] == [0, 1]
        assert workspace.eraser.root_ == clean(few.take(np.arange(2, 60)), backbone)
        assert workspace.numbers.tolist() == rows(60)[2:]
    assert verify_workspace(root)["problems"] == []
    assert few.digests[0] not in part(root).read_bytes().hex()


def test_a_part_twice_counts_once(root, few, backbone):
    shutil.copy(part(root), part(root, 7))
    with Workspace.open(root, repair=True) as workspace:
        assert workspace.repaired["dropped"]["repeated"] == rows(24)
        assert workspace.eraser.samples_.ids == few.ids
        assert workspace.eraser.root_ == clean(few, backbone)
    assert not part(root, 7).exists()
    assert verify_workspace(root)["problems"] == []


def test_a_part_that_is_older_than_the_last_repair_is_refused(root, few, tmp_path):
    make_old(root)
    old = part(root).read_bytes()
    Workspace.open(root, repair=True).close()
    forget(root, few.ids[:2])
    part(root).write_bytes(old)
    with pytest.raises(StoreError, match="older than the workspace's last repair.*delete it and repair again"):
        Workspace.open(root, repair=True)
    part(root).unlink()
    with Workspace.open(root, repair=True) as workspace:
        assert workspace.numbers.tolist() == rows(60)[24:]
    assert verify_workspace(root)["problems"] == []


def test_more_samples_than_were_recorded_are_refused(root, few):
    old = [part(root, n).read_bytes() for n in range(3)]
    forget(root, few.ids[:2])
    make_old(root)
    for n, data in enumerate(old):
        part(root, n).write_bytes(data)
    with pytest.raises(StoreError, match="holds 60 samples, but 58 were recorded last"):
        Workspace.open(root, repair=True)


def test_an_unreadable_part_is_named_and_can_be_given_up(root, few, backbone):
    part(root, 1).write_bytes(b"{}" * 300)
    with pytest.raises(StoreError, match="part-000001.safetensors is damaged.*delete it and repair"):
        Workspace.open(root, repair=True)
    assert "part-000001.safetensors is damaged" in verify_workspace(root)["problems"][0]
    part(root, 1).unlink()
    with Workspace.open(root, repair=True) as workspace:
        assert workspace.eraser.root_ == clean(few.take([*range(24), *range(48, 60)]), backbone)
        assert workspace.numbers.tolist() == [*rows(24), *range(48, 60)]
    assert verify_workspace(root)["problems"] == []


def test_another_root_than_recorded_is_repaired(root, few, backbone):
    ledger = Ledger(root / "ledger.sqlite")
    ledger.note("rebuilt", {**ledger.events()[0].data, "root_before": clean(few, backbone), "root": "f" * 64})
    ledger.close()
    with pytest.raises(RepairNeeded, match="gives a model with root .* but its ledger recorded ffffffffffff"):
        Workspace.open(root)
    with Workspace.open(root, repair=True) as workspace:
        assert workspace.repaired["root_before"] == "f" * 64
        assert workspace.eraser.root_ == clean(few, backbone)
    assert verify_workspace(root)["problems"] == []


def test_a_changed_configuration_is_said_before_anything_is_trained(root):
    about = json.loads((root / ABOUT).read_text())
    (root / ABOUT).write_text(json.dumps({**about, "device": "no device"}))
    assert verify_workspace(root)["problems"] == [
        "workspace.json is not what the ledger recorded; restore it from a copy, or repair the workspace to go on with it as it is"
    ]
    about["classes"][0] = "zero"
    (root / ABOUT).write_text(json.dumps(about))
    with pytest.raises(RepairNeeded, match="another workspace.json than its ledger recorded"):
        Workspace.open(root)
    with Workspace.open(root, repair=True) as workspace:
        assert workspace.about.classes[0] == "zero"
        assert workspace.id == about["id"]
    assert verify_workspace(root)["problems"] == []


def test_a_newer_workspace_is_left_to_newer_versions(root):
    about = json.loads((root / ABOUT).read_text())
    (root / ABOUT).write_text(json.dumps({**about, "schema": 3}))
    with pytest.raises(StoreError, match="has schema 3, and this version reads 1 to 2"):
        Workspace.open(root, repair=True)


def test_a_workspace_that_is_as_recorded_is_not_touched_by_a_repair(root):
    before = (root / ABOUT).stat().st_ino, part(root).stat().st_ino
    with Workspace.open(root, repair=True) as workspace:
        assert workspace.repaired is None
        assert len(workspace.ledger.events()) == 1
    assert before == ((root / ABOUT).stat().st_ino, part(root).stat().st_ino)


def test_nothing_is_left_in_an_old_workspace_that_forgot_everything(root, few):
    forget(root, few.ids)
    make_old(root)
    with Workspace.open(root, repair=True) as workspace:
        assert len(workspace.numbers) == 0
    assert verify_workspace(root)["problems"] == []


def test_a_damaged_state_is_trained_again_by_itself(root, few, backbone):
    path = next((root / "states").glob("*/*.safetensors"))
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with Workspace.open(root) as workspace:
        assert workspace.eraser.outcome_.trained == (path.stem,)
        assert workspace.eraser.root_ == clean(few, backbone)
    assert verify_workspace(root)["problems"] == []


@pytest.mark.slow
def test_a_flipped_byte_anywhere_is_a_finding_and_never_a_traceback(template, tmp_path):
    rng, silent = np.random.default_rng(3), []
    files = [p.relative_to(template) for p in sorted(template.rglob("*")) if p.is_file() and p.name != "lock"]
    files = [ABOUT, "ledger.sqlite", part(template).relative_to(template), next(f for f in files if f.parts[0] == "states")]
    for n in range(120):
        root = shutil.copytree(template, tmp_path / str(n))
        path = root / files[n % 4]
        data = bytearray(path.read_bytes())
        at = int(rng.integers(len(data)))
        data[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(data)
        report = verify_workspace(root)
        assert report["equal"] == (report["problems"] == [])
        silent += [(str(files[n % 4]), at)] if report["equal"] else []
        shutil.rmtree(root)
    assert {name for name, _ in silent} <= {"ledger.sqlite", str(files[3])}, silent  # unused pages; a state's history
    assert len(silent) < 40
