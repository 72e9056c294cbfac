"""Cuts private data into clusters: `hierarchical` (the paper's HierCluster), `public`, and `random` (SISA's shards).

A partition is a pure function of the *set* of samples: their digests and frozen features. It does not depend on the order of
samples, knows no labels and trains nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.cluster import AgglomerativeClustering

from core.environment import reproducible
from core.errors import InputError
from core.types import Partition, PartitionConfig

METHODS = ("hierarchical", "public", "random")
ROWS = 4096  # per matrix product, always: a sample's distances do not depend on how many others there are


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
    """An earlier partition and its samples' digests. What cannot have changed since is taken from it, which changes only the time."""

    partition: Partition
    digests: tuple[str, ...]

    def prototypes(self, digests: tuple[str, ...], anchors: np.ndarray, config: PartitionConfig) -> np.ndarray | None:
        """Return the earlier prototypes if these anchors give the same ones, else None."""
        before = self.partition.anchors
        same = len(before) == len(anchors) and [self.digests[r] for r in before] == [digests[r] for r in anchors]
        limits = [tree_limits(config, len(anchors), len(d)) for d in (digests, self.digests)]
        return self.partition.prototypes if same and limits[0] == limits[1] else None

    def nearest(self) -> dict[str, int]:
        """Return each digest's prototype."""
        return dict(zip(self.digests, self.partition.buckets[self.partition.assignment].tolist(), strict=True))


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
        prototypes = previous.prototypes(digests, anchors, config) if previous else None
        if prototypes is None:
            prototypes = hierarchical_prototypes(unit(features(anchors)), config, n)
    nearest = _nearest(digests, features, prototypes, previous)
    return _with_cap(digests, nearest, prototypes, anchors, config.cap)


def _nearest(digests, features, prototypes: np.ndarray, previous: Previous | None) -> np.ndarray:
    if previous is not None and np.array_equal(previous.partition.prototypes, prototypes):
        known = previous.nearest()
        nearest = np.array([known.get(d, -1) for d in digests], np.int64)
        new = np.flatnonzero(nearest < 0)
        if len(new):
            nearest[new] = squared_distances(features(new), prototypes).argmin(1)
        return nearest
    return squared_distances(features(np.arange(len(digests))), prototypes).argmin(1)


def hierarchical_prototypes(anchors: np.ndarray, config: PartitionConfig, n: int) -> np.ndarray:
    """Return prototypes (p, d): the means of the anchors' average-linkage clusters (paper, section 4.1).

    `anchors` (m, d) are in ascending order of digest. The tree is cut into the configured number of clusters; a cluster with
    over four times its even share of anchors, or whose share of the anchors promises more than `cap` samples, is cut further down the tree.
    """
    m = len(anchors)
    k, most = tree_limits(config, m, n)
    if m == 1:
        return anchors.copy()
    children = AgglomerativeClustering(n_clusters=None, distance_threshold=0, linkage="average").fit(anchors).children_
    groups = _cut(children, m, k, most)
    return np.stack([anchors[g].mean(0) for g in groups])


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
