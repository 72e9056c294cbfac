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
from core.global_head import SCALE
from core.ranking import squared_distances
from core.train import head_input
from core.types import ClusterState, EraserConfig, Partition


@dataclass(frozen=True, eq=False)
class Inputs:
    """Images on their way to a prediction: content digests, features (n, d) float32, and what the prompts act on (n, ...)."""

    digests: tuple[str, ...]
    features: np.ndarray
    values: np.ndarray  # trunk activations float16 for tokens, images uint8 otherwise

    def __len__(self) -> int:
        return len(self.digests)


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
    """Log probabilities that clusters gave for images, by cluster key and image digest, so that only new pairs are computed."""

    def __init__(self):
        self._known: dict[str, dict[str, np.ndarray]] = {}

    def log_proba(
        self, key: str, state: ClusterState, inputs: Inputs, rows: np.ndarray, backbone: Backbone, config: EraserConfig
    ) -> np.ndarray:
        """As `cluster_log_proba`, computing only what this key has not answered before."""
        known = self._known.setdefault(key, {})
        missing = np.array([r for r in rows if inputs.digests[r] not in known], np.int64)
        if len(missing):
            fresh = cluster_log_proba(state, inputs, missing, backbone, config)
            known.update((inputs.digests[r], row.copy()) for r, row in zip(missing, fresh, strict=True))
        return np.stack([known[inputs.digests[r]] for r in rows])

    def fork(self) -> ClusterCache:
        """Return a copy that deletes on its own."""
        copy = ClusterCache()
        copy._known = {key: dict(known) for key, known in self._known.items()}
        return copy

    def keep_clusters(self, keys) -> None:
        """Delete the answers of clusters that are no longer part of the model."""
        kept = set(keys)
        self._known = {k: v for k, v in self._known.items() if k in kept}

    def drop(self, digests) -> None:
        """Delete all answers for the given images."""
        for known in self._known.values():
            for digest in digests:
                known.pop(digest, None)


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
        mixed[rows] += weights[rows, cluster, None] * np.exp(cache.log_proba(key, states[key], inputs, rows, backbone, config))
    mixed = np.log(mixed / np.maximum(mixed.sum(1, keepdims=True), 1e-300) + 1e-9) if weights.any() else mixed
    mixed = _log_softmax(mixed)
    if solved is None or not np.isfinite(solved[1]).any():
        return mixed
    weight, bias = solved
    overall = _log_softmax(expanded / SCALE @ weight.T + bias)
    share = config.serve.global_weight if partition.clusters and weights.any() else 1.0
    return _log_softmax((1 - share) * mixed + share * np.maximum(overall, -50))


def _log_softmax(x: np.ndarray) -> np.ndarray:
    x = x - x.max(1, keepdims=True)
    return x - np.log(np.exp(x).sum(1, keepdims=True))
