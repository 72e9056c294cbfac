"""Which prototypes each sample is nearest to, and what stays of that when a few prototypes change.

Distances are squared Euclidean ones between unit features and prototypes. Measuring all of them for all samples takes seconds where
there are many; a request moves few prototypes, so most of what was known before it still holds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from core.environment import reproducible

ROWS = 1024  # per matrix product, always: a sample's distances do not depend on how many others there are
SURE = 2e-5  # of squared distance: over ten times what rounding makes of one between unit vectors (tests/test_ranking.py measures it)
FAR = np.float32(8)  # a squared distance that no two unit vectors have


def unit(features: np.ndarray) -> np.ndarray:
    """Return features (n, d) scaled to length 1, so that Euclidean distance orders like cosine distance."""
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)


def with_lengths(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return unit features (n, d) and their squared lengths (n,): 1, but 0 for a feature of zeros."""
    x = unit(features)
    return x, np.einsum("ij,ij->i", x, x)


def squared_distances(features: np.ndarray, prototypes: np.ndarray) -> np.ndarray:
    """Return squared Euclidean distances (n, p) of unit features to prototypes, each row independent of the others."""
    result = np.empty((len(features), len(prototypes)), np.float32)
    p = torch.from_numpy(np.ascontiguousarray(prototypes))
    with reproducible(), torch.inference_mode():
        for i in range(0, len(features), ROWS):
            part = unit(features[i : i + ROWS])
            padded = np.zeros((ROWS, features.shape[1]), np.float32)
            padded[: len(part)] = part
            x = torch.from_numpy(padded)
            distance = p.square().sum(1) - 2 * (x @ p.T) + x.square().sum(1, keepdim=True)
            result[i : i + ROWS] = distance[: len(part)].numpy()
    return result


@dataclass(frozen=True, eq=False)
class Ranking:
    """What is known of n samples' nearest prototypes.

    `names` (n, 2) are the nearest prototype and the second nearest, -1 where it is not known which one that is. `distances` (n, 3)
    float32 are theirs, up to rounding, and one that no other prototype falls below; without a name, the second is such a bound, too.
    """

    names: np.ndarray
    distances: np.ndarray

    @classmethod
    def unknown(cls, n: int) -> Ranking:
        return cls(np.full((n, 2), -1, np.int64), np.zeros((n, 3), np.float32))

    @classmethod
    def measured(cls, features: np.ndarray, prototypes: np.ndarray) -> Ranking:
        """Rank all prototypes (p, d) for features (n, d); the first of several that are equally near counts as nearest."""
        distance, every = squared_distances(features, prototypes), np.arange(len(features))
        names, least = np.empty((len(features), 2), np.int64), np.empty((len(features), 3), np.float32)
        for place in (0, 1):
            names[:, place] = distance.argmin(1)
            least[:, place] = distance[every, names[:, place]]
            distance[every, names[:, place]] = FAR
        least[:, 2] = distance.min(1)
        names[least[:, :2] == FAR] = -1  # there is one prototype only
        return cls(names, least)

    def take(self, rows: np.ndarray) -> Ranking:
        return Ranking(self.names[rows], self.distances[rows])

    def put(self, rows: np.ndarray, other: Ranking) -> None:
        """Overwrite rows with another ranking's."""
        self.names[rows], self.distances[rows] = other.names, other.distances

    def carried(
        self, rows: np.ndarray, before: np.ndarray, prototypes: np.ndarray, unit_features: Callable[[], tuple[np.ndarray, np.ndarray]]
    ) -> Ranking:
        """Return the ranking of some rows when the prototypes `before` have become others; nearest is -1 where it must be measured anew.

        New prototypes are measured roughly, with what `unit_features` returns: `with_lengths` of all n features. Whatever is decided
        by less than `SURE` is left to be measured anew, so that rounding never decides otherwise than in a fit from scratch.
        """
        if np.array_equal(before, prototypes):
            return self.take(rows)
        found = {p.tobytes(): i for i, p in enumerate(prototypes)}
        now = np.array([*(found.get(p.tobytes(), -1) for p in before), -1], np.int64)  # the last entry stands for an unknown one
        names, others = now[self.names[rows]], self.distances[rows, 2]
        distances = np.where(names < 0, FAR, self.distances[rows, :2])
        new = np.setdiff1d(np.arange(len(prototypes)), now)
        if len(new):
            first, least, second = _roughly_nearest(*unit_features(), prototypes[new], rows)
            names, distances = np.column_stack([names, new[first]]), np.column_stack([distances, least])
            others = np.minimum(others, second)
        return _sorted(names, distances, others)


def _sorted(names: np.ndarray, distances: np.ndarray, others: np.ndarray) -> Ranking:
    """Return the ranking of two or three prototypes by name and distance, when no other is nearer than `others` (n,)."""
    order = distances.argsort(1)
    names, distances = np.take_along_axis(names, order, 1), np.take_along_axis(distances, order, 1)
    third = distances[:, 2] if distances.shape[1] > 2 else FAR
    second = np.minimum(distances[:, 1], others)
    names[distances[:, 1] > others, 1] = -1
    names[second - distances[:, 0] <= SURE, 0] = -1
    return Ranking(names[:, :2], np.stack([distances[:, 0], second, np.minimum(third, others)], 1))


def _roughly_nearest(
    unit_features: np.ndarray, lengths: np.ndarray, prototypes: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return for rows of unit features the nearest of a few prototypes, its squared distance and the second nearest's, up to rounding."""
    with torch.inference_mode():  # on all cores: how it rounds decides nothing
        p = torch.from_numpy(prototypes)
        distance = (p.square().sum(1) - 2 * (torch.from_numpy(unit_features) @ p.T)).numpy()[rows] + lengths[rows, None]
    if distance.shape[1] == 1:
        return np.zeros(len(rows), np.int64), distance[:, 0], np.full(len(rows), FAR)
    two = np.partition(distance, 1, axis=1)
    return distance.argmin(1), two[:, 0], two[:, 1]
