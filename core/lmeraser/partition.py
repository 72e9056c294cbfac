"""Cuts private data into clusters: `stable`, `hierarchical` (the paper's HierCluster), `public`, and `random` (SISA's shards).

You need this to change which samples share a prompt, and how anchors are chosen. A partition is a pure function of the *set* of
samples: their digests and frozen features. Neither the order of samples nor their labels matter.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import pdist

from core.backbone.codebook import FACTORS, Codebook, node_limit
from core.config import PartitionConfig
from core.errors import InputError
from core.lmeraser.nearest_prototypes import Ranking
from core.lmeraser.records import Partition
from core.runtime.fixed_point import UNIT, unit

METHODS = ("stable", "hierarchical", "public", "random")

Features = Callable[[np.ndarray], np.ndarray]  # rows -> their frozen features (len(rows), d)


def check_partition(config: PartitionConfig) -> None:
    """Raise InputError for an unknown method or a number out of range."""
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
    """Return how many clusters n samples are cut into before the cap applies."""
    return config.clusters or min(256, max(1, scale(n) // 16))


def anchor_rows(digests: tuple[str, ...], share: float) -> np.ndarray:
    """Return the rows of the anchors, in ascending order of digest: those whose digest lies in the lowest `share` of all digests.

    A sample's digest alone decides whether it is an anchor, so a deleted anchor is not replaced. At least one sample is an anchor.
    """
    bound = f"{math.ceil(share * 16**13):013x}"
    chosen = [r for r, d in enumerate(digests) if d < bound] if share < 1 else range(len(digests))
    chosen = chosen or [min(range(len(digests)), key=digests.__getitem__)]
    return np.array(sorted(chosen, key=digests.__getitem__), np.int64)


@dataclass(frozen=True, eq=False)
class Previous:
    """An earlier partition, from which a new one takes what cannot have changed. This saves time and changes no result.

    `rows` (n,) holds each new sample's row in the earlier set, -1 for one that was not there. `unit_features` returns `with_lengths`
    of the earlier samples' features, `between_anchors` its `anchor_distances`; both are called only if needed.
    """

    partition: Partition
    rows: np.ndarray
    unit_features: Callable[[], tuple[np.ndarray, np.ndarray]]
    between_anchors: Callable[[], np.ndarray]

    def anchors(self, anchors: np.ndarray) -> np.ndarray | None:
        """Return the places of these anchors (rows now) among the earlier ones, or None when one was no anchor then."""
        place = np.full(len(self.partition.assignment) + 1, -1)  # the last entry stands for a new sample
        place[self.partition.anchors] = np.arange(len(self.partition.anchors))
        places = place[self.rows[anchors]]
        return None if (places < 0).any() else places

    def same_clusters(self, partition: Partition) -> np.ndarray:
        """Return, for each cluster of a partition, the earlier cluster with the same samples, or -1."""
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
    features: Features,
    config: PartitionConfig,
    public: np.ndarray | Codebook | None = None,
    previous: Previous | None = None,
) -> Partition:
    """Partition samples by digest and feature.

    `features` is called only for the rows that are needed. `public` are the prototypes (p, d) of the public method or the codebook
    of the stable one. Raises InputError.
    """
    check_partition(config)
    n = len(digests)
    if config.method == "random" or n == 0:
        return random_partition(digests, cluster_count(config, n))
    if config.method in ("public", "stable") and public is None:
        raise InputError(
            f"the {config.method} partition needs public prototypes, and this backbone ships none. "
            "Use 'embedded', or the hierarchical partition."
        )
    if config.method == "stable" and isinstance(public, Codebook):
        return _stable(digests, features, config, public, previous)
    if config.method == "public" and isinstance(public, np.ndarray):
        anchors, prototypes = np.empty(0, np.int64), unit(public[: config.clusters])
    else:
        anchors = anchor_rows(digests, anchor_share(config, n))
        prototypes = _prototypes(features, anchors, config, n, previous)
    ranking = _ranked(features, n, prototypes, previous)
    return replace(_with_cap(digests, ranking.names[:, 0], prototypes, anchors, config.cap), ranking=ranking)


def _stable(
    digests: tuple[str, ...], features: Features, config: PartitionConfig, codebook: Codebook, previous: Previous | None
) -> Partition:
    """Return the partition by a codebook: each cluster is a cell of its tree, with the cell's public center as prototype.

    A cell that holds more images than any node may, because its codewords cannot tell them apart, is cut by digest.
    `ranking` holds nearest codewords. They stay the same whatever else is in the set, so a new partition takes the earlier ones.
    """
    ranking, todo = Ranking.unknown(len(digests)), np.arange(len(digests))
    if previous is not None and (earlier := previous.partition.ranking) is not None:
        old, todo = np.flatnonzero(previous.rows >= 0), np.flatnonzero(previous.rows < 0)
        ranking.put(old, earlier.take(previous.rows[old]))
    if len(todo):
        ranking.put(todo, Ranking.measured(features(todo), codebook.words))
    cells, place = np.unique(codebook.cells(ranking.names, config.clusters), axis=0, return_inverse=True)
    most = min(node_limit(len(digests), FACTORS[-1], config.clusters), config.cap or len(digests))
    partition = _with_cap(digests, place, codebook.centers(cells), np.empty(0, np.int64), max(1, most))
    return replace(partition, ranking=ranking)


def _prototypes(features: Features, anchors: np.ndarray, config: PartitionConfig, n: int, previous: Previous | None) -> np.ndarray:
    """Return the anchors' prototypes: the earlier ones if nothing that they depend on has changed."""
    places = previous.anchors(anchors) if previous else None
    if previous is None or places is None:
        return hierarchical_prototypes(unit(features(anchors)), config, n)
    before = len(previous.partition.anchors)
    if len(places) == before and tree_limits(config, before, n) == tree_limits(config, before, len(previous.partition.assignment)):
        return previous.partition.prototypes
    distances = without(previous.between_anchors(), before, np.setdiff1d(np.arange(before), places))
    return hierarchical_prototypes(previous.unit_features()[0][previous.rows[anchors]], config, n, distances)


