"""Workspaces on a disk that is really full, and on one that cannot be written."""

import shutil
import subprocess
from contextlib import contextmanager

import pytest

from core.errors import StoreError
from core.lmeraser.eraser import LMEraser
from core.workspace.workspace import Workspace
from tests.conftest import tiny_config
from tests.core.workspace.test_workspace import clean, content


@contextmanager
def mounted(path, options: str):
    """A small file system of its own, where the machine allows it."""
    path.mkdir()
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a file system needs privileges")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def test_a_disk_that_is_really_full(template, tmp_path, few, backbone):
    with mounted(tmp_path / "disk", "size=2m") as disk:
        root = shutil.copytree(template, disk / "w")
        with Workspace.open(root) as workspace:
            fill(disk / "filler")
            with pytest.raises(StoreError, match="full|No space left"):
                workspace.forget(few.ids[:5])
            assert workspace.eraser.root_ == clean(few, backbone)
            assert workspace.eraser.predict(few.images[:2]).shape == (2,)
        (disk / "filler").unlink()
        with Workspace.open(root) as workspace:
            if not workspace.receipts():  # the disk was too full to record even the request
                workspace.forget(few.ids[:5])
            assert workspace.eraser.root_ == clean(few.without(few.ids[:5]), backbone)


def fill(path) -> None:
    with open(path, "wb", buffering=0) as file:
        for size in (4096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue


def test_a_workspace_on_a_read_only_disk(template, tmp_path, few, backbone):
    with mounted(tmp_path / "disk", "size=4m") as disk:
        root = shutil.copytree(template, disk / "w")
        before = content(root)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True, capture_output=True)
        with pytest.raises(StoreError, match="cannot be written.*writable"):
            Workspace.open(root)
        with pytest.raises(StoreError, match="cannot be used"):
            Workspace.create(disk / "other", few, LMEraser(tiny_config(), backbone))
        assert content(root) == before
