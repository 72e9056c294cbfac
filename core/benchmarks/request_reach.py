"""Counts what a request would retrain, under the model's own clusters and under alternatives for comparison.

Only sizes are counted; nothing is trained or changed. Random shards stand for clustering without looking at the images (SISA).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from core.lmeraser.eraser import LMEraser
from core.lmeraser.partition import random_partition
from core.lmeraser.records import ForgetPlan, Partition


@dataclass(frozen=True)
class Reach:
    """What one request would retrain under one clustering. `seconds` is the expected training time on this machine."""

    clusters: int
    touched: tuple[int, ...]
    retrain: int  # samples
    remain: int  # samples in the model afterwards
    seconds: float


@dataclass(frozen=True)
class Reaches:
    """One request under the model's clusters and under random ones, and as many images spread over the model's clusters.

    `grown` counts the clusters that hold the request's first 1, 2, ... images, by clustering, in the order of the rows.
    """

    images: int
    adaptive: Reach
    random: Reach
    spread: Reach
    grown: dict[str, tuple[int, ...]]


def reaches(eraser: LMEraser, plan: ForgetPlan) -> Reaches:
    """Return what a plan would retrain, together with its alternatives."""
    samples, own = eraser.samples_, eraser.partition_
    rows = samples.rows(plan.ids)
    shards = random_partition(samples.digests, own.clusters)
    spread = one_from_each(own, len(rows))
    grown = {"adaptive": _grown(own, rows), "random": _grown(shards, rows), "spread": _grown(own, spread)}
    return Reaches(len(rows), planned(eraser, plan), _fixed(eraser, shards, rows), _fixed(eraser, own, spread), grown)


def planned(eraser: LMEraser, plan: ForgetPlan) -> Reach:
    """Return what a plan retrains, changed clusters included."""
    sizes = np.bincount(plan.partition.assignment, minlength=len(plan.keys))
    retrain = set(plan.retrain)
    todo = sizes[[c for c, key in enumerate(plan.keys) if key in retrain]]
    return Reach(plan.clusters_before, plan.touched, plan.samples_to_retrain, len(plan.retained), eraser.expected_seconds(todo))


def one_from_each(partition: Partition, count: int) -> np.ndarray:
    """Return so many rows from as many different clusters as there are: the request that costs most.

    Anchors are taken only where a cluster has no other samples, so that the clusters themselves stay as they are.
    """
    anchors, rounds = np.isin(np.arange(len(partition.assignment)), partition.anchors), []
    for cluster in range(partition.clusters):
        members = partition.members(cluster)
        ordered = members[np.argsort(anchors[members], kind="stable")]
        rounds += [(place, cluster, row) for place, row in enumerate(ordered[:count])]
    return np.array([row for _, _, row in sorted(rounds)[:count]], np.int64)


def _fixed(eraser: LMEraser, partition: Partition, rows: np.ndarray) -> Reach:
    """Return what deleting rows would retrain under clusters that stay as they are."""
    deleted = np.bincount(partition.assignment[rows], minlength=partition.clusters)
    left = np.bincount(partition.assignment, minlength=partition.clusters) - deleted
    touched = np.flatnonzero(deleted)
    todo = left[touched][left[touched] > 0]
    return Reach(partition.clusters, tuple(touched.tolist()), int(todo.sum()), int(left.sum()), eraser.expected_seconds(todo))


def _grown(partition: Partition, rows: np.ndarray) -> tuple[int, ...]:
    new = np.zeros(len(rows), np.int64)
    new[np.unique(partition.assignment[rows], return_index=True)[1]] = 1
    return tuple(np.cumsum(new).tolist())


def origins(partition: Partition, plan: ForgetPlan) -> dict[str, int | None]:
    """Return, for each cluster that a plan retrains, the cluster of the model before that most of its samples come from."""
    before, retrain = partition.assignment[plan.retained], set(plan.retrain)
    held = {key: Counter(before[plan.partition.members(c)].tolist()) for c, key in enumerate(plan.keys) if key in retrain}
    return {key: clusters.most_common(1)[0][0] if clusters else None for key, clusters in held.items()}
