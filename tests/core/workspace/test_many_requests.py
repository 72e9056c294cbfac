"""Many requests, one after the other, in one workspace: the model stays exact, and the folder small."""

import json
from pathlib import Path

import numpy as np
import pytest

from core.audit.memory_walk import registries_of
from core.audit.residue_scan import scan
from core.audit.signatures import Signatures
from core.lmeraser.eraser import LMEraser
from core.runtime.executors import LocalExecutor
from core.workspace.clean_room import clean_room
from core.workspace.verify import verify_workspace
from core.workspace.workspace import Workspace
from tests.conftest import tiny_config

ROWS = 1250  # bytes of the ledger for each request: four rows with their hashes; the receipt comes on top, twice


def size(root: Path) -> int:
    return sum(p.stat().st_size for p in root.rglob("*") if p.is_file())


def sequence(root: Path, samples, requests: int, eraser: LMEraser) -> tuple[str, str]:
    """Forget one sample after the other; return the root at the end and a clean room's."""
    with Workspace.create(root, samples, eraser) as workspace:
        ids = [samples.ids[r] for r in np.random.default_rng(5).choice(len(samples), requests, replace=False)]
        wanted = Signatures.of(workspace.eraser, ids)
        for sample in ids:
            workspace.forget(sample)
        left = scan(wanted, [root], registries_of(workspace.eraser))
        assert left.clean, left.text()
        assert len(workspace.receipts()) == requests
        return workspace.eraser.root_, clean_room(samples, ids, workspace.about.config, workspace.eraser.backbone_, workspace.workers).root


def growth(tmp_path: Path, samples, requests: int, eraser: LMEraser) -> tuple[int, int]:
    """Return the workspace's size after the requests, and that of a fresh one with what remains."""
    found, clean = sequence(tmp_path / "w", samples, requests, eraser)
    assert found == clean
    report = verify_workspace(tmp_path / "w")
    assert (report["problems"], report["receipts"]) == ([], requests)
    with Workspace.open(tmp_path / "w") as workspace:
        remaining = workspace.eraser.samples_
    Workspace.create(tmp_path / "fresh", remaining, eraser).close()
    return size(tmp_path / "w"), size(tmp_path / "fresh")


@pytest.mark.slow
def test_twelve_requests_leave_the_clean_model_and_twelve_receipts(tmp_path, samples, backbone):
    after, fresh = growth(tmp_path, samples, 12, LMEraser(tiny_config(), backbone))
    with Workspace.open(tmp_path / "w") as workspace:
        receipts = sum(len(json.dumps(receipt.to_json())) for receipt in workspace.receipts())
    assert after - fresh < 2 * receipts + 12 * ROWS


@pytest.mark.long
@pytest.mark.parametrize("n", [400, 1437])
def test_fifty_requests_on_digits_grow_the_folder_by_at_most_a_tenth(tmp_path, digits, n):
    executor = LocalExecutor()
    try:
        after, fresh = growth(tmp_path, digits.train.take(np.arange(n)), 50, LMEraser(executor=executor))
    finally:
        executor.close()
    print(f"{n} digits, 50 requests: {after:,} bytes, fresh {fresh:,}, ratio {after / fresh:.4f}")
    assert after <= 1.1 * fresh
