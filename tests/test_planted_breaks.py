"""Mistakes built in on purpose: which check notices which. The page's table says the same (`demo.texts.BREAKS`)."""

from __future__ import annotations

import numpy as np
import pytest

from core.audit.planted_breaks import BREAKS
from core.audit.residue_scan import scan
from core.audit.signatures import Signatures
from core.lmeraser.eraser import LMEraser
from core.workspace.clean_room import CleanRoomJob, train_from_scratch
from core.workspace.proof import compare
from demo import texts
from tests.conftest import tiny_config

pytestmark = pytest.mark.exactness

ROWS = (3, 4, 5, 40, 41)


@pytest.fixture(scope="module", params=["tokens", "none"])
def base(request, samples, backbone):
    return LMEraser(tiny_config(prompt=request.param), backbone).fit(samples)


@pytest.fixture(scope="module")
def ids(samples):
    return tuple(samples.ids[r] for r in ROWS)


@pytest.fixture(scope="module")
def control(base, samples, ids):
    return train_from_scratch(CleanRoomJob(samples, ids, base.config_, base.backbone_.spec, "cpu", 1))


def noticed(base, ids, control, broken):
    """Whether the root, the clean room and the residue scan notice that a copy did not forget as it should."""
    proof = compare(broken, base.samples_, control)
    signatures = Signatures.of(base, ids, np.zeros((len(base.samples_), 2), np.float32))
    return proof.root != proof.clean_root, not proof.equal, not scan(signatures, [], {"model": broken}).clean


def test_an_exact_model_is_found_to_be_exact(base, ids, control):
    eraser = base.fork()
    eraser.forget(ids)
    assert noticed(base, ids, control, eraser) == (False, False, False)


@pytest.mark.parametrize("name", BREAKS)
def test_each_break_is_noticed_as_the_table_says(base, ids, control, name):
    if name == "stale answer cache" and not base.config_.has_prompts:
        base = base.fork()
        base.predict(base.prepare_members())
        assert base._answers._known == {}  # there is no such cache
        return
    root, clean_room, _, residue = texts.BREAKS[name]
    assert noticed(base, ids, control, BREAKS[name](base, ids)) == (root, clean_room, residue)


def test_features_that_stay_on_disk_are_found_by_the_residue_scan_alone(base, samples, ids, control, tmp_path):
    eraser = base.fork()
    signatures = Signatures.of(base, ids, np.zeros((len(samples), 2), np.float32))
    base.save_features(tmp_path / "features.safetensors")
    eraser.forget(ids)
    assert compare(eraser, samples, control).equal
    assert not scan(signatures, [tmp_path], {"model": eraser}).clean
    eraser.save_features(tmp_path / "features.safetensors")
    assert scan(signatures, [tmp_path], {"model": eraser}).clean
    assert texts.BREAKS["features kept on disk"] == (False, False, False, True)


def test_the_table_names_every_break(base):
    beside = {"features kept on disk", "receipt of another request"}  # the latter: tests of `verify` on a workspace
    assert set(texts.BREAKS) == set(BREAKS) | beside
