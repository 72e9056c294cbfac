"""Exclusive use of a folder by one process at a time.

Use `WorkspaceLock` wherever two processes could write the same folder: a workspace, or a process's temporary folder.
"""

from __future__ import annotations

import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from core.errors import StoreError

HOLDER_AT = 1  # byte at which the holder's name starts: Windows locks byte 0, and others could not read it


def utc_now() -> str:
    """Return the current time as receipts and ledger events write it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class WorkspaceLock:
    """Exclusive use of a folder until `close`; the operating system frees it when the process dies, even when it is killed.

    Raises StoreError naming the holder when the folder is still in use after `wait` seconds. Works on local file systems.
    """

    def __init__(self, path: Path | str, wait: float = 0.0):
        self.path = Path(path)
        self._lock = FileLock(self.path, thread_local=False, on_acquired=_write_holder)  # any thread may close it
        try:
            self.path.parent.stat()  # filelock would make a missing folder
            self._lock.acquire(timeout=max(wait, 0.0), poll_interval=0.02)
        except Timeout as error:
            message = f"{self.path.parent} is in use by {_holder(self.path)}. Close it there, or wait longer than {wait:g} s."
            raise StoreError(message) from error
        except OSError as error:
            message = f"{path} cannot be written ({error.strerror}). Free space and make the folder writable, or work on a copy."
            raise StoreError(message) from error

    def close(self) -> None:
        """Release the folder."""
        self._lock.release()


def _write_holder(descriptor: int) -> None:
    facts = {"pid": os.getpid(), "host": platform.node(), "since": utc_now()}
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, HOLDER_AT, os.SEEK_SET)
    os.write(descriptor, json.dumps(facts).encode())


def _holder(path: Path) -> str:
    """Return who holds a lock, as far as its file says."""
    try:
        with path.open("rb", buffering=0) as file:
            file.seek(HOLDER_AT)
            facts = json.loads(file.read())
        return f"process {facts['pid']} on {facts['host']} since {facts['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
