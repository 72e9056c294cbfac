"""A linear discriminant over all private data, kept as integer sums, so that a sample is subtracted bit for bit.

Reads the frozen feature and fixed random ReLU features of it. Integer sums do not depend on the order of additions; the
classifier solved from them is therefore the same as if the subtracted samples had never been added. Never fed into any
cluster's training.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.types import tensors_digest

RANDOM_FEATURES = 512
SCALE, LIMIT = 64, 8.0  # fixed point: values in -8..8 in steps of 1/64
SHRINKAGE = 1e-2


def expand(features: np.ndarray) -> np.ndarray:
    """Return integers (n, d + RANDOM_FEATURES) as float64: the features and fixed random ReLUs of them, in fixed point.

    Each row depends on its own feature alone (fixed number of rows per product).
    """
    rng = np.random.default_rng(20240404)
    matrix = (rng.standard_normal((features.shape[1], RANDOM_FEATURES)) / np.sqrt(features.shape[1])).astype(np.float32)
    out = np.empty((len(features), features.shape[1] + RANDOM_FEATURES), np.float64)
    for i in range(0, len(features), 256):
        part = features[i : i + 256]
        padded = np.zeros((256, features.shape[1]), np.float32)
        padded[: len(part)] = part
        both = np.concatenate([padded, np.maximum(padded @ matrix, 0) * 2], 1)[: len(part)]
        out[i : i + 256] = np.rint(np.clip(both, -LIMIT, LIMIT) * SCALE)
    return out


@dataclass(frozen=True, eq=False)
class GlobalHead:
    """Sufficient statistics of a linear discriminant: counts (c,), sums (c, d) and one Gram matrix (d, d), all int64."""

    counts: np.ndarray
    sums: np.ndarray
    gram: np.ndarray

    @classmethod
    def empty(cls, num_classes: int, feature_dim: int) -> GlobalHead:
        d = feature_dim + RANDOM_FEATURES
        return cls(np.zeros(num_classes, np.int64), np.zeros((num_classes, d), np.int64), np.zeros((d, d), np.int64))

    def changed(self, features: np.ndarray, labels: np.ndarray, sign: int) -> GlobalHead:
        """Return the statistics with samples added (sign 1) or subtracted (-1); features (n, d) float32, labels (n,)."""
        counts, sums, gram = self.counts.copy(), self.sums.copy(), self.gram.copy()
        for i in range(0, len(features), 4096):  # products of 4,096 rows stay below 2**53, so float64 sums are exact
            x, y = expand(features[i : i + 4096]), labels[i : i + 4096]
            one_hot = np.eye(len(counts))[y]
            counts += sign * np.bincount(y, minlength=len(counts))
            sums += sign * (one_hot.T @ x).astype(np.int64)
            gram += sign * (x.T @ x).astype(np.int64)
        return GlobalHead(counts, sums, gram)

    @property
    def digest(self) -> str:
        """SHA-256 over the integers."""
        return tensors_digest({"counts": self.counts, "sums": self.sums, "gram": self.gram})

    def solve(self) -> tuple[np.ndarray, np.ndarray]:
        """Return weight (c, d) and bias (c,) of the discriminant with pooled, shrunken covariance; absent classes get -inf."""
        n, present = int(self.counts.sum()), self.counts > 0
        means = self.sums / SCALE / np.maximum(self.counts, 1)[:, None]
        within = self.gram / SCALE**2 - (means * self.counts[:, None]).T @ means
        covariance = within / max(1, n - int(present.sum()))
        mean_variance = np.trace(covariance) / len(covariance)
        covariance[np.diag_indices_from(covariance)] += SHRINKAGE * max(mean_variance, 1e-6) + 1e-6
        weight = np.linalg.solve(covariance, means.T).T
        prior = np.log(np.maximum(self.counts, 1) / max(n, 1))
        bias = np.where(present, prior - 0.5 * (weight * means).sum(1), -np.inf)
        return weight, bias
