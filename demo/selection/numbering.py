"""Says which pictures a page's sample numbers refer to, so that a link, a file or a script never selects other pictures.

A picture keeps its number: in a workspace numbers outlive restarts and are never reused. Links, saved selections and API calls
carry the fingerprint of the numbered pictures as `data`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.data.samples import Samples
from core.errors import InputError
from demo import texts


@dataclass(frozen=True)
class Numbering:
    """data: the fingerprint; empty until a workspace is ready. forgotten: the numbers of forgotten pictures."""

    data: str
    forgotten: frozenset[int] = frozenset()
    permanent: bool = False  # in a workspace: numbers outlive restarts

    def check(self, data: Any) -> None:
        """Raise InputError unless a fingerprint is this page's; None and an empty one are not checked."""
        if data in (None, ""):
            return
        if data != self.data:
            raise InputError(texts.OTHER_DATA.format(f"{data!s:.40}", self.data or texts.NO_DATA_YET))


def of_samples(samples: Samples) -> str:
    """Return the fingerprint of a data set: a short hash of its samples' ids, in order."""
    return _short("".join(samples.ids))


def of_workspace(name: str) -> str:
    """Return the fingerprint of a workspace from its permanent id, whatever it still contains."""
    return _short(f"workspace {name}")


def spread(samples: Samples, numbers: np.ndarray, total: int) -> Samples:
    """Return samples each at its own number (n,), out of `total`; every other row is empty: black pixels, class 0, a placeholder id."""
    rows, places = numbers.tolist(), np.asarray(numbers, np.int64)
    images = np.zeros((total, *samples.images.shape[1:]), samples.images.dtype)
    labels = np.zeros(total, np.int64)
    images[places], labels[places] = samples.images, samples.labels
    ids, subjects = [_placeholder(row) for row in range(total)], [""] * total
    for row, sample in zip(rows, samples.ids, strict=True):
        ids[row] = sample
    for row, subject in zip(rows, samples.subjects or (), strict=False):
        subjects[row] = subject
    return Samples(images, labels, samples.classes, tuple(ids), tuple(subjects) if samples.subjects else None)


def without_content(samples: Samples, rows: Iterable[int]) -> Samples:
    """Return the samples with some rows emptied."""
    removed = set(rows)
    retained = np.array([row for row in range(len(samples)) if row not in removed], np.int64)
    return spread(samples.take(retained), retained, len(samples))


def _placeholder(row: int) -> str:
    return f"forgotten-{row}"


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
