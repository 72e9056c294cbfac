"""Turns a fitted model into predictions: nearest prototypes, their clusters' heads mixed by distance, and the global head.

Pure functions of a model and derived inputs; trains and stores nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from core.backbone import Backbone
from core.environment import reproducible
from core.partition import squared_distances
from core.train import head_input
from core.types import ClusterState, EraserConfig, Partition


@dataclass(frozen=True, eq=False)
class Inputs:
    """Images on their way to a prediction: features (n, d) float32 and prompt inputs (trunk activations or images)."""

    features: np.ndarray
    values: np.ndarray

    def __len__(self) -> int:
        return len(self.features)


def route(partition: Partition, features: np.ndarray, config: EraserConfig, blocked: frozenset[int] = frozenset()) -> np.ndarray:
    """Return weights (n, clusters): how much each cluster's head counts for each image; rows sum to 1.

    The `mix` nearest prototypes weigh by a softmax over relative squared distance, clusters of one prototype alike. Without
    prototypes (random shards) all clusters weigh alike, as SISA's votes. `blocked` clusters do not serve. All zeros when none can.
    """
    n, k = len(features), partition.clusters
    open_ = np.array([c not in blocked for c in range(k)], bool)
    if not open_.any():
        return np.zeros((n, k), np.float32)
    if not len(partition.prototypes):
        return np.tile((open_ / open_.sum()).astype(np.float32), (n, 1))
    distance = squared_distances(features, partition.prototypes)[:, partition.buckets]
    distance[:, ~open_] = np.inf
    siblings = np.bincount(partition.buckets, minlength=len(partition.prototypes))[partition.buckets]
    nearest = np.partition(distance, min(config.serve.mix, k) - 1, axis=1)[:, min(config.serve.mix, k) - 1, None]
    least = distance.min(1, keepdims=True)
    weight = np.where(distance <= nearest, np.exp(-(distance - least) / config.serve.temperature), 0.0) / siblings
    return (weight / weight.sum(1, keepdims=True)).astype(np.float32)


def cluster_log_proba(state: ClusterState, inputs: Inputs, rows: np.ndarray, backbone: Backbone, config: EraserConfig) -> np.ndarray:
    """Return one cluster's log probabilities (len(rows), classes) for some rows of the inputs."""
    prompt, weight, bias = (torch.from_numpy(state.tensors[n]).to(backbone.device) for n in ("prompt", "head.weight", "head.bias"))
    parts = []
    with reproducible(), torch.inference_mode():
        for i in range(0, len(rows), 256):
            part = rows[i : i + 256]
            forward = head_input(config.prompt, config.train, backbone, inputs.values[part], inputs.features[part])
            parts.append(F.log_softmax(F.linear(forward(prompt, slice(None)), weight, bias), 1).cpu().numpy())
    return np.concatenate(parts)


class ClusterCache:
    """Log probabilities that clusters gave for one fixed set of inputs, so that only retrained clusters are asked again."""

    def __init__(self):
        self._known: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def log_proba(self, key: str, state: ClusterState, inputs: Inputs, rows: np.ndarray, backbone: Backbone, config: EraserConfig) -> np.ndarray:
        """As `cluster_log_proba`, computing only rows that this key has not answered before."""
        known, values = self._known.get(key, (np.empty(0, np.int64), None))
        missing = np.setdiff1d(rows, known)
        if len(missing):
            fresh = cluster_log_proba(state, inputs, missing, backbone, config)
            known = np.concatenate([known, missing])
            values = fresh if values is None else np.concatenate([values, fresh])
            order = np.argsort(known)
            known, values = known[order], values[order]
            self._known[key] = (known, values)
        return values[np.searchsorted(known, rows)]

    def keep_only(self, keys) -> None:
        """Forget the answers of clusters that are no longer part of the model."""
        self._known = {k: v for k, v in self._known.items() if k in set(keys)}


def log_proba(
    partition: Partition,
    keys: tuple[str, ...],
    states: dict[str, ClusterState],
    solved: tuple[np.ndarray, np.ndarray] | None,
    inputs: Inputs,
    expanded: np.ndarray | None,
    backbone: Backbone,
    config: EraserConfig,
    num_classes: int,
    cache: ClusterCache | None = None,
    blocked: frozenset[int] = frozenset(),
) -> np.ndarray:
    """Return log probabilities (n, classes): clusters mixed by their route, then averaged with the global head.

    A model without clusters and global head knows nothing and answers every class alike.
    """
    weights = route(partition, inputs.features, config, blocked)
    mixed = np.zeros((len(inputs), num_classes), np.float64)
    cache = cache or ClusterCache()
    for cluster in np.flatnonzero(weights.any(0)):
        rows = np.flatnonzero(weights[:, cluster])
        key = keys[cluster]
        mixed[rows] += weights[rows, cluster, None] * cache.log_proba(key, states[key], inputs, rows, backbone, config)
    mixed = _log_softmax(mixed)
    if solved is None or not np.isfinite(solved[1]).any():
        return mixed
    weight, bias = solved
    overall = _log_softmax(expanded / 64 @ weight.T + bias)
    share = config.serve.global_weight if partition.clusters and weights.any() else 1.0
    return _log_softmax((1 - share) * mixed + share * np.maximum(overall, -50))


def _log_softmax(x: np.ndarray) -> np.ndarray:
    x = x - x.max(1, keepdims=True)
    return x - np.log(np.exp(x).sum(1, keepdims=True))
