"""A workspace's samples on disk: safetensors parts of at most 1,024 samples, each with pixels, label, id, subject and frozen feature.

A sample and everything derived from it that is kept stands in one file, so that one atomic rewrite of a part deletes all of it.
Removing samples rewrites only the parts that hold them, and may be repeated. Knows no model and no request.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from core.errors import StoreError
from core.store import write_atomically
from core.types import Samples, sample_digest

PART = 1024
_ARRAYS = ("images", "labels", "features")


@dataclass(frozen=True)
class Stamp:
    """What features depend on beside the pixels: the backbone's fingerprint, and the environment they were computed in."""

    backbone: str
    environment: str


class SampleFiles:
    """The parts in one folder. `classes` and `shape` (h, w) are the workspace's, so that an empty one still knows them."""

    def __init__(self, root: Path, classes: tuple[str, ...], shape: tuple[int, int]):
        self.root, self.classes, self.shape = Path(root), classes, shape

    def paths(self) -> list[Path]:
        return sorted(self.root.glob("part-*.safetensors"))

    def write(self, samples: Samples, features: np.ndarray, stamp: Stamp) -> None:
        """Replace all parts by these samples and their features (n, d) float32; raises StoreError."""
        starts = range(0, len(samples), PART)
        for number, start in enumerate(starts):
            rows = np.arange(start, min(start + PART, len(samples)))
            _write(self._path(number), samples.take(rows), features[rows], stamp)
        for path in self.paths():
            if path not in {self._path(n) for n in range(len(starts))}:
                _unlink(path)
        sync_folder(self.root)

    def read(self) -> Samples:
        """Return all samples, in their order; raises StoreError for a damaged part."""
        read = [self._part(path)[0] for path in self.paths()]
        parts = [part for part in read if len(part)]
        if not parts:
            empty = np.zeros((0, *self.shape, 3), np.uint8)
            return Samples(empty, np.zeros(0, np.int64), self.classes, ())
        subjects = None if parts[0].subjects is None else tuple(s for p in parts for s in p.subjects)
        ids = tuple(i for p in parts for i in p.ids)
        return Samples(np.concatenate([p.images for p in parts]), np.concatenate([p.labels for p in parts]), self.classes, ids, subjects)

    def remove(self, ids: Collection[str]) -> None:
        """Rewrite the parts that hold any of the ids without them; ids that are gone already are ignored. Raises StoreError."""
        gone = set(ids)
        for path in self.paths():
            keep = np.array([i not in gone for i in _read(path, _ids)], bool)
            if not keep.any():
                _unlink(path)
            elif not keep.all():
                samples, features, stamp = self._part(path)
                _write(path, samples.take(keep), features[keep], stamp)
        sync_folder(self.root)

    def stamped(self, stamp: Stamp) -> list[Path]:
        """Return the parts whose features were computed by this backbone in this environment."""
        return [path for path in self.paths() if _read(path, _meta)[1] == stamp]

    def altered(self) -> list[str]:
        """Return the ids whose pixels or label are no longer what the id was made of."""
        samples = self.read()
        known = zip(samples.ids, samples.digests, samples.images, samples.labels, strict=True)
        return [i for i, digest, image, label in known if sample_digest(image, int(label)) != digest]

    def _path(self, number: int) -> Path:
        return self.root / f"part-{number:06d}.safetensors"

    def _part(self, path: Path) -> tuple[Samples, np.ndarray, Stamp]:
        ids, subjects, stamp, found = _read(path, lambda file: (_ids(file), *_meta(file), {n: file.get_tensor(n) for n in _ARRAYS}))
        return Samples(found["images"], found["labels"], self.classes, ids, subjects), found["features"], stamp


def _read(path: Path, what: Callable[[Any], Any]) -> Any:
    """Return what a function takes from an open part; raises StoreError for a damaged one."""
    try:
        with safe_open(path, "numpy") as file:
            return what(file)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{path} is damaged ({error}). Restore it from a copy, or make the workspace anew.") from error


def _ids(file) -> tuple[str, ...]:
    digests, occurrences = file.get_tensor("digests"), file.get_tensor("occurrences")
    return tuple(f"{row.tobytes().hex()}-{k}" for row, k in zip(digests, occurrences, strict=True))


def _meta(file) -> tuple[tuple[str, ...] | None, Stamp]:
    meta = file.metadata()
    subjects = json.loads(meta["subjects"])
    return None if subjects is None else tuple(subjects), Stamp(meta["backbone"], meta["environment"])


def _write(path: Path, samples: Samples, features: np.ndarray, stamp: Stamp) -> None:
    tensors = {
        "images": samples.images,
        "labels": samples.labels,
        "digests": np.frombuffer(bytes.fromhex("".join(samples.digests)), np.uint8).reshape(-1, 32),
        "occurrences": np.array([int(i.split("-", 1)[1]) for i in samples.ids], np.int64),
        "features": features,
    }
    subjects = None if samples.subjects is None else list(samples.subjects)
    meta = {"backbone": stamp.backbone, "environment": stamp.environment, "subjects": json.dumps(subjects)}
    write_atomically(path, save({name: np.ascontiguousarray(a) for name, a in tensors.items()}, meta))


def _unlink(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"{path} cannot be deleted ({error.strerror}). Make the folder writable.") from error


def delete_partial_files(root: Path) -> None:
    """Delete what interrupted writes left anywhere under a folder."""
    for path in root.rglob(".partial-*"):
        _unlink(path)


def sync_folder(path: Path) -> None:
    """Make renames and deletions in a folder survive a power cut, where the system can."""
    with suppress(OSError):  # Windows cannot open folders
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
