"""The global head: a linear discriminant over all private data, kept as integer sums, so that a sample can be subtracted exactly.

It reads the frozen feature and fixed random ReLU features of it, both as whole numbers, so the order of samples changes no bit. The
classifier solved from the sums is the same as if the subtracted samples had never been added. It plays no part in cluster training.
Clusters without a prompt keep the same sums of their own members (`class_sums`); their answers come from their own class means and the
covariance of all data (`Solved.local`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh
from scipy.special import softmax

from core.data.samples import Samples
from core.lmeraser.records import tensors_digest
from core.runtime.determinism import reproducible
from core.runtime.fixed_point import LIMIT, SCALE, feature_steps

RANDOM_FEATURES = 512
MATRIX = 1 << 12  # steps in 1 of the random matrix
ROWS = 4096  # samples that are added at once: their products stay below 2**53, so float64 sums are exact
SOLVED_BITS = 31  # of the solved weights: with 10-bit inputs and up to 4,096 of them, every partial sum stays below 2**53
SETTINGS = {"random_features": RANDOM_FEATURES, "shrinkage": "oracle approximating", "scale": SCALE, "limit": LIMIT, "matrix": MATRIX}


@functools.cache
def _matrix(width: int) -> np.ndarray:
    """Return the fixed random matrix (width, RANDOM_FEATURES) as whole numbers of 1/4096."""
    rng = np.random.default_rng(20240404)
    return np.rint(rng.standard_normal((width, RANDOM_FEATURES)) / np.sqrt(width) * MATRIX)


def expand(features: np.ndarray) -> np.ndarray:
    """Return integers (n, d + RANDOM_FEATURES) as float64: the features and fixed random ReLUs of them, in fixed point.

    Each row depends on its own feature alone: whole numbers are multiplied, and no sum reaches 2**53.
    """
    own = feature_steps(features)
    random = np.rint(np.maximum(own @ _matrix(features.shape[1]), 0) * 2 / MATRIX)
    return np.concatenate([own, np.minimum(random, LIMIT * SCALE)], 1)


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
        for i in range(0, len(features), ROWS):
            x, y = expand(features[i : i + ROWS]), labels[i : i + ROWS]
            one_hot = np.eye(len(counts))[y]
            counts += sign * np.bincount(y, minlength=len(counts))
            sums += sign * (one_hot.T @ x).astype(np.int64)
            gram += sign * (x.T @ x).astype(np.int64)
        return GlobalHead(counts, sums, gram)

    def moved(self, before: Samples, after: Samples, features: Callable[[Samples], np.ndarray]) -> GlobalHead:
        """Return the statistics of `after`, given that these are those of `before`: the difference is added and subtracted.

        Where fewer samples stay than leave and come, they are summed from scratch instead, which gives the same whole numbers.
        """
        old_ids, new_ids = set(before.ids), set(after.ids)
        forgotten = [r for r, i in enumerate(before.ids) if i not in new_ids]
        learned = [r for r, i in enumerate(after.ids) if i not in old_ids]
        if len(forgotten) + len(learned) > len(after):
            return GlobalHead.empty(len(self.counts), self.sums.shape[1] - RANDOM_FEATURES).changed(features(after), after.labels, 1)
        head = self
        for samples, rows, sign in ((before, forgotten, -1), (after, learned, 1)):
            if rows:
                some = samples.take(rows)
                head = head.changed(features(some), some.labels, sign)
        return head

    @property
    def digest(self) -> str:
        """SHA-256 over the integers."""
        return tensors_digest({"counts": self.counts, "sums": self.sums, "gram": self.gram})

    def solve(self) -> Solved:
        """Return the discriminant with pooled, shrunken covariance.

        How far the covariance is shrunk follows from the sums alone (`shrinkage`). Weights are rounded so far that their products with
        `expand`ed features add up exactly, in whatever order.
        """
        n, present = int(self.counts.sum()), self.counts > 0
        means = self.sums / SCALE / np.maximum(self.counts, 1)[:, None]
        with reproducible():
            within = self.gram / SCALE**2 - (means * self.counts[:, None]).T @ means
            freedom = max(1, n - int(present.sum()))
            covariance = within / freedom
            mean_variance = max(np.trace(covariance) / len(covariance), 1e-6)
            share = shrinkage(covariance, freedom)
            covariance *= 1 - share
            covariance[np.diag_indices_from(covariance)] += share * mean_variance + 1e-6
            weight = _rounded(np.linalg.solve(covariance, means.T).T)
        prior = np.log(np.maximum(self.counts, 1) / max(n, 1))
        bias = np.where(present, prior - 0.5 * (weight * means).sum(1), -np.inf)
        return Solved(self.counts, means, covariance, weight, bias)

    def leave_one_out(self, features: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return class probabilities (n, classes) of samples in the sums, each answered by the head without that sample.

        features (n, d) float32, labels (n,). Equals subtracting a sample, solving again and asking, up to rounding, but costs one
        eigendecomposition for all of them: without a sample the scatter within classes changes by one rank, and the share of
        shrinkage, which is computed for each, changes eigenvalues only.
        """
        n, present = int(self.counts.sum()), self.counts > 0
        means = self.sums / SCALE / np.maximum(self.counts, 1)[:, None]
        values, vectors = eigh(self.gram / SCALE**2 - (means * self.counts[:, None]).T @ means, driver="evd")
        left_out = _LeftOut(self.counts, max(1, n - int(present.sum())), np.maximum(values, 0), means @ vectors)
        parts = [slice(i, i + ROWS) for i in range(0, len(labels), ROWS)]
        scores = [left_out.scores(expand(features[part]) / SCALE @ vectors, labels[part]) for part in parts]
        return softmax(np.concatenate([np.zeros((0, len(self.counts))), *scores]), axis=1)


