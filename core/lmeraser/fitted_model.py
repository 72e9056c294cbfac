"""A fitted model: its frozen record, the root that names it, and everything that is read from it.

You need this to see what a fit produced, how it answers, and what its root covers: equal roots mean equal answers.
`core.lmeraser.eraser` adds what changes a model.
"""

from __future__ import annotations

import hashlib
import json
import threading
import weakref
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from core.backbone.feature_cache import Derived, Inputs
from core.backbone.model import Backbone
from core.config import PRESETS, EraserConfig
from core.data.samples import Samples
from core.errors import InputError, NotFittedError
from core.lmeraser.global_head import SETTINGS, GlobalHead, Solved
from core.lmeraser.prediction import ClusterCache, Serving, log_proba
from core.lmeraser.records import ClusterState, Partition, tensors_digest
from core.lmeraser.similarity import nearest

if TYPE_CHECKING:
    from core.lmeraser.exported.model import ExportedModel

ROOT_SCHEMA = 2  # part of every root: raise it when a change alters what a root covers
FILLED_CACHES = 2  # plan caches that hold arrays at any time: a page's base model, and the visitor's model planned on last

T = TypeVar("T")
_filled: list[weakref.ref[PlanCache]] = []
_lock = threading.Lock()


class PlanCache:
    """Per-model cache that speeds up planning: unit features and anchor distances, by name, each computed once.

    The arrays are as large as the features, so only the `FILLED_CACHES` caches used last hold any. A cache belongs to one model and
    is deleted with it, so nothing of a forgotten sample survives in it.
    """

    def __init__(self) -> None:
        self._arrays: dict[str, object] = {}

    def get(self, name: str, compute: Callable[[], T]) -> T:
        """Return the arrays of that name, computing them if they are missing."""
        arrays = self._arrays.get(name)
        if arrays is None:
            arrays = self._arrays[name] = compute()
        _keep_last(self)
        return cast(T, arrays)

    def clear(self) -> None:
        """Delete all arrays."""
        self._arrays = {}


def _keep_last(cache: PlanCache) -> None:
    """Clear the caches that were used longest ago."""
    with _lock:
        others = [other for other in (ref() for ref in _filled) if other is not None and other is not cache]
        for old in others[: -(FILLED_CACHES - 1)]:
            old.clear()
        _filled[:] = [weakref.ref(c) for c in [*others[-(FILLED_CACHES - 1) :], cache]]


@dataclass(frozen=True, eq=False)
class Model:
    """A fitted model: samples, their partition, one key and state per cluster, and the global head's statistics."""

    samples: Samples
    partition: Partition
    keys: tuple[str, ...]
    states: dict[str, ClusterState]
    head: GlobalHead | None
    root: str = ""
    recipe: str = ""  # the part of every cluster key that does not depend on the members
    blocked: frozenset[int] = frozenset()  # clusters that do not answer while a request runs
    serving_head: GlobalHead | None = None  # the head that answers while a request runs, without the request's samples
    plan_cache: PlanCache = field(default_factory=PlanCache)


