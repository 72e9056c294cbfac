"""The frozen records that the method passes around: partitions, cluster states, plans and outcomes.

Arrays inside records are numpy and are treated as read-only.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.errors import StalePlanError

if TYPE_CHECKING:
    from core.lmeraser.nearest_prototypes import Ranking

SCHEMA = 2  # part of every cluster key: raise it when a change alters what training computes


@dataclass(frozen=True, eq=False)
class Partition:
    """An assignment of samples to clusters.

    `prototypes` (p, d) float32; `buckets[c]` is the prototype of cluster c (clusters cut by the cap share one);
    `assignment` (n,) holds each sample's cluster in 0..k-1. `random` partitions have no prototypes (p = 0).
    """

    prototypes: np.ndarray
    buckets: np.ndarray
    assignment: np.ndarray
    anchors: np.ndarray  # rows of the samples that prototypes were made of
    ranking: Ranking | None = None  # each sample's nearest prototypes, which speeds up the next partition

    @property
    def clusters(self) -> int:
        return len(self.buckets)

    def members(self, cluster: int) -> np.ndarray:
        """Rows of the samples in one cluster, ascending."""
        return np.flatnonzero(self.assignment == cluster)


@dataclass(frozen=True, eq=False)
class ClusterState:
    """The result of training one cluster: named tensors, and the history of the training (which is not part of the digest)."""

    tensors: dict[str, np.ndarray]  # prompt, head.weight, head.bias; without a prompt: classes, counts, sums
    losses: tuple[float, ...] = ()
    seconds: float = 0.0
    sample_passes: int = 0

    @property
    def digest(self) -> str:
        """SHA-256 over the tensors' names, types, shapes and bytes."""
        return tensors_digest(self.tensors)


def tensors_digest(tensors: dict[str, np.ndarray]) -> str:
    """Return the SHA-256 hex digest over names, types, shapes and bytes, in order of name."""
    sha = hashlib.sha256()
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        sha.update(json.dumps([name, str(array.dtype), list(array.shape)]).encode())
        sha.update(array.tobytes())
    return sha.hexdigest()


@dataclass(frozen=True, eq=False)
class ForgetPlan:
    """What forgetting `ids` will do, computed before anything runs and executed unchanged.

    `touched` are the indices of the present model's clusters whose states will be deleted; `retrain` are the keys of the new
    model's clusters that must be trained; `untouched` are the keys that both models share.
    """

    ids: tuple[str, ...]
    root: str  # of the model that the plan was made for
    among: tuple[str, ...]  # the ids of its samples, in their order; rows count in this order
    retained: np.ndarray  # (n,) rows of the model's samples that stay
    partition: Partition  # of the retained samples
    keys: tuple[str, ...]  # one per cluster afterwards
    touched: tuple[int, ...]
    clusters_before: int
    retrain: tuple[str, ...]
    untouched: tuple[str, ...]
    samples_to_retrain: int
    copies_left: tuple[str, ...]  # ids of exact copies that would stay
    predicted_seconds: float
    predicted_full_seconds: float
    seconds: float  # that planning took
    predicted_range: tuple[float, float] = (0.0, 0.0)  # likely least and most of `predicted_seconds`
    measured_clusters: int = 0  # clusters trained on this machine that the prediction rests on; 0: no prediction is possible

    def check(self, root: str, ids: tuple[str, ...]) -> None:
        """Raise StalePlanError unless a model has the root and the ids of samples, in their order, that the plan was made for."""
        if self.root != root:
            raise StalePlanError(
                f"The plan was made for model {self.root[:12]}, but the model is now {root[:12]}. Plan again; nothing was changed."
            )
        if self.among != ids:
            raise StalePlanError("The model's samples are in another order than when the plan was made. Plan again; nothing was changed.")

    def summary(self) -> dict:
        """Return the figures that people see, as plain numbers."""
        return {
            "images": len(self.ids),
            "clusters_touched": len(self.touched),
            "clusters_total": self.clusters_before,
            "clusters_retrained": len(self.retrain),
            "clusters_untouched": len(self.untouched),
            "samples_to_retrain": self.samples_to_retrain,
            "samples_total": len(self.retained) + len(self.ids),
            "copies_left": len(self.copies_left),
            "predicted_seconds": self.predicted_seconds,
            "predicted_range": list(self.predicted_range),
            "measured_clusters": self.measured_clusters,
            "predicted_full_seconds": self.predicted_full_seconds,
        }


@dataclass(frozen=True)
class Seconds:
    """Wall time by part; `total` leaves evaluation out."""

    setup: float = 0.0  # features and trunk activations
    plan: float = 0.0  # partition and keys
    train: float = 0.0
    evaluate: float = 0.0

    @property
    def total(self) -> float:
        return self.setup + self.plan + self.train


@dataclass(frozen=True)
class Outcome:
    """What one change of the model (fit, forget, learn) did."""

    kind: str
    root_before: str | None
    root_after: str
    trained: tuple[str, ...]  # keys of the clusters trained
    reused: tuple[str, ...]  # keys of the clusters found in the store
    dropped: tuple[str, ...]  # keys whose states were deleted
    seconds: Seconds
    sample_passes: int
    samples: int  # in the model afterwards