@dataclass(frozen=True, eq=False)
class _LeftOut:
    """A head's counts (c,) and freedom; eigenvalues (d,) of the scatter within classes, and means (c, d) along its eigenvectors."""

    counts: np.ndarray
    freedom: int
    values: np.ndarray
    means: np.ndarray

    def scores(self, x: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return what each of the samples (n, d) scores (n, c) under the head without it: -inf for absent classes."""
        every, own = np.arange(len(labels)), self.counts[labels]
        rest = np.maximum(own - 1, 1)
        offset = x - self.means[labels]  # zero for a sample that is alone in its class
        scatter, freedom = own / rest, np.maximum(1, self.freedom - (own > 1))
        diagonal, share = self._covariance(np.square(offset), scatter, freedom)
        inverse = 1 / diagonal
        length = (np.square(offset) * inverse).sum(1)
        weight = (1 - share) * scatter / freedom  # of the rank that is subtracted; inverted as Sherman and Morrison do:
        weight /= 1 - weight * length
        along_x, along_means = (x * offset * inverse).sum(1), (offset * inverse) @ self.means.T
        products = (x * inverse) @ self.means.T + (weight * along_x)[:, None] * along_means
        lengths = inverse @ np.square(self.means).T + weight[:, None] * np.square(along_means)
        step, stretch = 1 / rest, 1 + weight * length  # the own mean moves by -step * offset
        products[every, labels] -= step * stretch * along_x
        lengths[every, labels] += step * stretch * (step * length - 2 * along_means[every, labels])
        counts = np.tile(self.counts, (len(labels), 1))
        counts[every, labels] -= 1
        total = counts.sum(1, keepdims=True)
        scores = products - 0.5 * lengths + np.log(np.maximum(counts, 1) / np.maximum(total, 1))
        return np.where(total > 0, np.where(counts > 0, scores, -np.inf), 0.0)  # without any sample, all classes are as likely

    def _covariance(self, squares: np.ndarray, scatter: np.ndarray, freedom: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the shrunken covariance's diagonal (n, d), before one rank is subtracted, and the share of shrinkage (n,)."""
        d, length = len(self.values), squares.sum(1)
        trace = (self.values.sum() - scatter * length) / freedom
        norm = np.square(self.values).sum() - 2 * scatter * (squares @ self.values) + np.square(scatter * length)
        share = _oracle(trace, np.maximum(norm, 0) / freedom**2, d, freedom)
        ridge = share * np.maximum(trace / d, 1e-6) + 1e-6
        return ((1 - share) / freedom)[:, None] * self.values + ridge[:, None], share


def class_sums(features: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Return the classes (m,) that occur, their counts (m,) and the sums (m, d) of their `expand`ed features (n, ...), all int64."""
    classes, place, counts = np.unique(labels, return_inverse=True, return_counts=True)
    one_hot = np.eye(len(classes))[:, place]
    parts = [slice(i, i + ROWS) for i in range(0, len(labels), ROWS)]
    sums = sum(one_hot[:, part] @ expand(features[part]) for part in parts)  # whole numbers: exact in any order
    return {"classes": classes.astype(np.int64), "counts": counts.astype(np.int64), "sums": np.asarray(sums).astype(np.int64)}


@dataclass(frozen=True, eq=False)
class Solved:
    """A solved discriminant: counts (c,), means (c, d), shrunken covariance (d, d), weight (c, d), bias (c,): -inf for absent classes."""

    counts: np.ndarray
    means: np.ndarray
    covariance: np.ndarray
    weight: np.ndarray
    bias: np.ndarray

    def proba(self, features: np.ndarray) -> np.ndarray:
        """Return the head's class probabilities (n, classes) for features (n, d) float32."""
        parts = [expand(features[i : i + ROWS]) / SCALE @ self.weight.T + self.bias for i in range(0, len(features), ROWS)]
        return softmax(np.concatenate([np.zeros((0, len(self.counts))), *parts]), axis=1)

    @functools.cached_property
    def _precision(self) -> np.ndarray:
        with reproducible():
            return np.linalg.inv(self.covariance)

    def local(self, sums: dict[str, np.ndarray], prior: float) -> tuple[np.ndarray, np.ndarray]:
        """Return weight (c, d) and bias (c,) of a cluster with these `class_sums`: its own class means under the covariance of all data.

        The means and class shares of all data count for `prior` further members. Rounded as `GlobalHead.solve` rounds.
        """
        own, counts = sums["classes"], np.zeros(len(self.counts))
        counts[own] = sums["counts"]
        total, weight = prior * self.means, prior * self.weight
        with reproducible():
            total[own] += sums["sums"] / SCALE
            weight[own] += sums["sums"] / SCALE @ self._precision
        total, weight = (values / (counts + prior)[:, None] for values in (total, weight))
        weight = _rounded(weight)
        shares = (counts + prior * np.maximum(self.counts, 1) / max(1, self.counts.sum())) / (counts.sum() + prior)
        return weight, np.where(self.counts > 0, np.log(shares) - 0.5 * (weight * total).sum(1), -np.inf)


def shrinkage(covariance: np.ndarray, freedom: int) -> float:
    """Return how far, from 0 to 1, an estimate (d, d) with so many degrees of freedom should move to its mean variance times identity.

    Oracle approximating shrinkage (Chen, Wiesel, Eldar, Hero, IEEE Transactions on Signal Processing 58, 2010, equation 23).
    """
    return float(_oracle(np.trace(covariance), np.square(covariance).sum(), len(covariance), np.asarray(freedom)))


def _oracle(trace: np.ndarray, squares: np.ndarray, d: int, freedom: np.ndarray) -> np.ndarray:
    """Return `shrinkage` of estimates with these traces and sums of squares."""
    spread = (freedom + 1 - 2 / d) * (squares - trace**2 / d)
    share = ((1 - 2 / d) * squares + trace**2) / np.where(spread > 0, spread, 1)
    return np.where(spread > 0, np.minimum(1.0, share), 1.0)


def _rounded(weight: np.ndarray) -> np.ndarray:
    """Return weights as multiples of one power of two, SOLVED_BITS below the largest."""
    exponent = SOLVED_BITS - int(np.frexp(np.abs(weight).max(initial=0.0))[1])
    return np.ldexp(np.rint(np.ldexp(weight, exponent)), -exponent)
