"""Computes and caches what the frozen backbone makes of each sample: its feature and its trunk activations.

There is one entry per content digest, and each owns its memory, so deleting a sample's entry deletes everything derived from it.
Features are read from a file at once, activations when they are needed: they are many times larger.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.backbone.model import Backbone, BackboneSpec, load_backbone
from core.data.samples import Samples
from core.runtime.determinism import environment
from core.runtime.executors import Executor, Lazy
from core.runtime.progress import Progress, ProgressCallback

PART = 256  # images per job
SAVED_TRUNKS = 1 << 30  # most bytes of activations that are saved beside the features; if there are more, they are computed again


@dataclass(frozen=True, eq=False)
class DeriveJob:
    """Images (n, h, w, 3) uint8 to send through the backbone, in this process or another."""

    backbone: BackboneSpec
    device: str
    images: np.ndarray
    block: int | None


def derive_job(job: DeriveJob) -> tuple[np.ndarray, np.ndarray | None]:
    """Return features (n, d) float32 and trunk activations (n, t, dim) float16, or None without a block."""
    return load_backbone(job.backbone, job.device).derive(job.images, job.block)


@dataclass(frozen=True, eq=False)
class Entry:
    """A sample's feature (d,) float32 and trunk activations (t, dim) float16; None until they are needed."""

    feature: np.ndarray
    trunk: np.ndarray | None


@dataclass(frozen=True, eq=False)
class Inputs:
    """Images prepared for training or prediction: content digests, features (n, d) float32, and what the prompts act on (n, ...)."""

    digests: tuple[str, ...]
    features: np.ndarray
    values: np.ndarray  # trunk activations float16 for tokens, images uint8 otherwise

    def __len__(self) -> int:
        return len(self.digests)


def features_file(folder: Path, samples: Samples) -> Path:
    """Return where a folder keeps the features of exactly these samples."""
    return folder / f"features-{hashlib.sha256(''.join(sorted(samples.ids)).encode()).hexdigest()[:32]}.safetensors"


def made_by(backbone: Backbone) -> str:
    """Return what features depend on besides the image: the backbone and the environment."""
    return json.dumps([backbone.fingerprint, environment(backbone.device)], sort_keys=True)


