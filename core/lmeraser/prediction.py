"""Turns a fitted model into predictions: nearest prototypes, their clusters' heads mixed by distance, and the global head.

You need this to change how a model answers. Everything is a pure function of a model and prepared inputs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy.special import log_softmax

from core.backbone.feature_cache import Inputs
from core.backbone.model import Backbone
from core.config import EraserConfig
from core.lmeraser.cluster_training import head_input
from core.lmeraser.global_head import Solved, expand
from core.lmeraser.nearest_prototypes import squared_distances
from core.lmeraser.records import ClusterState, Partition
from core.runtime.determinism import reproducible
from core.runtime.fixed_point import SCALE

SERVED = 32  # images in every product of a cluster's head


def route(partition: Partition, features: np.ndarray, config: EraserConfig, blocked: frozenset[int] = frozenset()) -> np.ndarray:
    """Return weights (n, clusters): how much each cluster's head counts for each image; rows sum to 1.

    The `mix` nearest prototypes are weighted by a softmax over relative squared distance; clusters that share a prototype share its
    weight equally. Without prototypes (random shards) all clusters count the same, like SISA's votes. `blocked` clusters do not
    answer; when no cluster can, all weights are 0.
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
    """Return one cluster's log probabilities (len(rows), classes) for some rows of the inputs.

    Every product has the shape of `SERVED` images, so an image's answer does not depend on the others in the batch.
    """
    prompt, weight, bias = (torch.from_numpy(state.tensors[n]).to(backbone.device) for n in ("prompt", "head.weight", "head.bias"))
    parts = []
    with reproducible(), torch.inference_mode():
        for i in range(0, len(rows), SERVED):
            part = rows[i : i + SERVED]
            values, features = (_filled(a[part]) for a in (inputs.values, inputs.features))
            forward = head_input(config.prompt, config.train, backbone, values, features)
            answers = F.log_softmax(F.linear(forward(prompt, slice(None)), weight, bias), 1)
            parts.append(answers[: len(part)].cpu().numpy())
    return np.concatenate(parts)


def _filled(rows: np.ndarray) -> np.ndarray:
    """Return rows followed by zeros up to `SERVED`."""
    return np.concatenate([rows, np.zeros((SERVED - len(rows), *rows.shape[1:]), rows.dtype)])


class ClusterCache:
    """Caches the log probabilities that clusters gave for images, by cluster key and image digest."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, np.ndarray]] = {}

    def log_proba(
        self, key: str, state: ClusterState, inputs: Inputs, rows: np.ndarray, backbone: Backbone, config: EraserConfig
    ) -> np.ndarray:
        """Same as `cluster_log_proba`, but computes only what this key has not answered before."""
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

    def keep_clusters(self, keys: Iterable[str]) -> None:
        """Delete the answers of all clusters except these."""
        current = set(keys)
        self._known = {k: v for k, v in self._known.items() if k in current}

    def drop(self, digests: Collection[str]) -> None:
        """Delete all answers for the given images."""
        for known in self._known.values():
            for digest in digests:
                known.pop(digest, None)


@dataclass(frozen=True, eq=False)
class Serving:
    """Everything that answers for a fitted model: its clusters, its solved global head (None: no head), and the frozen backbone."""

    partition: Partition
    keys: tuple[str, ...]
    states: dict[str, ClusterState]
    solved: Solved | None  # of sums with samples in them
    backbone: Backbone
    config: EraserConfig
    num_classes: int
    blocked: frozenset[int] = frozenset()  # clusters that do not answer


def log_proba(serving: Serving, inputs: Inputs, cache: ClusterCache | None = None, expanded: np.ndarray | None = None) -> np.ndarray:
    """Return log probabilities (n, classes): clusters mixed by their route, then averaged with the global head.

    A model without clusters and global head answers every class alike. `expanded` is `expand(inputs.features)`, for callers that
    ask about the same inputs again and again.
    """
    solved, share = serving.solved, serving.config.serve.global_weight
    cache = cache or ClusterCache()
    if solved is None:
        return _mixed(serving, inputs, cache, None)[0]
    expanded = expand(inputs.features) if expanded is None else expanded
    overall = np.maximum(log_softmax(expanded / SCALE @ solved.weight.T + solved.bias, axis=1), -50)
    mixed, answered = _mixed(serving, inputs, cache, expanded) if share < 1 else (overall, False)
    return log_softmax((1 - share) * mixed + share * overall if answered else overall, axis=1)


def _mixed(serving: Serving, inputs: Inputs, cache: ClusterCache, expanded: np.ndarray | None) -> tuple[np.ndarray, bool]:
    """Return the clusters' mixed log probabilities (n, classes), and whether any cluster answered."""
    weights = route(serving.partition, inputs.features, serving.config, serving.blocked)
    mixed = np.zeros((len(inputs), serving.num_classes), np.float64)
    for cluster in np.flatnonzero(weights.any(0)):
        rows = np.flatnonzero(weights[:, cluster])
        key, state = serving.keys[cluster], serving.states[serving.keys[cluster]]
        if serving.solved is None or expanded is None or serving.config.has_prompts:
            answers = cache.log_proba(key, state, inputs, rows, serving.backbone, serving.config)
        else:  # not cached: what class means answer changes with every request
            weight, bias = serving.solved.local(state.tensors, serving.config.serve.prior)
            answers = log_softmax(expanded[rows] / SCALE @ weight.T + bias, axis=1)
        mixed[rows] += weights[rows, cluster, None] * np.exp(answers)
    answered = bool(weights.any())
    mixed = np.log(mixed / np.maximum(mixed.sum(1, keepdims=True), 1e-300) + 1e-9) if answered else mixed
    return log_softmax(mixed, axis=1), answered