def _ranked(features: Features, n: int, prototypes: np.ndarray, previous: Previous | None) -> Ranking:
    """Return each sample's nearest prototypes, measured only where an earlier partition does not decide them."""
    ranking = Ranking.unknown(n)
    if previous is not None and (earlier := previous.partition.ranking) is not None:
        old, before = np.flatnonzero(previous.rows >= 0), previous.partition
        ranking.put(old, earlier.carried(previous.rows[old], before.prototypes, prototypes, previous.unit_features))
    todo = np.flatnonzero(ranking.names[:, 0] < 0)
    if len(todo):
        ranking.put(todo, Ranking.measured(features(todo), prototypes))
    return ranking


def hierarchical_prototypes(anchors: np.ndarray, config: PartitionConfig, n: int, distances: np.ndarray | None = None) -> np.ndarray:
    """Return prototypes (p, d): the means of the anchors' average-linkage clusters (paper, section 4.1).

    `anchors` (m, d), in ascending order of digest, are on the grid of `unit`, and so are the prototypes; `distances`
    (m * (m - 1) / 2,) are those between anchors, if known. The tree is cut into the configured number of clusters. A cluster is cut
    further if it has more than four times its even share of anchors, or if its share suggests more than `cap` samples.
    """
    m = len(anchors)
    k, most = tree_limits(config, m, n)
    if m == 1:
        return anchors.copy()
    children = linkage(anchor_distances(anchors) if distances is None else distances, "average")[:, :2].astype(int)
    groups = _cut(children, m, k, most)
    return np.stack([_mean(anchors[g]) for g in groups])


def _mean(anchors: np.ndarray) -> np.ndarray:
    """Return the mean (d,) of anchors (m, d) on their own grid: a sum of whole numbers, so that their order does not matter."""
    return (np.rint((anchors.astype(np.float64) * UNIT).sum(0) / len(anchors)) / UNIT).astype(np.float32)


def anchor_distances(anchors: np.ndarray) -> np.ndarray:
    """Return the distances (m * (m - 1) / 2,) float64 between anchors (m, d); no pair's distance depends on the others."""
    return pdist(anchors)


def without(distances: np.ndarray, m: int, removed: np.ndarray) -> np.ndarray:
    """Return distances between m anchors, as `anchor_distances` gives them, without the pairs of the removed anchors."""
    others = np.arange(m)
    low, high = np.minimum(removed[:, None], others), np.maximum(removed[:, None], others)
    pairs = (m * low - low * (low + 1) // 2 + high - low - 1)[low < high]
    return np.delete(distances, pairs)


def tree_limits(config: PartitionConfig, anchors: int, n: int) -> tuple[int, float]:
    """Return how many clusters the anchors' tree is cut into, and the most anchors that one may hold."""
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
    """Drop empty prototypes' clusters and cut those still over the cap by digest."""
    assignment = np.full(len(nearest), -1, np.int64)
    buckets: list[int] = []
    order = np.argsort(nearest, kind="stable")
    prototypes_used, starts = np.unique(nearest[order], return_index=True)
    for prototype, rows in zip(prototypes_used, np.split(order, starts[1:]), strict=True):
        parts = _halve(digests, rows, cap) if cap else [rows]
        for part in parts:
            assignment[part] = len(buckets)
            buckets.append(int(prototype))
    return Partition(prototypes.astype(np.float32), np.array(buckets, np.int64), assignment, anchors)


def _halve(digests, rows: np.ndarray, most: int) -> list[np.ndarray]:
    """Cut rows by the bits of their digests, the lowest first, until no part exceeds `most`; copies always stay together.

    A part is cut for its own size alone, so a deletion changes only the part that it touches, or joins two.
    """
    numbers = np.array([int(digests[r][-8:], 16) for r in rows])
    parts, waiting = [], [(np.arange(len(rows)), 0)]
    while waiting:
        part, bit = waiting.pop()
        if len(part) <= most or bit == 32:
            parts.append(rows[part])
            continue
        high = numbers[part] >> bit & 1 == 1
        waiting += [(side, bit + 1) for side in (part[high], part[~high]) if len(side)]
    return parts


def random_partition(digests: tuple[str, ...], clusters: int) -> Partition:
    """Return the partition into so many shards by digest, without prototypes."""
    shard = np.array([int(d[-12:], 16) % clusters for d in digests], np.int64)
    present, assignment = np.unique(shard, return_inverse=True)
    return Partition(np.zeros((0, 0), np.float32), present, assignment.astype(np.int64), np.empty(0, np.int64))
