"""The engine's records: samples, configurations, partitions, states, plans and outcomes. All frozen; no algorithms.

Arrays inside records are numpy and are treated as read-only.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from core.errors import InputError, StalePlanError, UnknownSampleError

if TYPE_CHECKING:
    from core.ranking import Ranking  # needs PyTorch, which records do not

SCHEMA = 1  # part of every cluster key: raise it when a change alters what training computes


def sample_digest(image: np.ndarray, label: int) -> str:
    """Return the SHA-256 hex digest of an image (h, w, 3) uint8, its shape and its label."""
    head = json.dumps([list(image.shape), int(label)]).encode()
    return hashlib.sha256(head + np.ascontiguousarray(image).tobytes()).hexdigest()


@dataclass(frozen=True, eq=False)
class Samples:
    """Labeled images with stable ids.

    An id is `digest-k`: the digest of pixels and label, and an occurrence number k that tells exact copies apart. Everything
    computed depends on digests alone, so copies are interchangeable, while an id keeps naming the same copy for good.
    """

    images: np.ndarray  # (n, h, w, 3) uint8
    labels: np.ndarray  # (n,) int64
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    subjects: tuple[str, ...] | None = None

    @classmethod
    def build(cls, images, labels, classes: Sequence[str] | None = None, subjects: Sequence | None = None) -> Samples:
        """Check arrays, number copies in order of appearance and return the record; grey images become RGB.

        images (n, h, w) or (n, h, w, 3), uint8; labels (n,) in 0..len(classes)-1. Raises InputError naming what does not fit.
        """
        images, labels = _check_images(images), np.asarray(labels)
        if labels.shape != (len(images),) or (len(labels) and not np.issubdtype(labels.dtype, np.integer)):
            raise InputError(f"labels has shape {labels.shape} and type {labels.dtype}; give one integer for each of {len(images)} images.")
        labels = labels.astype(np.int64)
        top = int(labels.max(initial=-1))
        classes = tuple(classes) if classes is not None else tuple(str(c) for c in range(top + 1))
        if top >= len(classes) or int(labels.min(initial=0)) < 0:
            raise InputError(f"labels run from {labels.min()} to {top}, but {len(classes)} classes are named; use 0 to {len(classes) - 1}.")
        if subjects is not None and len(subjects) != len(images):
            raise InputError(f"{len(subjects)} subjects for {len(images)} images; give one each, or none.")
        seen: Counter[str] = Counter()
        ids = []
        for image, label in zip(images, labels, strict=True):
            digest = sample_digest(image, label)
            ids.append(f"{digest}-{seen[digest]}")
            seen[digest] += 1
        return cls(images, labels, classes, tuple(ids), None if subjects is None else tuple(str(s) for s in subjects))

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def digests(self) -> tuple[str, ...]:
        """Content digests, one per sample, equal for exact copies."""
        return tuple(i.split("-", 1)[0] for i in self.ids)

    @cached_property
    def _index(self) -> dict[str, int]:
        return {sample: row for row, sample in enumerate(self.ids)}

    def rows(self, ids: Iterable[str]) -> np.ndarray:
        """Return the row of each id, in the ids' order; raises UnknownSampleError for one that is not here."""
        index, wanted = self._index, list(ids)
        unknown = [i for i in wanted if i not in index]
        if unknown:
            raise UnknownSampleError(
                f"{len(unknown)} of {len(wanted)} ids are not in the model (first: {str(unknown[0])[:16]}...): never learned, "
                "or already forgotten. List the current ids and ask again; nothing was changed."
            )
        return np.array([index[i] for i in wanted], np.int64)

    def places(self, ids: Iterable[str]) -> np.ndarray:
        """Return the row of each id, -1 for one that is not here."""
        index = self._index
        return np.array([index.get(i, -1) for i in ids], np.int64)

    def take(self, rows) -> Samples:
        """Return the samples at the given rows (integers, or a boolean mask over all), keeping their ids."""
        rows = np.arange(len(self))[np.asarray(rows)] if len(self) else np.empty(0, np.int64)
        pick = lambda values: tuple(map(values.__getitem__, rows.tolist()))  # noqa: E731
        subjects = None if self.subjects is None else pick(self.subjects)
        taken = replace(self, images=self.images[rows], labels=self.labels[rows], ids=pick(self.ids), subjects=subjects)
        taken.__dict__["digests"] = pick(self.digests)  # splitting the ids again would take longer than all else
        return taken

    def without(self, ids: Iterable[str]) -> Samples:
        """Return what remains after removing the ids; raises UnknownSampleError."""
        keep = np.ones(len(self), bool)
        keep[self.rows(ids)] = False
        return self.take(keep)

    def copies_of(self, ids: Iterable[str]) -> tuple[str, ...]:
        """Return the ids of exact copies of the given samples that are not among them."""
        chosen = set(ids)
        digests = {i.split("-", 1)[0] for i in chosen}
        return tuple(i for i, d in zip(self.ids, self.digests, strict=True) if d in digests and i not in chosen)

    def extended(self, other: Samples) -> Samples:
        """Return these samples followed by the others, whose copies are numbered on; raises InputError when shapes or classes differ."""
        if other.classes != self.classes or other.images.shape[1:] != self.images.shape[1:]:
            raise InputError(
                f"New samples have {len(other.classes)} classes and size {other.images.shape[1:]}; "
                f"this model has {len(self.classes)} and {self.images.shape[1:]}."
            )
        number = Counter[str]()
        for sample in self.ids:
            digest, k = sample.split("-", 1)
            number[digest] = max(number[digest], int(k) + 1)
        ids = []
        for digest in other.digests:
            ids.append(f"{digest}-{number[digest]}")
            number[digest] += 1
        both = self.subjects is not None and other.subjects is not None
        return Samples(
            np.concatenate([self.images, other.images]),
            np.concatenate([self.labels, other.labels]),
            self.classes,
            self.ids + tuple(ids),
            self.subjects + other.subjects if both else None,
        )


