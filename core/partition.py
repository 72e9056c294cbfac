"""Cuts private data into clusters: `hierarchical` (the paper's HierCluster), `public`, and `random` (SISA's shards).

A partition is a pure function of the *set* of samples: their digests and frozen features. It does not depend on the order of
samples, knows no labels and trains nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import pdist, squareform

from core.environment import reproducible
from core.errors import InputError
from core.types import Partition, PartitionConfig

METHODS = ("hierarchical", "public", "random")
ROWS = 1024  # per matrix product, always: a sample's distances do not depend on how many others there are
SURE = 1e-4  # of squared distance: far more than rounding can make of the distances of unit vectors
FAR = np.float32(8)  # a squared distance that no two unit vectors have


def check_partition(config: PartitionConfig) -> None:
    """Raise InputError for a method or number that no partition can have."""
    if config.method not in METHODS:
        raise InputError(f"partition {config.method!r} is not one of {', '.join(METHODS)}.")
    for name in ("clusters", "cap"):
        value = getattr(config, name)
        if value is not None and value < 1:
            raise InputError(f"{name} is {value}; give a whole number of at least 1, or leave it out.")
    if config.anchor_share is not None and not 0 < config.anchor_share <= 1:
        raise InputError(f"anchor_share is {config.anchor_share}; give a share above 0 and up to 1, or leave it out.")


def scale(n: int) -> int:
    """Return the largest power of two up to n: sizes that follow from it seldom change when single samples go."""
    return 1 << max(0, n.bit_length() - 1)


def anchor_share(config: PartitionConfig, n: int) -> float:
    """Return the share of all digests that are anchors among n samples."""
    if config.anchor_share is not None:
        return config.anchor_share
    return 1.0 if n < 64 else min(1 / 6, 1024 / scale(n))


def cluster_count(config: PartitionConfig, n: int) -> int:
    """Return how many clusters n samples are cut into before the cap."""
    return config.clusters or min(256, max(1, scale(n) // 16))


def anchor_rows(digests: tuple[str, ...], share: float) -> np.ndarray:
    """Return the rows of the anchors, in ascending order of digest: those whose digest lies in the lowest `share` of all digests.

    Being an anchor is a sample's own affair, so one that is deleted is not replaced by another. At least one sample is an anchor.
    """
    bound = f"{math.ceil(share * 16**13):013x}"
    chosen = [r for r, d in enumerate(digests) if d < bound] if share < 1 else range(len(digests))
    chosen = chosen or [min(range(len(digests)), key=digests.__getitem__)]
    return np.array(sorted(chosen, key=digests.__getitem__), np.int64)


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
class Previous:
    """An earlier partition, of which what cannot have changed since is taken; that changes only the time.

    `rows` (n,) holds each new sample's row in the earlier set, -1 for one that was not there. `unit_features` returns `with_lengths`
    of the earlier samples' features, `between_anchors` the distances (m, m) between its anchors; both are asked only if needed.
    """

    partition: Partition
    rows: np.ndarray
    unit_features: Callable[[], tuple[np.ndarray, np.ndarray]]
    between_anchors: Callable[[], np.ndarray]

    def anchors(self, anchors: np.ndarray) -> np.ndarray | None:
        """Return the places of these anchors (rows now) among the earlier ones, or None when one was no anchor then."""
        place = np.full(len(self.partition.assignment) + 1, -1)  # the last entry stands for a new sample
        place[self.partition.anchors] = np.arange(len(self.partition.anchors))
        found = place[self.rows[anchors]]
        return None if (found < 0).any() else found

    def same_clusters(self, partition: Partition) -> np.ndarray:
        """Return for each cluster of a partition the earlier one with the very same samples, or -1."""
        before, k = self.partition.assignment, partition.clusters
        came = np.where(self.rows < 0, -1, before[self.rows]) if len(before) else np.full(len(self.rows), -1)
        low, high = np.full(k, len(before)), np.full(k, -1)
        np.minimum.at(low, partition.assignment, came)
        np.maximum.at(high, partition.assignment, came)
        sizes = np.bincount(before, minlength=1)
        same = (low == high) & (low >= 0) & (sizes[np.clip(low, 0, len(sizes) - 1)] == np.bincount(partition.assignment, minlength=k))
        return np.where(same, low, -1)


def make_partition(
    digests: tuple[str, ...],
    features,
    config: PartitionConfig,
    public: np.ndarray | None = None,
    previous: Previous | None = None,
) -> Partition:
    """Partition samples by digest and feature.

    `features(rows) -> (len(rows), d)` is asked only for what is needed. `public` (p, d) are public prototypes, for that method.
    Raises InputError.
    """
    check_partition(config)
    n = len(digests)
    if config.method == "random" or n == 0:
        return _random(digests, cluster_count(config, n))
    if config.method == "public":
        if public is None:
            raise InputError(
                "the public partition needs public prototypes, and this backbone ships none. Use 'embedded', or the hierarchical partition."
            )
        anchors, prototypes = np.empty(0, np.int64), public[: config.clusters]
    else:
        anchors = anchor_rows(digests, anchor_share(config, n))
        prototypes = _prototypes(features, anchors, config, n, previous)
    nearest, reached = _nearest(features, n, prototypes, previous)
    return replace(_with_cap(digests, nearest, prototypes, anchors, config.cap), reached=reached)


def _prototypes(features, anchors: np.ndarray, config: PartitionConfig, n: int, previous: Previous | None) -> np.ndarray:
    """Return the anchors' prototypes; the earlier ones where nothing that they depend on has changed."""
    places = previous.anchors(anchors) if previous else None
    if places is None:
        return hierarchical_prototypes(unit(features(anchors)), config, n)
    before = len(previous.partition.anchors)
    if len(places) == before and tree_limits(config, before, n) == tree_limits(config, before, len(previous.partition.assignment)):
        return previous.partition.prototypes
    distances = squareform(previous.between_anchors()[np.ix_(places, places)], checks=False)
    return hierarchical_prototypes(unit(features(anchors)), config, n, distances)


