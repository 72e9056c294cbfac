import os
import subprocess
import sys
import tempfile
import time

import pytest

from core.errors import StoreError
from core.runtime.temporary import PREFIX, Scratch, delete_abandoned


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_folders_are_private_and_vanish(elsewhere):
    scratch = Scratch()
    assert list(elsewhere.iterdir()) == []
    one, two = scratch.folder(), scratch.folder()
    assert one != two
    assert one.stat().st_mode & 0o077 == one.parent.stat().st_mode & 0o077 == 0
    (one / "file").write_text("x")
    scratch.close()
    assert list(elsewhere.iterdir()) == []
    assert scratch.folder().is_dir()
    scratch.close()


def old(folder) -> None:
    past = time.time() - 3600
    os.utime(folder, (past, past))


def test_what_a_killed_process_left_is_deleted_and_what_lives_is_not(elsewhere):
    code = "import os, signal; from core.runtime.temporary import Scratch; s = Scratch(); s.folder(); os.kill(os.getpid(), signal.SIGKILL)"
    subprocess.run([sys.executable, "-c", code], env={**os.environ, "TMPDIR": str(elsewhere)}, check=False)
    (left,) = elsewhere.glob(f"{PREFIX}*")
    alive = Scratch()
    mine = alive.folder().parent
    (elsewhere / f"{PREFIX}foreign").mkdir()
    for folder in elsewhere.glob(f"{PREFIX}*"):
        old(folder)
    delete_abandoned()
    assert not left.exists()
    assert mine.exists()
    assert (elsewhere / f"{PREFIX}foreign").exists()
    alive.close()


def test_no_room_is_an_error_in_words(monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/proc")
    with pytest.raises(StoreError, match="No temporary folder"):
        Scratch().folder()
