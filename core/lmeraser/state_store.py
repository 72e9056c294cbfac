"""Stores for cluster states, by key: in memory, in a directory of safetensors files, or as a private layer over a shared store.

You need this to keep trained states between runs. A file is written whole or not at all, and checked when it is read.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from core.errors import StoreError
from core.lmeraser.records import ClusterState
from core.runtime.atomic_files import write_atomically

_KEY = re.compile(r"[0-9a-f]{64}")


class Store(ABC):
    """Maps cluster keys to states."""

    @abstractmethod
    def get(self, key: str) -> ClusterState | None:
        """Return the state, or None; raises StoreError for a damaged one."""

    @abstractmethod
    def put(self, key: str, state: ClusterState) -> None:
        """Store a state; raises StoreError when it cannot be written."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Delete a state; unknown keys are ignored."""

    @abstractmethod
    def keys(self) -> Iterator[str]:
        """Yield all keys."""


class MemoryStore(Store):
    """States in a dictionary."""

    def __init__(self) -> None:
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
    """A private layer over a shared store, which is only read: deleting a state hides it from this layer's owner."""

    SHARED = ("_base",)  # belongs to another owner: see core.audit.residue_scan

    def __init__(self, base: Store):
        self._base, self._own = base, MemoryStore()
        self._hidden: set[str] = set()

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
    """One safetensors file per state, named by its key; the file holds the tensors and the state's digest."""

    def __init__(self, root: Path | str):
        self.root = Path(root)
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"The folder {self.root} cannot be created ({error.strerror}). Choose a folder that you may write to."
            ) from error

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