def _check_images(images) -> np.ndarray:
    images = np.asarray(images)
    if images.ndim == 3 and images.shape[2] == 3:
        raise InputError(f"images has shape {images.shape}, that of one RGB image; give a list of images: {(1, *images.shape)}.")
    if images.ndim == 3:
        images = np.repeat(images[..., None], 3, axis=3)
    if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
        raise InputError(f"images has shape {images.shape} and type {images.dtype}; give (n, h, w) or (n, h, w, 3) in uint8.")
    return images


@dataclass(frozen=True)
class PartitionConfig:
    """How private data is cut into clusters."""

    method: str = "hierarchical"  # hierarchical, public, random
    clusters: int | None = None  # before the cap; None: one per 16 to 32 samples, at most 256 (public: all prototypes)
    anchor_share: float | None = None  # of the digests; None: a sixth, less in large sets (about 1,000 to 2,000 anchors), all in small ones
    cap: int | None = None  # most samples in one cluster; None: no cap


@dataclass(frozen=True)
class PromptConfig:
    """What is learned beside the head."""

    kind: str = "tokens"  # padding, patch, tokens
    size: int = 4  # padding: frame width in px; patch: side in px; tokens: how many
    block: int = -1  # tokens enter before this block; negative counts from the end
    readout: str = "prompts"  # tokens only: pool the prompts' outputs, or those of the image's patches


@dataclass(frozen=True)
class TrainConfig:
    """The budget and optimizer of one cluster."""

    steps: int = 40
    batch_size: int = 32
    prompt_lr: float = 5e-3
    head_lr: float = 0.1  # of a head whose input has length about 1
    weight_decay: float = 1e-2
    use_features: bool = True  # the head also reads the frozen features


@dataclass(frozen=True)
class ServeConfig:
    """How predictions are put together."""

    mix: int = 8  # nearest clusters that vote; 1 is the paper's hard routing
    temperature: float = 0.1  # of the softmax over negative squared prototype distances, relative to the nearest
    global_weight: float = 0.5  # share of the global head; 0 leaves it out


@dataclass(frozen=True)
class EraserConfig:
    """Everything that decides what a model computes, beside backbone and data."""

    partition: PartitionConfig = field(default_factory=PartitionConfig)
    prompt: PromptConfig = field(default_factory=PromptConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    serve: ServeConfig = field(default_factory=ServeConfig)

    def to_json(self) -> dict:
        return asdict(self)


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
    ranking: Ranking | None = None  # each sample's nearest prototypes, for partitions that come after

    @property
    def clusters(self) -> int:
        return len(self.buckets)

    def members(self, cluster: int) -> np.ndarray:
        """Rows of the samples in one cluster, ascending."""
        return np.flatnonzero(self.assignment == cluster)


@dataclass(frozen=True, eq=False)
class ClusterState:
    """What tuning one cluster gave: named tensors, and how it went (the history is not part of the digest)."""

    tensors: dict[str, np.ndarray]  # prompt, head.weight, head.bias
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


@dataclass(frozen=True)
class Progress:
    """One report of work under way: `done` of `total` units of a stage; `keys` names the clusters it just finished."""

    stage: str  # features, train, evaluate
    done: int
    total: int
    keys: tuple[str, ...] = ()


ProgressCallback = Callable[[Progress], None]


@dataclass(frozen=True, eq=False)
class ForgetPlan:
    """What forgetting `ids` will do, computed before anything runs and executed unchanged.

    `touched` are clusters of the model now (their indices) whose state will go; `retrain` are clusters of the model
    afterwards that must be trained; `untouched` keys stay as they are.
    """

    ids: tuple[str, ...]
    root: str  # of the model that the plan was made for
    among: tuple[str, ...]  # the ids of its samples, in their order: rows mean nothing in another
    kept: np.ndarray  # (n,) rows of the model's samples that stay
    partition: Partition  # of these
    keys: tuple[str, ...]  # one per cluster afterwards
    touched: tuple[int, ...]
    clusters_before: int
    retrain: tuple[str, ...]
    untouched: tuple[str, ...]
    samples_to_retrain: int
    copies_left: tuple[str, ...]  # ids of exact copies that would stay
    predicted_seconds: float
    predicted_full_seconds: float
    seconds: float  # what planning took
    predicted_range: tuple[float, float] = (0.0, 0.0)  # likely least and most of `predicted_seconds`
    measured_clusters: int = 0  # trained on this machine, from which times are predicted; 0: nothing is known yet

    def check(self, root: str, ids: tuple[str, ...]) -> None:
        """Raise StalePlanError unless a model has the root and the ids of samples, in their order, that the plan was made for."""
        if self.root != root:
            raise StalePlanError(
                f"The plan was made for model {self.root[:12]}, but the model is now {root[:12]}. Plan again; nothing was changed."
            )
        if self.among != ids:
            raise StalePlanError("The model's samples have another order than when the plan was made. Plan again; nothing was changed.")

    def summary(self) -> dict:
        """Return the figures people see, as plain numbers."""
        return {
            "images": len(self.ids),
            "clusters_touched": len(self.touched),
            "clusters_total": self.clusters_before,
            "clusters_retrained": len(self.retrain),
            "clusters_untouched": len(self.untouched),
            "samples_to_retrain": self.samples_to_retrain,
            "samples_total": len(self.kept) + len(self.ids),
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
