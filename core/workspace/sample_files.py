"""A workspace's samples on disk: safetensors parts of at most 1,024 samples, each with pixels, label, id, number, subject and feature.

A sample and everything stored that is derived from it are in one file, so that one atomic rewrite of a part deletes all of it.
Removing samples rewrites only the parts that hold them, and may be repeated; samples never move from one part to another. Each part
carries digests of its pixels, of its facts (label, id, number, subject) and of its features, so that an altered byte is found.
Parts of schema 1 have neither numbers nor digests.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from core.data.samples import Samples, sample_digest
from core.errors import StoreError
from core.lmeraser.records import tensors_digest
from core.runtime.atomic_files import delete_file, sync_folder, write_atomically

PART = 1024
GROUPS = {"pixels": ("images",), "facts": ("labels", "digests", "occurrences", "numbers"), "features": ("features",)}
ALTERED = "altered"  # replaces a digest when a part that was not intact is rewritten


@dataclass(frozen=True, eq=False)
class Part:
    """One file: n samples, their permanent numbers (n,) int64 or None, features (n, d) float32 and what made them, stated digests."""

    samples: Samples
    numbers: np.ndarray | None
    features: np.ndarray
    made_by: str
    stated: dict[str, str]

    @property
    def tensors(self) -> dict[str, np.ndarray]:
        numbers = {} if self.numbers is None else {"numbers": self.numbers}
        return {
            "images": self.samples.images,
            "labels": self.samples.labels,
            "digests": np.frombuffer(bytes.fromhex("".join(self.samples.digests)), np.uint8).reshape(-1, 32),
            "occurrences": np.array([int(i.split("-", 1)[1]) for i in self.samples.ids], np.int64),
            "features": self.features,
            **numbers,
        }

    @property
    def subjects(self) -> str:
        return json.dumps(None if self.samples.subjects is None else list(self.samples.subjects))

    @cached_property
    def digests(self) -> dict[str, str]:
        """The digests of pixels, facts and features, computed from what the part holds."""
        tensors = self.tensors
        digests = {group: tensors_digest({n: tensors[n] for n in names if n in tensors}) for group, names in GROUPS.items()}
        digests["facts"] = hashlib.sha256((digests["facts"] + self.subjects).encode()).hexdigest()
        digests["features"] = hashlib.sha256((digests["features"] + self.made_by).encode()).hexdigest()
        return digests

    @property
    def numbered(self) -> np.ndarray:
        """The permanent numbers; raises StoreError for a part of schema 1, which has none."""
        if self.numbers is None:
            raise StoreError("A part was written by an earlier version and has no permanent numbers. Repair the workspace.")
        return self.numbers

    def intact(self, group: str) -> bool:
        """Return whether pixels, facts or features are as they were written."""
        return self.stated.get(group) == self.digests[group]

    def altered(self) -> np.ndarray:
        """Return which samples (n,) bool have pixels or a label that do not match their id."""
        known = zip(self.samples.digests, self.samples.images, self.samples.labels, strict=True)
        return np.array([sample_digest(image, int(label)) != digest for digest, image, label in known], bool)

    def take(self, keep: np.ndarray) -> Part:
        """Return the part with some of its samples (n,) bool."""
        numbers = None if self.numbers is None else self.numbers[keep]
        return replace(self, samples=self.samples.take(keep), numbers=numbers, features=self.features[keep]).with_digests_of(self)

    def with_digests_of(self, other: Part, *renewed: str) -> Part:
        """Return the part with its own digests, except for groups that are not intact in `other`; `renewed` groups count as intact."""
        stated = {g: d if g in renewed or other.intact(g) else ALTERED for g, d in self.digests.items()}
        return replace(self, stated=stated)


class SampleFiles:
    """The parts in one folder. `classes` and `shape` (h, w) are the workspace's, so that an empty one still knows them."""

    def __init__(self, root: Path, classes: tuple[str, ...], shape: tuple[int, int]):
        self.root, self.classes, self.shape = Path(root), classes, shape

    def paths(self) -> list[Path]:
        return sorted(self.root.glob("part-*.safetensors"))

    def parts(self) -> Iterator[tuple[Path, Part]]:
        """Yield each file with what it holds; raises StoreError for a damaged one."""
        return ((path, self.part(path)) for path in self.paths())

    def write(self, samples: Samples, features: np.ndarray, made_by: str) -> None:
        """Replace all parts by samples, numbered from 0, and their features (n, d) float32; raises StoreError."""
        for path in self.paths():  # of a creation that was interrupted
            delete_file(path)
        for number, start in enumerate(range(0, len(samples), PART)):
            rows = np.arange(start, min(start + PART, len(samples)))
            part = Part(samples.take(rows), rows, features[rows], made_by, {})
            self.put(self.root / f"part-{number:06d}.safetensors", part.with_digests_of(part, *GROUPS))
        sync_folder(self.root)

    def put(self, path: Path, part: Part) -> None:
        """Write one file, or delete it when nothing is left; raises StoreError."""
        if not len(part.samples):
            return delete_file(path)
        meta = {"made_by": part.made_by, "subjects": part.subjects, **part.stated}
        return write_atomically(path, save({name: np.ascontiguousarray(a) for name, a in part.tensors.items()}, meta))

    def read(self) -> Samples:
        """Return all samples, in their order; raises StoreError for a damaged part."""
        return self.joined([part.samples for _, part in self.parts()])

    def numbers(self) -> np.ndarray:
        """Return the permanent numbers (n,) int64 of all samples, in their order, -1 for one that has none yet; raises StoreError."""
        read = [(_read(path, _numbers), _read(path, _ids)) for path in self.paths()]
        return np.concatenate([np.zeros(0, np.int64), *(np.full(len(i), -1) if n is None else n for n, i in read)])

    def joined(self, parts: list[Samples]) -> Samples:
        """Return the samples of parts one after the other."""
        parts = [part for part in parts if len(part)]
        if not parts:
            empty = np.zeros((0, *self.shape, 3), np.uint8)
            return Samples(empty, np.zeros(0, np.int64), self.classes, ())
        subjects = None if parts[0].subjects is None else tuple(s for p in parts for s in p.subjects or ())
        ids = tuple(i for p in parts for i in p.ids)
        return Samples(np.concatenate([p.images for p in parts]), np.concatenate([p.labels for p in parts]), self.classes, ids, subjects)

    def remove(self, ids: Collection[str]) -> None:
        """Rewrite the parts that hold any of the ids without them; ids that are no longer there are ignored. Raises StoreError."""
        forgotten = set(ids)
        for path in self.paths():
            keep = np.array([i not in forgotten for i in _read(path, _ids)], bool)
            if not keep.all():
                self.put(path, self.part(path).take(keep))
        sync_folder(self.root)

    def retain(self, rows: dict[Path, np.ndarray]) -> None:
        """Rewrite parts with some of their samples, (n,) bool for each path, whose pixels were checked; raises StoreError."""
        for path, retained in rows.items():
            part = self.part(path)
            if not retained.all() or not part.intact("pixels"):
                part = part.take(retained)
                self.put(path, part.with_digests_of(part, "pixels"))
        sync_folder(self.root)

    def number(self, first: int) -> tuple[int, int]:
        """Give numbers from `first` on to samples that have none, or whose facts were altered.

        Returns the number that would come next and how many were given; numbers that parts have already are never given. Raises StoreError.
        """
        known = [int(part.numbered.max(initial=-1)) for _, part in self.parts() if _numbered(part)]
        first = max([first, *(top + 1 for top in known)])
        given = count(first)
        for path, part in self.parts():
            if not _numbered(part):
                numbers = np.array([next(given) for _ in part.samples.ids], np.int64)
                self.put(path, replace(part, numbers=numbers).with_digests_of(part, "facts"))
        sync_folder(self.root)
        total = next(given)
        return total, total - first

    def refresh(self, paths: Iterable[Path], features: Callable[[Samples], np.ndarray], made_by: str) -> None:
        """Rewrite parts with the features (n, d) float32 that a function returns for samples; raises StoreError."""
        for path in paths:
            part = self.part(path)
            self.put(path, replace(part, features=features(part.samples), made_by=made_by).with_digests_of(part, "features"))
        sync_folder(self.root)

    def problems(self) -> Iterator[str]:
        """Yield what of the files is not as it was written, samples by the beginning of their id."""
        for path in self.paths():
            try:
                yield from _problems(path.name, self.part(path))
            except StoreError as error:
                yield str(error)

    def part(self, path: Path) -> Part:
        """Return what one file holds; raises StoreError when it is damaged."""
        names = ("images", "labels", "features")

        def parse(file) -> Part:
            images, labels, features = (file.get_tensor(name) for name in names)
            meta, ids, numbers = file.metadata(), _ids(file), _numbers(file)
            subjects = json.loads(meta["subjects"])
            samples = Samples(images, labels, self.classes, ids, None if subjects is None else tuple(map(str, subjects)))
            made_by = meta.get("made_by", "")  # schema 1 wrote it in other words
            return _checked(Part(samples, numbers, features, made_by, {g: meta[g] for g in GROUPS if g in meta}), self.shape)

        return _read(path, parse)


