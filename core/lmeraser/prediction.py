"""Turns a fitted model into predictions: nearest prototypes, their clusters' heads mixed by distance, and the global head.

You need this to change how a model answers. Everything is a pure function of a model and prepared inputs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy.special import log_softmax

from core.backbone.feature_cache import Inputs
from core.backbone.model import Backbone
from core.config import EraserConfig
from core.lmeraser.cluster_training import job_inputs
from core.lmeraser.global_head import Solved, expand
from core.lmeraser.nearest_prototypes import squared_distances
from core.lmeraser.prompts import prompted
from core.lmeraser.records import ClusterState, Partition
from core.runtime.determinism import reproducible
from core.runtime.executors import cores
from core.runtime.fixed_point import SCALE

SERVED = 32  # images in every product
PAIRS = 1 << 14  # of an image and a cluster that a thread answers at a time


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


def cluster_log_proba(
    states: Sequence[ClusterState], inputs: Inputs, rows: np.ndarray, asked: np.ndarray, backbone: Backbone, config: EraserConfig
) -> np.ndarray:
    """Return the log probabilities (m, classes) that `states[asked[i]]` gives for row `rows[i]` of the inputs; `rows` (m,) ascend.

    Every product has the shape of `SERVED` images, so an answer depends neither on the other images nor on the other clusters. Many
    pairs are shared among as many threads as there are cores.
    """

    def answers(part: slice) -> np.ndarray:
        with reproducible(), torch.inference_mode():
            return _answers(states, inputs, rows[part], asked[part], backbone, config)

    parts = [slice(i, i + PAIRS) for i in range(0, len(rows), PAIRS)]
    workers = min(len(parts), cores()) if backbone.device.type == "cpu" else 1
    if workers <= 1:
        return np.concatenate([answers(part) for part in parts])
    with ThreadPoolExecutor(workers) as pool:
        return np.concatenate(list(pool.map(answers, parts)))


def _answers(
    states: Sequence[ClusterState], inputs: Inputs, rows: np.ndarray, asked: np.ndarray, backbone: Backbone, config: EraserConfig
) -> np.ndarray:
    """Put each image through its clusters' prompts, and then, cluster by cluster, through their heads."""
    names, asked = np.unique(asked, return_inverse=True)
    pooled = _pooled([states[name].tensors["prompt"] for name in names], inputs, rows, asked, backbone, config)
    result = np.empty((len(rows), len(states[0].tensors["head.bias"])), np.float32)
    for place, name in enumerate(names):
        weight, bias = (torch.from_numpy(states[name].tensors[n]).to(backbone.device) for n in ("head.weight", "head.bias"))
        for pairs in _chunks(np.flatnonzero(asked == place)):
            known = [inputs.features[rows[pairs]]] if config.train.use_features else []
            read = _filled(np.concatenate([pooled[pairs], *known], 1))
            answers = F.log_softmax(F.linear(torch.from_numpy(read).to(backbone.device), weight, bias), 1)
            result[pairs] = answers[: len(pairs)].cpu().numpy()
    return result


def _pooled(
    prompts: list[np.ndarray], inputs: Inputs, rows: np.ndarray, asked: np.ndarray, backbone: Backbone, config: EraserConfig
) -> np.ndarray:
    """Return the backbone's pooled outputs (m, dim) of image `rows[i]` with prompt `asked[i]`.

    What no prompt changes is computed once for an image; then each of `SERVED` images passes with the first of its prompts, then with
    the second, and so on.
    """
    images, first, of = np.unique(rows, return_index=True, return_inverse=True)
    turn = np.arange(len(rows)) - first[of]
    known = torch.from_numpy(np.stack(prompts)).to(backbone.device)
    result = np.empty((len(rows), backbone.dim), np.float32)
    for chunk in _chunks(np.arange(len(images))):
        forward = prompted(config.prompt, backbone, job_inputs(config.prompt, backbone, _filled(inputs.values[images[chunk]])))
        here = np.flatnonzero((of >= chunk[0]) & (of <= chunk[-1]))
        for taken in range(int(turn[here].max()) + 1):
            pairs = here[turn[here] == taken]
            places, chosen = of[pairs] - chunk[0], np.zeros(SERVED, np.int64)
            chosen[places] = asked[pairs]
            result[pairs] = forward(known[chosen], slice(None)).cpu().numpy()[places]
    return result


def _chunks(positions: np.ndarray) -> Iterator[np.ndarray]:
    """Yield positions in parts of at most `SERVED`."""
    return (positions[i : i + SERVED] for i in range(0, len(positions), SERVED))


def _filled(rows: np.ndarray) -> np.ndarray:
    """Return rows followed by zeros up to `SERVED`."""
    return np.concatenate([rows, np.zeros((SERVED - len(rows), *rows.shape[1:]), rows.dtype)])


class ClusterCache:
    """Caches the log probabilities that clusters gave for images, by cluster key and image digest."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, np.ndarray]] = {}

    def log_proba(
        self,
        keys: Sequence[str],
        states: Sequence[ClusterState],
        inputs: Inputs,
        rows: np.ndarray,
        asked: np.ndarray,
        backbone: Backbone,
        config: EraserConfig,
    ) -> np.ndarray:
        """Same as `cluster_log_proba`, but computes only what these keys have not answered before."""
        pairs = [(self._known.setdefault(keys[a], {}), inputs.digests[r]) for r, a in zip(rows, asked, strict=True)]
        missing = np.array([i for i, (known, digest) in enumerate(pairs) if digest not in known], np.int64)
        if len(missing):
            fresh = cluster_log_proba(states, inputs, rows[missing], asked[missing], backbone, config)
            for i, row in zip(missing, fresh, strict=True):
                known, digest = pairs[i]
                known[digest] = row.copy()
        return np.stack([known[digest] for known, digest in pairs]) if pairs else np.zeros((0, 0), np.float32)

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
    rows, asked = np.nonzero(weights)
    if not len(rows):
        return log_softmax(mixed, axis=1), False
    if serving.solved is None or expanded is None or serving.config.has_prompts:
        states = [serving.states[key] for key in serving.keys]
        answers = cache.log_proba(serving.keys, states, inputs, rows, asked, serving.backbone, serving.config)
        np.add.at(mixed, rows, weights[rows, asked, None] * np.exp(answers))
    else:  # not cached: what class means answer changes with every request
        for cluster in np.unique(asked):
            weight, bias = serving.solved.local(serving.states[serving.keys[cluster]].tensors, serving.config.serve.prior)
            here = rows[asked == cluster]
            mixed[here] += weights[here, cluster, None] * np.exp(log_softmax(expanded[here] / SCALE @ weight.T + bias, axis=1))
    return log_softmax(np.log(mixed / np.maximum(mixed.sum(1, keepdims=True), 1e-300) + 1e-9), axis=1), True
