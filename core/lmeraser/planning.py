"""Planning: how a set of samples is clustered and keyed, and what forgetting some of them would retrain.

Everything is computed before any training. What an earlier model shares with the new set is reused, which saves time and changes
no result.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from core.backbone.feature_cache import Derived
from core.backbone.model import Backbone
from core.config import EraserConfig
from core.data.samples import Samples
from core.lmeraser.cluster_training import cluster_key, recipe_digest
from core.lmeraser.fitted_model import Model
from core.lmeraser.nearest_prototypes import with_lengths
from core.lmeraser.partition import Previous, anchor_distances, make_partition
from core.lmeraser.records import ForgetPlan, Partition
from core.lmeraser.time_estimate import Timings
from core.runtime.fixed_point import unit


@dataclass(frozen=True, eq=False)
class Target:
    """What a model is to become: samples, their partition, and one key per cluster; and the seconds spent on getting there."""

    samples: Samples
    partition: Partition
    keys: tuple[str, ...]
    setup_seconds: float = 0.0  # features
    plan_seconds: float = 0.0  # partition and keys


@dataclass(frozen=True, eq=False)
class Planner:
    """Clusters samples and plans requests under one configuration, with one backbone and its cached features."""

    config: EraserConfig
    backbone: Backbone
    derived: Derived

    def recipe(self, classes: int) -> str:
        """Return the part of every cluster key that does not depend on the members."""
        return recipe_digest(self.backbone, self.config.prompt, self.config.train, classes)

    def target(self, samples: Samples, model: Model | None, setup_seconds: float = 0.0) -> Target:
        """Return the target of samples whose features were computed, reusing what the current model (None: none) shares with them."""
        began = time.perf_counter()
        rows = np.full(len(samples), -1) if model is None else model.samples.places(samples.ids)
        partition, keys = self.clusters(samples.digests, len(samples.classes), rows, model)
        return Target(samples, partition, keys, setup_seconds, time.perf_counter() - began)

    def clusters(self, digests: tuple[str, ...], classes: int, rows: np.ndarray, model: Model | None) -> tuple[Partition, tuple[str, ...]]:
        """Return the partition and cluster keys of samples by digest; `rows` are their rows in the current model, -1 for new ones."""
        previous = self._previous(model, rows) if model is not None and model.partition.clusters else None
        method = self.config.partition.method
        public = self.backbone.public_prototypes() if method == "public" else self.backbone.codebook if method == "stable" else None
        features = lambda rows: self.derived.features(digests[r] for r in rows)  # noqa: E731
        partition = make_partition(digests, features, self.config.partition, public, previous)
        return partition, _keys(digests, self.recipe(classes), partition, model, previous)

    def plan(self, model: Model, ids: tuple[str, ...], timings: Timings) -> ForgetPlan:
        """Return what forgetting the ids will do to a model; raises UnknownSampleError."""
        began = time.perf_counter()
        rows = model.samples.rows(ids)
        retained = np.delete(np.arange(len(model.samples)), rows)
        digests = tuple(map(model.samples.digests.__getitem__, retained.tolist()))
        partition, keys = self.clusters(digests, len(model.samples.classes), retained, model)
        known, sizes = set(model.keys), np.bincount(partition.assignment, minlength=partition.clusters)
        retrain = np.array([c for c, key in enumerate(keys) if key not in known], np.int64)
        seconds = time.perf_counter() - began
        changed = np.isin(partition.assignment, retrain)
        unread = len(self.derived.to_compute(digests[r] for r in np.flatnonzero(changed).tolist()))
        expected = timings.clusters(sizes[retrain], unread, min(len(ids), len(retained))).later(seconds)
        return ForgetPlan(
            ids=ids,
            root=model.root,
            among=model.samples.ids,
            retained=retained,
            partition=partition,
            keys=keys,
            touched=_touched(model, rows, keys),
            clusters_before=model.partition.clusters,
            retrain=tuple(keys[c] for c in retrain),
            untouched=tuple(key for key in keys if key in known),
            samples_to_retrain=int(sizes[retrain].sum()),
            copies_left=model.samples.copies_of(ids),
            predicted_seconds=expected.seconds,
            predicted_full_seconds=timings.everything(sizes),
            seconds=seconds,
            predicted_range=(expected.low, expected.high),
            measured_clusters=expected.measured,
        )

    def warm_up(self, model: Model) -> None:
        """Fill a model's plan cache, so that its first plan is as quick as the next ones."""
        if len(model.partition.prototypes):
            previous = self._previous(model, np.arange(len(model.samples)))
            previous.unit_features()
            previous.between_anchors()

    def _previous(self, model: Model, rows: np.ndarray) -> Previous:
        digests, anchors = model.samples.digests, model.partition.anchors
        features, cache = self.derived.features, model.plan_cache
        between = lambda: anchor_distances(unit(features(digests[r] for r in anchors)))  # noqa: E731
        return Previous(
            model.partition,
            rows,
            lambda: cache.get("unit features", lambda: with_lengths(features(digests))),
            lambda: cache.get("between anchors", between),
        )


def _touched(model: Model, rows: np.ndarray, keys: tuple[str, ...]) -> tuple[int, ...]:
    """Return the model's clusters that hold one of the rows, or whose key is not among those afterwards."""
    after = set(keys)
    vanished = {c for c, key in enumerate(model.keys) if key not in after}
    return tuple(sorted(vanished | set(model.partition.assignment[rows].tolist())))


def _keys(digests: tuple[str, ...], recipe: str, partition: Partition, model: Model | None, previous: Previous | None) -> tuple[str, ...]:
    """Return each cluster's key, taken from the current model where the members are the same."""
    same = np.full(partition.clusters, -1)
    if model is not None and previous is not None and model.recipe == recipe:
        same = previous.same_clusters(partition)
    order = np.argsort(partition.assignment, kind="stable")
    ends = np.bincount(partition.assignment, minlength=partition.clusters).cumsum()
    members = lambda c: [digests[r] for r in order[ends[c - 1] if c else 0 : ends[c]].tolist()]  # noqa: E731
    known = model.keys if model is not None else ()
    return tuple(known[s] if s >= 0 else cluster_key(recipe, members(c)) for c, s in enumerate(same.tolist()))
