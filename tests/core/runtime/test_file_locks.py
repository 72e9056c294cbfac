import os
import subprocess
import sys
import threading

import pytest

from core.errors import StoreError
from core.runtime.file_locks import WorkspaceLock


def test_the_second_user_is_told_who_holds_the_folder(tmp_path):
    first = WorkspaceLock(tmp_path / "lock")
    with pytest.raises(StoreError, match=rf"in use by process {os.getpid()} on .* since 20"):
        WorkspaceLock(tmp_path / "lock")
    first.close()
    WorkspaceLock(tmp_path / "lock").close()


def test_the_second_user_can_wait(tmp_path):
    first = WorkspaceLock(tmp_path / "lock")
    timer = threading.Timer(0.1, first.close)
    timer.start()
    WorkspaceLock(tmp_path / "lock", wait=20).close()
    timer.join()


def test_a_lock_that_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(StoreError, match="cannot be written"):
        WorkspaceLock(tmp_path / "missing" / "lock")
    assert not (tmp_path / "missing").exists()


HOLD = "import sys; from core.runtime.file_locks import WorkspaceLock; lock = WorkspaceLock(sys.argv[1]); print(1, flush=True); input()"


def test_a_killed_process_frees_the_folder_and_is_named_until_then(tmp_path):
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline()
        with pytest.raises(StoreError, match=f"in use by process {holder.pid} on"):
            WorkspaceLock(tmp_path / "lock")
        holder.kill()
    WorkspaceLock(tmp_path / "lock").close()


def test_a_damaged_lock_file_still_locks(tmp_path):
    lock = WorkspaceLock(tmp_path / "lock")
    (tmp_path / "lock").write_bytes(b"{")
    with pytest.raises(StoreError, match="in use by another process"):
        WorkspaceLock(tmp_path / "lock")
    lock.close()
