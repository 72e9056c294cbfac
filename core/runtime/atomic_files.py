"""Files that are written whole or not at all, and folders whose changes survive a power cut."""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from core.errors import StoreError


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that a reader, or a restart after a crash, sees all of it or nothing; raises StoreError.

    The bytes are flushed to disk before the rename, and a failed write leaves no partial file.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".partial-")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise StoreError(
            f"{path} cannot be written ({error.strerror}). Free space or make the folder writable; nothing was changed."
        ) from error


def file_digest(path: Path) -> str:
    """Return the SHA-256 hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def delete_file(path: Path) -> None:
    """Delete a file, which may be gone already; raises StoreError when it cannot be deleted."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"{path} cannot be deleted ({error.strerror}). Make the folder writable.") from error


def delete_partial_files(root: Path) -> None:
    """Delete what interrupted writes left anywhere under a folder."""
    for path in root.rglob(".partial-*"):
        delete_file(path)


def sync_folder(path: Path) -> None:
    """Make renames and deletions in a folder survive a power cut, where the system can."""
    with suppress(OSError):  # Windows cannot open folders
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
