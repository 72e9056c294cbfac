"""Finds the nearest prototypes of each sample, and updates them quickly when a few prototypes change.

Distances are squared Euclidean, between unit features and prototypes. Measuring all of them takes seconds for many samples; a
request moves few prototypes, so most earlier results remain valid.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from core.runtime.fixed_point import UNIT, unit, unit_steps

ROWS = 4096  # measured at a time, to bound memory
SURE = 4e-5  # of squared distance: over ten times what rounding makes of one between unit vectors (tests/test_ranking.py measures it)
FAR = np.float32(8)  # a squared distance that no two unit vectors have


def with_lengths(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return unit features (n, d) and their squared lengths (n,): about 1, but 0 for a feature of zeros."""
    x = unit(features)
    return x, np.einsum("ij,ij->i", x, x, dtype=np.float64).astype(np.float32)


def squared_distances(features: np.ndarray, prototypes: np.ndarray) -> np.ndarray:
    """Return squared Euclidean distances (n, p) float64 of features scaled to unit length to prototypes (p, d).

    Exact: both count in whole steps (`core.runtime.fixed_point`), so that no distance depends on its place or on the others.
    """
    result = np.empty((len(features), len(prototypes)))
    p = np.rint(prototypes.astype(np.float64) * UNIT)
    lengths = np.square(p).sum(1)
    for i in range(0, len(features), ROWS):
        x = unit_steps(features[i : i + ROWS])
        result[i : i + ROWS] = np.square(x).sum(1)[:, None] + lengths - 2 * (x @ p.T)
    return result / UNIT**2


@dataclass(frozen=True, eq=False)
class Ranking:
    """The nearest prototypes of n samples, as far as they are known.

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
        """Return the ranking of some rows when the prototypes `before` have become others; nearest is -1 where it must be measured again.

        New prototypes are measured roughly, with what `unit_features` returns: `with_lengths` of all n features. Whatever is decided
        by less than `SURE` is left to be measured again, so that the result is always that of a fit from scratch.
        """
        if np.array_equal(before, prototypes):
            return self.take(rows)
        index = {p.tobytes(): i for i, p in enumerate(prototypes)}
        now = np.array([*(index.get(p.tobytes(), -1) for p in before), -1], np.int64)  # the last entry stands for an unknown one
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
        distance = (p.double().square().sum(1).float() - 2 * (torch.from_numpy(unit_features) @ p.T)).numpy()[rows] + lengths[rows, None]
    if distance.shape[1] == 1:
        return np.zeros(len(rows), np.int64), distance[:, 0], np.full(len(rows), FAR)
    two = np.partition(distance, 1, axis=1)
    return distance.argmin(1), two[:, 0], two[:, 1]