def _checked(part: Part, shape: tuple[int, int]) -> Part:
    """Return the part; raises ValueError when its arrays do not belong together."""
    n = len(part.samples.ids)
    subjects, numbers = part.samples.subjects, part.numbers
    lengths = {len(part.samples.labels), len(part.features), *(len(v) for v in (subjects, numbers) if v is not None)}
    if part.samples.images.shape != (n, *shape, 3) or part.samples.images.dtype != np.uint8 or lengths - {n}:
        raise ValueError(f"{n} ids belong to images {part.samples.images.shape} and columns of {sorted(lengths)} rows")
    return part


def _numbered(part: Part) -> bool:
    return part.numbers is not None and part.intact("facts")


def _problems(name: str, part: Part) -> Iterator[str]:
    for row in np.flatnonzero(part.altered()):
        yield f"sample {part.samples.ids[row][:12]}... does not match its id ({_named(part, row)} in {name})"
    if part.numbers is None:
        yield f"{name} was written by an earlier version: its samples have no permanent numbers; repair the workspace"
        return
    said = {
        "facts": "a label, id, number or subject was altered",
        "pixels": "a pixel was altered",
        "features": "a feature was altered; it is computed again when the workspace is opened",
    }
    yield from (f"{name} is not as it was written: {said[group]}" for group in said if not part.intact(group))


def _named(part: Part, row: np.integer) -> str:
    return f"row {row}" if part.numbers is None else f"number {part.numbers[row]}"


def _read(path: Path, what: Callable[[Any], Any]) -> Any:
    """Return what a function takes from an open part; raises StoreError for a damaged one."""
    try:
        with safe_open(path, "numpy") as file:
            return what(file)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise StoreError(
            f"{path} is damaged ({error}). Restore it from a copy; or delete it and repair the workspace, which then goes on without "
            "its samples."
        ) from error


def _ids(file) -> tuple[str, ...]:
    digests, occurrences = file.get_tensor("digests"), file.get_tensor("occurrences")
    return tuple(f"{row.tobytes().hex()}-{int(k)}" for row, k in zip(digests, occurrences, strict=True))


def _numbers(file) -> np.ndarray | None:
    return file.get_tensor("numbers").astype(np.int64, casting="safe") if "numbers" in file.keys() else None  # noqa: SIM118