def _nearest(features, n: int, prototypes: np.ndarray, previous: Previous | None) -> tuple[np.ndarray, np.ndarray]:
    """Return each sample's nearest prototype (n,), and `Partition.reached` (n, 2)."""
    nearest, reached = np.full(n, -1, np.int64), np.zeros((n, 2), np.float32)
    if previous is not None and previous.partition.reached is not None:
        old = np.flatnonzero(previous.rows >= 0)
        nearest[old], reached[old] = _still_nearest(prototypes, previous, previous.rows[old])
    todo = np.flatnonzero(nearest < 0)
    if len(todo):
        nearest[todo], reached[todo] = _measured(squared_distances(features(todo), prototypes))
    return nearest, reached


def _measured(distance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return from distances (n, p) the nearest prototype, and its distance with what the second nearest one's is above it."""
    nearest = distance.argmin(1)
    best = distance[np.arange(len(distance)), nearest]
    second = np.partition(distance, 1, axis=1)[:, 1] if distance.shape[1] > 1 else np.full(len(distance), FAR)
    return nearest, np.stack([best, second - best], 1)


def _still_nearest(prototypes: np.ndarray, previous: Previous, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return for earlier rows the nearest prototype, -1 where it must be measured anew, and `Partition.reached`.

    Of the earlier prototypes, the nearest one stays nearest while it is there, and no other came closer. The new ones are measured
    roughly. Whatever is decided by less than `SURE` is left to be measured anew, so that rounding never decides otherwise than in a
    fit from scratch.
    """
    before = previous.partition
    old, reached = before.buckets[before.assignment[rows]], before.reached[rows]
    if np.array_equal(before.prototypes, prototypes):
        return old, reached
    found = {p.tobytes(): i for i, p in enumerate(prototypes)}
    now = np.array([found.get(p.tobytes(), -1) for p in before.prototypes], np.int64)
    new, stays = np.setdiff1d(np.arange(len(prototypes)), now), now[old] >= 0
    kept = np.where(stays, reached[:, 0], reached[:, 0] + reached[:, 1])  # no earlier prototype that is left is nearer
    others = np.where(stays, reached[:, 0] + reached[:, 1], kept)  # and but for the nearest, none is nearer than this
    nearest = now[old]
    if len(new):
        first, least, second = _roughly_nearest(*previous.unit_features(), prototypes[new], rows)
        closer = least < kept
        nearest = np.where(closer, new[first], nearest)
        others = np.where(closer, np.minimum(kept, second), np.minimum(others, least))
        kept = np.minimum(kept, least)
    margin = others - kept
    nearest[margin <= SURE] = -1
    return nearest, np.stack([kept, margin], 1)


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


def hierarchical_prototypes(anchors: np.ndarray, config: PartitionConfig, n: int, distances: np.ndarray | None = None) -> np.ndarray:
    """Return prototypes (p, d): the means of the anchors' average-linkage clusters (paper, section 4.1).

    `anchors` (m, d) are in ascending order of digest; `distances` (m * (m - 1) / 2,) between them, if known. The tree is cut into
    the configured number of clusters; a cluster with over four times its even share of anchors, or whose share of the anchors
    promises more than `cap` samples, is cut further down the tree.
    """
    m = len(anchors)
    k, most = tree_limits(config, m, n)
    if m == 1:
        return anchors.copy()
    children = linkage(anchor_distances(anchors) if distances is None else distances, "average")[:, :2].astype(int)
    groups = _cut(children, m, k, most)
    return np.stack([anchors[g].mean(0) for g in groups])


def anchor_distances(anchors: np.ndarray) -> np.ndarray:
    """Return the distances (m * (m - 1) / 2,) float64 between anchors (m, d), each pair's independent of the others."""
    return pdist(anchors)


def tree_limits(config: PartitionConfig, anchors: int, n: int) -> tuple[int, float]:
    """Return into how many clusters the anchors' tree is cut, and the most anchors that one may hold."""
    k = min(cluster_count(config, n), anchors)
    most = 4 * anchors / k if config.cap is None else min(4 * anchors / k, config.cap * anchors / n)
    return k, max(1.0, most)


def _cut(children: np.ndarray, m: int, k: int, most: float) -> list[list[int]]:
    """Undo the last k - 1 merges of a tree, then more of them inside groups of over `most` leaves; return leaves by group."""
    leaves = {i: [i] for i in range(m)}
    for i, (a, b) in enumerate(children):
        leaves[m + i] = sorted(leaves[a] + leaves[b])
    nodes = {2 * m - 2}
    for node in range(2 * m - 2, 2 * m - 1 - k, -1):
        nodes = (nodes - {node}) | {int(c) for c in children[node - m]}
    waiting, groups = sorted(nodes), []
    while waiting:
        node = waiting.pop()
        if node >= m and len(leaves[node]) > most:
            waiting += [int(c) for c in children[node - m]]
        else:
            groups.append(leaves[node])
    return sorted(groups)


def _with_cap(digests, nearest: np.ndarray, prototypes: np.ndarray, anchors: np.ndarray, cap: int | None) -> Partition:
    """Drop empty prototypes' clusters and cut those still over the cap by digest into 2, 4, 8, ... parts."""
    assignment, buckets = np.full(len(nearest), -1, np.int64), []
    order = np.argsort(nearest, kind="stable")
    prototypes_used, starts = np.unique(nearest[order], return_index=True)
    for prototype, rows in zip(prototypes_used, np.split(order, starts[1:]), strict=True):
        parts = _halve(digests, rows, cap) if cap else [rows]
        for part in parts:
            assignment[part] = len(buckets)
            buckets.append(prototype)
    return Partition(prototypes.astype(np.float32), np.array(buckets, np.int64), assignment, anchors)


def _halve(digests, rows: np.ndarray, cap: int) -> list[np.ndarray]:
    """Cut rows by the low bits of their digests until no part exceeds the cap; copies always stay together."""
    numbers = np.array([int(digests[r][-8:], 16) for r in rows])
    for bits in range(17):
        bucket = numbers & ((1 << bits) - 1)
        if np.bincount(bucket).max() <= cap:
            break
    return [rows[bucket == b] for b in np.unique(bucket)]


def _random(digests: tuple[str, ...], clusters: int) -> Partition:
    shard = np.array([int(d[-12:], 16) % clusters for d in digests], np.int64)
    present, assignment = np.unique(shard, return_inverse=True)
    return Partition(np.zeros((0, 0), np.float32), present, assignment.astype(np.int64), np.empty(0, np.int64))
