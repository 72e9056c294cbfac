"""Content-addressed cluster states: in memory, in a directory of safetensors files, or a private layer over a shared store.

Knows keys and states, nothing of what they mean. Files are written whole or not at all and checked when read.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from core.errors import StoreError
from core.types import ClusterState

_KEY = re.compile(r"[0-9a-f]{64}")


class Store(ABC):
    """Maps cluster keys to states."""

    @abstractmethod
    def get(self, key: str) -> ClusterState | None:
        """Return the state, or None; raises StoreError for a damaged one."""

    @abstractmethod
    def put(self, key: str, state: ClusterState) -> None:
        """Keep a state; raises StoreError when it cannot be written."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Forget a key; unknown keys are ignored."""

    @abstractmethod
    def keys(self) -> Iterator[str]:
        """Yield the keys held."""


class MemoryStore(Store):
    """States in a dictionary."""

    def __init__(self):
        self._states: dict[str, ClusterState] = {}

    def get(self, key: str) -> ClusterState | None:
        return self._states.get(key)

    def put(self, key: str, state: ClusterState) -> None:
        self._states[key] = state

    def delete(self, key: str) -> None:
        self._states.pop(key, None)

    def keys(self) -> Iterator[str]:
        return iter(list(self._states))


class OverlayStore(Store):
    """A private layer over a shared store that is only read; deleting hides the shared state from this layer's owner."""

    SHARED = ("_base",)  # belongs to another owner: see core.residue

    def __init__(self, base: Store):
        self._base, self._own, self._hidden = base, MemoryStore(), set()

    def get(self, key: str) -> ClusterState | None:
        if key in self._hidden:
            return None
        return self._own.get(key) or self._base.get(key)

    def put(self, key: str, state: ClusterState) -> None:
        self._hidden.discard(key)
        self._own.put(key, state)

    def delete(self, key: str) -> None:
        self._own.delete(key)
        self._hidden.add(key)

    def keys(self) -> Iterator[str]:
        own = set(self._own.keys())
        return iter(own | (set(self._base.keys()) - self._hidden))


class DirectoryStore(Store):
    """One safetensors file a state, named by its key, with the state's digest beside its tensors."""

    def __init__(self, root: Path | str):
        self.root = Path(root)
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"The folder {self.root} cannot be made ({error.strerror}). Choose one you may write to.") from error

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise StoreError(f"{key[:80]!r} is not a cluster key: 64 hexadecimal digits.")
        return self.root / key[:2] / f"{key}.safetensors"

    def get(self, key: str) -> ClusterState | None:
        path = self._path(key)
        try:
            with safe_open(path, "numpy") as file:
                meta = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            history = json.loads(meta["history"])
            state = ClusterState(tensors, tuple(history["losses"]), history["seconds"], history["sample_passes"])
        except FileNotFoundError:
            return None
        except (SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
            raise StoreError(f"{path} is damaged ({error}). Delete it; the cluster is then trained again.") from error
        if state.digest != meta.get("digest"):
            raise StoreError(
                f"{path} holds {state.digest}, but was written as {meta.get('digest')}. Delete it; the cluster is then trained again."
            )
        return state

    def put(self, key: str, state: ClusterState) -> None:
        path = self._path(key)
        history = {"losses": state.losses, "seconds": state.seconds, "sample_passes": state.sample_passes}
        arrays = {name: np.ascontiguousarray(a) for name, a in state.tensors.items()}
        write_atomically(path, save(arrays, {"digest": state.digest, "history": json.dumps(history)}))

    def delete(self, key: str) -> None:
        try:
            self._path(key).unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"{self._path(key)} cannot be deleted ({error.strerror}). Make the folder writable.") from error

    def keys(self) -> Iterator[str]:
        return (p.stem for p in sorted(self.root.glob("??/*.safetensors")) if _KEY.fullmatch(p.stem))


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