class Derived:
    """Features and trunk activations by content digest, computed on demand through an executor."""

    def __init__(self, backbone: Backbone, block: int | None, executor: Executor):
        self.backbone, self.block, self.executor = backbone, block, executor
        self.entries: dict[str, Entry] = {}
        self.seconds_per_image = 0.0  # of the last sizeable computation
        self.computed = 0  # images that were sent through the backbone so far
        self.saved: Path | None = None  # file with activations that have not been read
        self.saved_rows: dict[str, int] = {}  # their places in it, by digest

    def fresh(self) -> Derived:
        """Return an empty table of the same kind."""
        return Derived(self.backbone, self.block, self.executor)

    def fork(self) -> Derived:
        """Return a copy that shares the entries; deleting from it leaves this one as it is."""
        copy = self.fresh()
        copy.entries, copy.seconds_per_image = dict(self.entries), self.seconds_per_image
        copy.saved, copy.saved_rows = self.saved, dict(self.saved_rows)
        return copy

    def ensure(
        self, samples: Samples, trunk: bool, progress: ProgressCallback | None = None, cancel: threading.Event | None = None
    ) -> float:
        """Read or compute what is missing for the samples (exact copies once) and return the seconds it took. Raises CancelledError."""
        began = time.perf_counter()
        need_trunk = trunk and self.block is not None
        if need_trunk:
            self._read(self._unread(samples.digests))
        wanted: dict[str, int] = {}
        for row, digest in enumerate(samples.digests):
            entry = self.entries.get(digest)
            if entry is None or (need_trunk and entry.trunk is None):
                wanted.setdefault(digest, row)
        digests, rows = list(wanted), list(wanted.values())
        parts = [slice(i, i + PART) for i in range(0, len(rows), PART)]
        block = self.block if need_trunk else None
        device = str(self.backbone.device)
        jobs = Lazy(lambda i: DeriveJob(self.backbone.spec, device, samples.images[rows[parts[i]]], block), len(parts))
        done = 0
        for i, (features, trunks) in self.executor.map(derive_job, jobs, cancel):
            for j, digest in enumerate(digests[parts[i]]):
                self.entries[digest] = Entry(features[j].copy(), None if trunks is None else trunks[j].copy())
            done += len(features)
            self.computed += len(features)
            if progress:
                progress(Progress("features", done, len(rows)))
        seconds = time.perf_counter() - began
        if len(rows) >= 64:
            self.seconds_per_image = seconds / len(rows)
        return seconds

    def to_compute(self, digests: Iterable[str]) -> set[str]:
        """Return the digests whose activations are needed for training, and are neither in memory nor in the file."""
        return self._unread(digests) - self.saved_rows.keys() if self.block is not None else set()

    def _unread(self, digests: Iterable[str]) -> set[str]:
        """Return the digests whose activations are not in memory."""
        return {d for d in digests if (entry := self.entries.get(d)) is None or entry.trunk is None}

    def _read(self, digests: set[str]) -> None:
        """Read activations that are in the file, if it still holds what it held when it was loaded."""
        from safetensors import SafetensorError, safe_open

        rows = sorted((self.saved_rows[d], d) for d in digests if d in self.saved_rows and d in self.entries)
        if not rows or self.saved is None:
            return
        try:
            with safe_open(self.saved, "numpy") as file:
                if not self._made_alike(file.metadata() or {}, trunks=True):
                    return
                names, trunks = file.get_slice("digests"), file.get_slice("trunks")
                for row, digest in rows:
                    if names[row : row + 1].tobytes().hex() == digest:
                        self.entries[digest] = Entry(self.entries[digest].feature, trunks[row : row + 1][0].copy())
        except (OSError, SafetensorError):
            self.saved, self.saved_rows = None, {}

    def _made_alike(self, meta: dict[str, str], trunks: bool = False) -> bool:
        """Return whether a file with this metadata holds what this backbone computes here."""
        return meta.get("made_by") == made_by(self.backbone) and (not trunks or meta.get("block") == str(self.block))

    def features(self, digests: Iterable[str]) -> np.ndarray:
        """Return the features (n, d) of digests that were ensured."""
        rows = [self.entries[d].feature for d in digests]
        return np.stack(rows) if rows else np.zeros((0, self.backbone.feature_dim), np.float32)

    def trunks(self, digests: Iterable[str]) -> np.ndarray:
        """Return the trunk activations (n, t, dim) float16 of digests that were ensured with their trunk."""
        rows = [trunk for d in digests if (trunk := self.entries[d].trunk) is not None]
        return np.stack(rows) if rows else np.zeros((0, 1, self.backbone.dim), np.float16)

    def inputs(self, samples: Samples) -> Inputs:
        """Return the training and prediction inputs of samples that were ensured, in their order."""
        values = samples.images if self.block is None else self.trunks(samples.digests)
        return Inputs(samples.digests, self.features(samples.digests), values)

    def drop(self, digests: Iterable[str]) -> None:
        """Delete entries; unknown digests are ignored."""
        for digest in digests:
            self.entries.pop(digest, None)
            self.saved_rows.pop(digest, None)

    def save(self, path: Path) -> None:
        """Write all features to a safetensors file, atomically, with the activations if all are in memory; raises StoreError."""
        from safetensors.numpy import save

        from core.runtime.atomic_files import write_atomically

        digests = sorted(self.entries)
        names = np.frombuffer(bytes.fromhex("".join(digests)), np.uint8).reshape(len(digests), 32)
        meta = {"made_by": made_by(self.backbone), "seconds_per_image": repr(self.seconds_per_image)}
        tensors = {"digests": names.copy(), "features": self.features(digests)}
        trunks = [e.trunk for e in self.entries.values() if e.trunk is not None]
        if len(trunks) == len(digests) and sum(t.nbytes for t in trunks) <= SAVED_TRUNKS:
            tensors["trunks"] = self.trunks(digests)
            meta["block"] = str(self.block)
        write_atomically(path, save(tensors, meta))

    def load(self, path: Path) -> bool:
        """Read features saved for the same backbone and environment; return whether there were any.

        Activations stay in the file until `ensure` needs them. A file that is damaged, or was made by another backbone, counts as empty.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, "numpy") as file:
                meta = file.metadata() or {}
                names, features = file.get_tensor("digests"), file.get_tensor("features")
        except (OSError, SafetensorError):
            return False
        if not self._made_alike(meta) or features.shape[1:] != (self.backbone.feature_dim,):
            return False
        digests = [name.tobytes().hex() for name in names]
        for digest, feature in zip(digests, features, strict=True):
            self.entries.setdefault(digest, Entry(feature.copy(), None))
        if self._made_alike(meta, trunks=True):
            self.saved, self.saved_rows = path, {digest: row for row, digest in enumerate(digests)}
        self.seconds_per_image = float(meta.get("seconds_per_image", 0.0))
        return True
