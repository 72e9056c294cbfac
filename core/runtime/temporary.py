"""A process's private temporary folder: made when first needed, deleted when the process ends.

A process that is killed leaves its folder behind; the next process finds that nobody holds its lock, and deletes it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
import weakref
from pathlib import Path

from core.errors import StoreError
from core.runtime.file_locks import WorkspaceLock

PREFIX = "lmeraser-"
GRACE = 60.0  # seconds in which a new folder may still be without its lock


class Scratch:
    """Folders that nobody else may read and that vanish with this object or its process; raises StoreError when none can be made."""

    def __init__(self):
        self._root: Path | None = None
        self._guard = threading.Lock()

    def folder(self) -> Path:
        """Return a new empty folder."""
        with self._guard:
            try:
                if self._root is None:
                    self._open()
                return Path(tempfile.mkdtemp(dir=self._root))
            except OSError as error:
                where = self._root or tempfile.gettempdir()
                raise StoreError(f"No temporary folder can be made in {where} ({error.strerror}). Free space there.") from error

    def close(self) -> None:
        """Delete everything."""
        with self._guard:
            if self._root is not None:
                self._delete()
                self._root = None

    def _open(self) -> None:
        delete_abandoned()
        self._root = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._delete = weakref.finalize(self, _end, self._root, WorkspaceLock(self._root / "lock"))


def _end(root: Path, lock: WorkspaceLock) -> None:
    lock.close()
    shutil.rmtree(root, ignore_errors=True)


def delete_abandoned() -> None:
    """Delete this user's folders whose processes are gone."""
    for root in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        if _deletable(root) and (root / "lock").is_file():
            try:
                lock = WorkspaceLock(root / "lock")
            except StoreError:  # its process lives
                continue
            _end(root, lock)


def _deletable(root: Path) -> bool:
    try:
        facts = root.lstat()
    except OSError:
        return False
    mine = facts.st_uid == os.getuid() if hasattr(os, "getuid") else True
    return mine and root.is_dir() and not root.is_symlink() and time.time() - facts.st_mtime > GRACE