def model_root(model: Model, config: EraserConfig, backbone: str) -> str:
    """Return the SHA-256 over everything that decides a model's answers; `backbone` is the frozen weights' fingerprint.

    It covers each cluster's key, state and prototype; the prototypes; how clusters and global head are mixed; the head's sums and
    the settings they are solved with; the class list; the backbone. The numbering of clusters decides nothing and is left out.
    """
    prototype_of = zip(model.keys, model.partition.buckets.tolist(), strict=True)
    facts = {
        "schema": ROOT_SCHEMA,
        "clusters": sorted((key, model.states[key].digest, bucket) for key, bucket in prototype_of),
        "prototypes": tensors_digest({"prototypes": model.partition.prototypes}),
        "serving": asdict(config.serve),
        "head": model.head and {"sums": model.head.digest, **SETTINGS},
        "classes": model.samples.classes,
        "backbone": backbone,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def checked_ids(ids: str | Iterable[str]) -> tuple[str, ...]:
    """Return ids, or a single one, as a tuple; raises InputError when there are none or one is repeated."""
    ids = (ids,) if isinstance(ids, str) else tuple(ids)
    if not ids:
        raise InputError("0 ids were given; name at least one sample to forget.")
    if len(set(ids)) < len(ids):
        raise InputError(f"{len(ids) - len(set(ids))} of {len(ids)} ids are repeated; name each sample once.")
    return ids


class FittedModel(ClassifierMixin, BaseEstimator):
    """Everything that can be read from a fitted `LMEraser`: attributes, predictions, and similar samples."""

    model_: Model
    _config: EraserConfig
    _backbone: Backbone
    _derived: Derived
    _public: Derived
    _answers: ClusterCache
    _solution: tuple[GlobalHead, Solved] | None

    @property
    def _current(self) -> Model | None:
        return getattr(self, "model_", None)

    def _fitted(self) -> Model:
        model = self._current
        if model is None:
            raise NotFittedError("This LMEraser is not fitted yet. Call fit(samples) first.")
        return model

    @property
    def config_(self) -> EraserConfig:
        self._fitted()
        return self._config

    @property
    def backbone_(self) -> Backbone:
        self._fitted()
        return self._backbone

    @property
    def classes_(self) -> np.ndarray:
        return np.arange(len(self._fitted().samples.classes))

    @property
    def samples_(self) -> Samples:
        return self._fitted().samples

    @property
    def partition_(self) -> Partition:
        return self._fitted().partition

    @property
    def keys_(self) -> tuple[str, ...]:
        return self._fitted().keys

    @property
    def states_(self) -> dict[str, ClusterState]:
        return self._fitted().states

    @property
    def root_(self) -> str:
        return self._fitted().root

    def recomputed_root(self) -> str:
        """Return the root computed again from every state's bytes; it differs from `root_` if a state was altered since."""
        return self.rooted(self._fitted()).root

    def rooted(self, model: Model) -> Model:
        """Return a model with its root, under this estimator's configuration and backbone."""
        return replace(model, root=model_root(model, self._config, self._backbone.fingerprint))

    @property
    def derived_images_(self) -> int:
        """How many images were sent through the backbone for this model so far; a fork counts its own."""
        return self._derived.computed

    def predict(self, images: np.ndarray | Inputs) -> np.ndarray:
        """Return the class index (n,) of each image (n, h, w[, 3]) uint8, or of prepared `Inputs`. Raises NotFittedError."""
        return self.predict_proba(images).argmax(1)

    def predict_proba(self, images: np.ndarray | Inputs) -> np.ndarray:
        """Return class probabilities (n, classes) float64; a model that has forgotten everything gives every class the same."""
        model = self._fitted()
        inputs = images if isinstance(images, Inputs) else self.prepare(images)
        cache = self._answers if isinstance(images, Inputs) else None
        return np.exp(log_proba(self._serving(model), inputs, cache))

    def prepare(self, images: np.ndarray) -> Inputs:
        """Return images (n, h, w[, 3]) uint8 prepared for prediction. Predictions from prepared inputs are remembered."""
        self._fitted()
        return self._inputs(Samples.build(images, np.zeros(len(images), np.int64), ("0",)), self._derived.fresh())

    def prepare_public(self, samples: Samples) -> Inputs:
        """Prepare test samples, once for all forks. Private data must use `prepare`, because what is kept here is never deleted."""
        self._fitted()
        return self._inputs(samples, self._public)

    def prepare_members(self, rows: np.ndarray | None = None) -> Inputs:
        """Prepare the model's own samples (all, or some rows) from their cached features."""
        samples = self._fitted().samples
        return self._inputs(samples if rows is None else samples.take(rows), self._derived)

    def _inputs(self, samples: Samples, derived: Derived) -> Inputs:
        derived.ensure(samples, trunk=True)
        return derived.inputs(samples)

    def _serving(self, model: Model) -> Serving:
        """Return what answers for a model, with its global head solved once."""
        head = model.serving_head or model.head
        solved = None
        if head is not None and head.counts.any():
            if self._solution is None or self._solution[0] is not head:
                self._solution = (head, head.solve())
            solved = self._solution[1]
        classes = len(model.samples.classes)
        return Serving(model.partition, model.keys, model.states, solved, self._backbone, self._config, classes, model.blocked)

    def export(self, path: Path | str, dataset: str = "", requests: int = 0) -> Path:
        """Write a model to take home, without its private images, into a new folder or .zip; return the path.

        `dataset` and `requests` (those so far) are for its card. Raises NotFittedError, StoreError.
        """
        from core.lmeraser.exported.model import ExportedModel, Origin

        preset = next((name for name, config in PRESETS.items() if config == self.config_), "")
        return ExportedModel.of(self, Origin(dataset, len(self.samples_), requests, preset)).write(path)

    @staticmethod
    def load(path: Path | str, device: str = "cpu") -> ExportedModel:
        """Read a model that `export` wrote; raises StoreError when it is damaged or its root is another one, BackboneError."""
        from core.lmeraser.exported.model import ExportedModel

        return ExportedModel.read(path, device)

    def similar(self, ids: str | Iterable[str], count: int = 10) -> tuple[str, ...]:
        """Return the ids of at most `count` other samples that look most like any of the given ones, the most similar first.

        Similarity is the cosine of frozen features; ties are broken by id.
        Raises NotFittedError, UnknownSampleError, InputError for no ids or a count below 1.
        """
        samples = self._fitted().samples
        rows = samples.rows(checked_ids(ids))
        if count < 1:
            raise InputError(f"count is {count}; give a whole number of at least 1.")
        return tuple(samples.ids[r] for r in nearest(self.member_features(), rows, count, samples.ids))

    def derived_copy(self) -> Derived:
        """Return a copy of the table of this model's features and activations; deleting from it leaves the model's as it is."""
        self._fitted()
        return self._derived.fork()

    def member_features(self) -> np.ndarray:
        """Return the frozen features (n, d) float32 of the model's samples, in order."""
        return self._derived.features(self._fitted().samples.digests)

    def memorized(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the probability of each own sample's label under the closed form, with (n,) and without (n,) that sample.

        How far it drops tells how much the answer rests on having seen the image (leave-one-out memorization; Feldman, arXiv
        1906.05271). The closed form is the global head, made from the features where the model serves without one. Takes a second
        or two for some thousand samples. Raises NotFittedError.
        """
        samples = self._fitted().samples
        features, labels, every = self.member_features(), samples.labels, np.arange(len(samples))
        if not len(samples):
            return np.zeros(0), np.zeros(0)
        head = self._fitted().head or GlobalHead.empty(len(samples.classes), features.shape[1]).changed(features, labels, 1)
        return head.solve().proba(features)[every, labels], head.leave_one_out(features, labels)[every, labels]
