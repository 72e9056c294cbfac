"""A process that forgets is killed without warning; whatever the moment, nothing is lost, applied twice or left behind.

LMERASER_KILLS sets how many random moments (8; 200 with -m long).
"""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from core.audit.memory_walk import registries_of
from core.audit.residue_scan import scan
from core.audit.signatures import Signatures
from core.lmeraser.eraser import LMEraser
from core.workspace.merkle import merkle_root
from core.workspace.receipts import check_chain, opens
from core.workspace.workspace import LEDGER, Workspace
from tests.conftest import tiny_config

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
ROOT = Path(__file__).resolve().parents[3]
SALT = bytes(range(100, 132))


class Zygote:
    """The process of kill_zygote.py."""

    def __init__(self):
        environment = {
            **os.environ,
            "CUDA_VISIBLE_DEVICES": "",
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(ROOT),
        }
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("kill_zygote.py"))],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout.readline() == "ready\n"

    def run(self, root: Path, ids=(), **kill) -> dict:
        job = {"root": str(root), "ids": list(ids), "salt": SALT.hex(), **kill}
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert not answer["failed"]
        return answer

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()


@pytest.fixture(scope="module")
def zygote():
    zygote = Zygote()
    yield zygote
    zygote.close()


def signatures(workspace: Workspace, ids) -> Signatures:
    """Everything of the samples that could lie about, and the request's salt."""
    return Signatures.of(workspace.eraser, ids).plus("salt", SALT).plus("salt", SALT.hex().encode())


def requests_recorded(root: Path, scratch: Path) -> int:
    """Return how many requests a ledger holds, from a copy, so that looking changes nothing."""
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    for name in LEDGER:
        if (root / name).exists():
            shutil.copy(root / name, scratch / name)
    connection = sqlite3.connect(scratch / LEDGER[0])
    try:
        return connection.execute("SELECT COUNT(*) FROM events WHERE state = 'accepted'").fetchone()[0]
    finally:
        connection.close()


def check_restart(root: Path, ids, wanted: Signatures, remaining, recorded: int, requests: int) -> None:
    """Open after a kill: a recorded request is complete without being asked again, an unrecorded one did nothing."""
    with Workspace.open(root) as workspace:
        assert len(workspace.receipts()) == recorded
        if recorded < requests:
            assert set(ids) <= set(workspace.eraser.samples_.ids)
            workspace.forget(ids, salt=SALT)
        receipts = workspace.receipts()
        assert len(receipts) == requests
        assert all(opens(receipts[-1], SALT, i) for i in ids)
        assert receipts[-1].samples == len(remaining)
        assert receipts[-1].retained_after == merkle_root(remaining.ids)
        states = [workspace.eraser.states_[key] for key in receipts[-1].retrained]
        assert receipts[-1].sample_passes == sum(s.sample_passes for s in states)  # whichever run trained them
        assert len(workspace.numbers) == len(remaining)
        assert check_chain(receipts) == workspace.ledger.verify_chain() == ()
        assert workspace.ledger.pending() is None
        assert workspace.eraser.root_ == workspace.receipts()[-1].root_after
        assert workspace.eraser.root_ == LMEraser(tiny_config(), workspace.eraser.backbone_).fit(remaining).root_
        assert set(workspace.store.keys()) == set(workspace.eraser.keys_)
        left = scan(wanted, [root], registries_of(workspace.eraser))
        assert left.clean, left.text()
    assert scan(wanted, [root]).clean


def kill_round(zygote, root: Path, requests: int, ids, kills: list[dict]) -> int:
    """Forget ids in a child that is killed, restart it as often as there are kills, then check; return how many took hold."""
    with Workspace.open(root) as workspace:
        wanted = signatures(workspace, ids)
        remaining = workspace.eraser.samples_.without(ids)
    assert {"id", "pixels", "feature"} <= {f.kind for f in scan(wanted, [root]).found}  # the scan finds what is there
    killed = sum(zygote.run(root, ids, **kill)["killed"] for kill in kills)
    recorded = requests_recorded(root, root.parent / "copy")
    check_restart(root, ids, wanted, remaining, recorded, requests)
    return killed


@pytest.fixture
def workspace_root(tmp_path, digits, backbone):
    def make(n: int) -> Path:
        Workspace.create(tmp_path / "w", digits.train.take(np.arange(n)), LMEraser(tiny_config(), backbone)).close()
        return tmp_path / "w"

    return make


def unkilled(zygote, root: Path, ids) -> dict:
    """Run one request to its end on a copy, for its time and its number of operations."""
    copy = root.parent / "unkilled"
    shutil.copytree(root, copy)
    return zygote.run(copy, ids)


def random_kills(zygote, root: Path, rounds: int) -> int:
    rng = np.random.default_rng(int.from_bytes(os.urandom(4)) if rounds > 20 else 4)
    with Workspace.open(root) as workspace:
        ids = [workspace.eraser.samples_.ids[i] for i in rng.permutation(len(workspace.eraser.samples_))]
    whole = unkilled(zygote, root, ids[:1])["seconds"]
    killed = 0
    for number in range(rounds):
        kills = [{"after": float(rng.uniform(0, whole))} for _ in range(1 + number % 2)]
        killed += kill_round(zygote, root, number + 1, [ids[number]], kills)
    return killed


@pytest.mark.slow
def test_killed_at_random_moments(zygote, workspace_root):
    assert random_kills(zygote, workspace_root(60), int(os.environ.get("LMERASER_KILLS", "8"))) > 0


@pytest.mark.long
def test_killed_at_200_random_moments(zygote, workspace_root):
    assert random_kills(zygote, workspace_root(300), int(os.environ.get("LMERASER_KILLS", "200"))) >= 100


def kills_at_operations(zygote, root: Path, every: int) -> None:
    with Workspace.open(root) as workspace:
        ids = list(workspace.eraser.samples_.ids)
    total = unkilled(zygote, root, ids[:1])["operations"]
    assert total > 30
    moments = range(total - 1, 0, -every)
    killed = sum(kill_round(zygote, root, n + 1, [ids[n]], [{"at": at}]) for n, at in enumerate(moments))
    assert killed >= 0.7 * len(moments)  # a request that touches fewer clusters ends before the last moments come


@pytest.mark.slow
def test_killed_before_chosen_operations(zygote, workspace_root):
    kills_at_operations(zygote, workspace_root(60), every=10)


@pytest.mark.long
def test_killed_before_every_operation(zygote, workspace_root):
    kills_at_operations(zygote, workspace_root(300), every=1)
