"""Labeled images with stable ids, which are made from their content: the data that a model learns and forgets.

Arrays are NumPy arrays and are treated as read-only.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from core.errors import InputError, UnknownSampleError


def sample_digest(image: np.ndarray, label: int) -> str:
    """Return the SHA-256 hex digest of an image (h, w, 3) uint8, its shape and its label."""
    head = json.dumps([list(image.shape), int(label)]).encode()
    return hashlib.sha256(head + np.ascontiguousarray(image).tobytes()).hexdigest()


@dataclass(frozen=True, eq=False)
class Samples:
    """Labeled images with stable ids.

    An id is `digest-k`: the digest of pixels and label, and an occurrence number k that tells exact copies apart. Everything
    computed depends on digests alone, so copies are interchangeable, while an id always names the same copy.
    """

    images: np.ndarray  # (n, h, w, 3) uint8
    labels: np.ndarray  # (n,) int64
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    subjects: tuple[str, ...] | None = None

    @classmethod
    def build(cls, images, labels, classes: Sequence[str] | None = None, subjects: Sequence | None = None) -> Samples:
        """Check arrays, number copies in order of appearance and return the record; grey images become RGB.

        images (n, h, w) or (n, h, w, 3), uint8; labels (n,) in 0..len(classes)-1. Raises InputError naming what does not fit.
        """
        images, labels = _check_images(images), np.asarray(labels)
        if labels.shape != (len(images),) or (len(labels) and not np.issubdtype(labels.dtype, np.integer)):
            raise InputError(f"labels has shape {labels.shape} and type {labels.dtype}; give one integer for each of {len(images)} images.")
        labels = labels.astype(np.int64)
        top = int(labels.max(initial=-1))
        classes = tuple(classes) if classes is not None else tuple(str(c) for c in range(top + 1))
        if top >= len(classes) or int(labels.min(initial=0)) < 0:
            raise InputError(f"labels run from {labels.min()} to {top}, but {len(classes)} classes are named; use 0 to {len(classes) - 1}.")
        if subjects is not None and len(subjects) != len(images):
            raise InputError(f"{len(subjects)} subjects for {len(images)} images; give one each, or none.")
        seen: Counter[str] = Counter()
        ids = []
        for image, label in zip(images, labels, strict=True):
            digest = sample_digest(image, label)
            ids.append(f"{digest}-{seen[digest]}")
            seen[digest] += 1
        return cls(images, labels, classes, tuple(ids), None if subjects is None else tuple(str(s) for s in subjects))

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def digests(self) -> tuple[str, ...]:
        """Content digests, one per sample, equal for exact copies."""
        return tuple(i.split("-", 1)[0] for i in self.ids)

    @cached_property
    def _index(self) -> dict[str, int]:
        return {sample: row for row, sample in enumerate(self.ids)}

    def rows(self, ids: Iterable[str]) -> np.ndarray:
        """Return the row of each id, in the ids' order; raises UnknownSampleError for one that is not here."""
        index, wanted = self._index, list(ids)
        unknown = [i for i in wanted if i not in index]
        if unknown:
            raise UnknownSampleError(
                f"{len(unknown)} of {len(wanted)} ids are not in the model (first: {str(unknown[0])[:16]}...): never learned, "
                "or already forgotten. List the current ids and ask again; nothing was changed."
            )
        return np.array([index[i] for i in wanted], np.int64)

    def places(self, ids: Iterable[str]) -> np.ndarray:
        """Return the row of each id, -1 for one that is not here."""
        index = self._index
        return np.array([index.get(i, -1) for i in ids], np.int64)

    def take(self, rows) -> Samples:
        """Return the samples at the given rows (integers, or a boolean mask over all), keeping their ids."""
        rows = np.arange(len(self))[np.asarray(rows)] if len(self) else np.empty(0, np.int64)
        pick = lambda values: tuple(map(values.__getitem__, rows.tolist()))  # noqa: E731
        subjects = None if self.subjects is None else pick(self.subjects)
        taken = replace(self, images=self.images[rows], labels=self.labels[rows], ids=pick(self.ids), subjects=subjects)
        taken.__dict__["digests"] = pick(self.digests)  # splitting the ids again would take longer than all else
        return taken

    def without(self, ids: Iterable[str]) -> Samples:
        """Return what remains after removing the ids; raises UnknownSampleError."""
        keep = np.ones(len(self), bool)
        keep[self.rows(ids)] = False
        return self.take(keep)

    def subjects_within(self, ids: Iterable[str]) -> tuple[str, ...]:
        """Return the subjects of whom nothing remains without these ids, sorted."""
        if self.subjects is None:
            return ()
        going, places = set(ids), list(zip(self.ids, self.subjects, strict=True))
        return tuple(sorted({s for i, s in places if i in going} - {s for i, s in places if i not in going}))

    def copies_of(self, ids: Iterable[str]) -> tuple[str, ...]:
        """Return the ids of exact copies of the given samples that are not among them."""
        chosen = set(ids)
        digests = {i.split("-", 1)[0] for i in chosen}
        return tuple(i for i, d in zip(self.ids, self.digests, strict=True) if d in digests and i not in chosen)

    def extended(self, other: Samples) -> Samples:
        """Return these samples followed by the others, whose copies are numbered on; raises InputError when shapes or classes differ."""
        if other.classes != self.classes or other.images.shape[1:] != self.images.shape[1:]:
            raise InputError(
                f"New samples have {len(other.classes)} classes and size {other.images.shape[1:]}; "
                f"this model has {len(self.classes)} and {self.images.shape[1:]}."
            )
        number = Counter[str]()
        for sample in self.ids:
            digest, k = sample.split("-", 1)
            number[digest] = max(number[digest], int(k) + 1)
        ids = []
        for digest in other.digests:
            ids.append(f"{digest}-{number[digest]}")
            number[digest] += 1
        subjects = None if self.subjects is None or other.subjects is None else self.subjects + other.subjects
        return Samples(
            np.concatenate([self.images, other.images]),
            np.concatenate([self.labels, other.labels]),
            self.classes,
            self.ids + tuple(ids),
            subjects,
        )


def _check_images(images) -> np.ndarray:
    images = np.asarray(images)
    if images.ndim == 3 and images.shape[2] == 3:
        raise InputError(f"images has shape {images.shape}, that of one RGB image; give a list of images: {(1, *images.shape)}.")
    if images.ndim == 3:
        images = np.repeat(images[..., None], 3, axis=3)
    if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
        raise InputError(f"images has shape {images.shape} and type {images.dtype}; give (n, h, w) or (n, h, w, 3) in uint8.")
    return images
