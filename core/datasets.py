"""Named and users' image data sets as train and test samples.

It knows where data lies and how rows become Samples; it knows nothing of models, clusters or pages.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.errors import DataError
from core.types import Samples


@dataclass(frozen=True)
class Dataset:
    """Private samples that a model learns, and test samples that no one asks to forget."""

    name: str
    train: Samples
    test: Samples


def load_dataset(name: str, data_dir: Path | None = None, limit: int | None = None) -> Dataset:
    """Return the data set of that name."""
    if name == "digits":
        return _digits(limit)
    raise DataError(f"No data set is called {name!r}; use digits.")


def _digits(limit: int | None) -> Dataset:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    raw = load_digits()
    images = ((raw.images.astype(np.int64) * 255 + 8) // 16).astype(np.uint8)  # 0..16 to 0..255, rounded, in integers
    rows = train_test_split(np.arange(len(images)), test_size=0.2, random_state=0, stratify=raw.target)
    classes = tuple(str(c) for c in range(10))
    train, test = (Samples.build(images[r], raw.target[r], classes) for r in (_subset(r, limit) for r in rows))
    return Dataset("digits", train, test)


def _subset(rows: np.ndarray, limit: int | None) -> np.ndarray:
    """Return at most `limit` of the rows: a fixed random choice, smaller ones inside larger ones, in the rows' order."""
    if limit is None or limit >= len(rows):
        return rows
    return rows[np.sort(np.random.default_rng(0).permutation(len(rows))[:limit])]
