"""`LMEraser`: fit, predict, plan, forget, learn. Each change is a fit on the new set of samples, served from the store where it can be.

Because every state is found under a key that says all it depends on, the model after `forget(ids)` is the one that `fit` gives
on what remains: same root, bit for bit, on the same environment. Knows no data set, no request log and no page.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from core.backbone import Backbone, load_backbone
from core.derived import Derived
from core.desk import Desk
from core.errors import InputError, NotFittedError
from core.executors import Executor, InlineExecutor, Lazy
from core.forecast import Forecast, forecast
from core.global_head import GlobalHead, expand
from core.partition import Previous, anchor_distances, check_partition, make_partition
from core.presets import preset
from core.prompts import check_prompt, trunk_block
from core.ranking import unit, with_lengths
from core.serve import ClusterCache, Inputs, log_proba
from core.similar import nearest
from core.store import MemoryStore, OverlayStore, Store
from core.train import ClusterJob, cluster_key, recipe_digest, train_cluster
from core.types import (
    ClusterState,
    EraserConfig,
    ForgetPlan,
    Outcome,
    Partition,
    Progress,
    ProgressCallback,
    Samples,
    Seconds,
    tensors_digest,
)


@dataclass(frozen=True, eq=False)
class Model:
    """A fitted model: samples, their partition, one key and state per cluster, and the global head's statistics."""

    samples: Samples
    partition: Partition
    keys: tuple[str, ...]
    states: dict[str, ClusterState]
    head: GlobalHead | None
    root: str
    recipe: str = ""  # what all keys depend on beside the members
    blocked: frozenset[int] = frozenset()  # clusters that do not serve while a request is under way
    serving_head: GlobalHead | None = None  # and the head that serves meanwhile, without the request's samples
    desk: Desk = field(default_factory=Desk)  # what plans on this model have in common


def model_root(keys, states: dict[str, ClusterState], partition: Partition, head: GlobalHead | None) -> str:
    """Return the SHA-256 over sorted keys and state digests, the prototypes and the global head's integers."""
    facts = {
        "clusters": sorted((key, states[key].digest) for key in keys),
        "prototypes": tensors_digest({"prototypes": partition.prototypes}),
        "head": head.digest if head else None,
    }
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


class LMEraser:
    """An image classifier that forgets exactly (LMEraser, arXiv 2404.11056).

    Parameters are only stored; `fit` sets the attributes that end in an underscore. `backbone` is a `Backbone`, or a name for
    `load_backbone`. Without a store states live in memory; without an executor work runs in the calling thread.
    """

    SHARED = ("_public",)  # test images, shared by all forks: see core.residue

    def __init__(
        self,
        config: EraserConfig | str = "fast",
        backbone: Backbone | str = "embedded",
        store: Store | None = None,
        executor: Executor | None = None,
    ):
        self.config, self.backbone, self.store, self.executor = config, backbone, store, executor

    def fit(
        self,
        samples: Samples | np.ndarray,
        labels=None,
        progress: ProgressCallback | None = None,
        cancel: threading.Event | None = None,
    ) -> LMEraser:
        """Fit on samples, or on images (n, h, w[, 3]) uint8 and integer labels (n,); return self.

        Raises InputError for a configuration or data that do not fit, CancelledError when cancelled, StoreError.
        """
        if not isinstance(samples, Samples):
            samples = Samples.build(samples, labels)
        self._prepare()
        if not samples.classes:
            raise InputError("0 classes are named; give at least one class.")
        fresh = any(d not in self._derived.entries for d in samples.digests)  # else features were kept, and states may be, too
        setup = self._derived.ensure(samples, trunk=fresh, progress=progress, cancel=cancel)
        began = time.perf_counter()
        partition, keys = self._partition(samples.digests, len(samples.classes), self._places(samples))
        plan_seconds = time.perf_counter() - began
        self._advance("fit", samples, partition, keys, setup, plan_seconds, progress, cancel)
        return self

    def plan(self, ids) -> ForgetPlan:
        """Return what forgetting the ids will do; nothing is changed.

        Raises NotFittedError, UnknownSampleError for ids that are not in the model, InputError for an empty or repeated one.
        """
        self._fitted()
        with self._swap:
            return self._planned(self.model_, checked_ids(ids))

    def _planned(self, model: Model, ids: tuple[str, ...]) -> ForgetPlan:
        began = time.perf_counter()
        gone = model.samples.rows(ids)
        kept = np.delete(np.arange(len(model.samples)), gone)
        digests = tuple(map(model.samples.digests.__getitem__, kept.tolist()))
        partition, keys = self._partition(digests, len(model.samples.classes), kept)
        known = set(model.keys)
        retrain = tuple(k for k in keys if k not in known)
        todo = [c for c, k in enumerate(keys) if k not in known]
        sizes = np.bincount(partition.assignment, minlength=partition.clusters)
        seconds = time.perf_counter() - began
        expected = self._predict_training(sizes[todo] if todo else []).later(seconds)
        return ForgetPlan(
            ids=ids,
            root=model.root,
            among=model.samples.ids,
            kept=kept,
            partition=partition,
            keys=keys,
            touched=tuple(sorted({int(c) for c in model.partition.assignment[gone]} | self._vanished(model, keys))),
            clusters_before=model.partition.clusters,
            retrain=retrain,
            untouched=tuple(k for k in keys if k in known),
            samples_to_retrain=int(sizes[todo].sum()) if todo else 0,
            copies_left=model.samples.copies_of(ids),
            predicted_seconds=expected.seconds,
            predicted_full_seconds=self._predict_full(sizes),
            seconds=seconds,
            predicted_range=(expected.low, expected.high),
            measured_clusters=expected.measured,
        )

    def forget(self, ids, progress: ProgressCallback | None = None, cancel: threading.Event | None = None) -> Outcome:
        """Forget ids, or execute a plan unchanged; return what was done.

        Raises what `plan` raises, StalePlanError when the model changed since the plan, CancelledError (the model is as before).
        """
        plan = ids if isinstance(ids, ForgetPlan) else self.plan(ids)
        model = self._fitted()
        plan.check(model.root, model.samples.ids)
        survivors = model.samples.take(plan.kept)
        return self._advance("forget", survivors, plan.partition, plan.keys, 0.0, plan.seconds, progress, cancel)

    def block(self, plan: ForgetPlan) -> None:
        """Answer without the clusters and the global head's samples that a plan concerns, until it is executed or `unblock` is called."""
        model = self._fitted()
        plan.check(model.root, model.samples.ids)
        self.model_ = replace(model, blocked=frozenset(plan.touched), serving_head=self._moved_head(model, model.samples.take(plan.kept)))

    def unblock(self) -> None:
        """Let all clusters serve again."""
        self.model_ = replace(self._fitted(), blocked=frozenset(), serving_head=None)

    def learn(self, samples: Samples, progress: ProgressCallback | None = None, cancel: threading.Event | None = None) -> Outcome:
        """Add samples of the same classes and image size: a fit on the union. Raises InputError, CancelledError."""
        model = self._fitted()
        union = model.samples.extended(samples)
        setup = self._derived.ensure(samples, trunk=False, progress=progress, cancel=cancel)
        began = time.perf_counter()
        partition, keys = self._partition(union.digests, len(union.classes), self._places(union))
        return self._advance("learn", union, partition, keys, setup, time.perf_counter() - began, progress, cancel)

    def predict(self, images) -> np.ndarray:
        """Return the class index (n,) of each image (n, h, w[, 3]) uint8, or of prepared `Inputs`. Raises NotFittedError."""
        return self.predict_proba(images).argmax(1)

    def predict_proba(self, images) -> np.ndarray:
        """Return class probabilities (n, classes) float64; a model that has forgotten everything answers every class alike."""
        model = self._fitted()
        inputs = images if isinstance(images, Inputs) else self.prepare(images)
        cache = self._answers if isinstance(images, Inputs) else None
        solved = self._solved(model)
        expanded = expand(inputs.features) if solved else None
        values = log_proba(
            model.partition,
            model.keys,
            model.states,
            solved,
            inputs,
            expanded,
            self._backbone,
            self._config,
            len(model.samples.classes),
            cache,
            model.blocked,
        )
        return np.exp(values)

    def prepare(self, images) -> Inputs:
        """Return what serving derives from images (n, h, w[, 3]) uint8; predictions from it are remembered, from images not."""
        self._fitted()
        return self._inputs(Samples.build(images, np.zeros(len(images), np.int64), ("0",)), self._derived.fresh())

    def prepare_public(self, samples: Samples) -> Inputs:
        """As `prepare`, for test samples: computed once and shared by all forks. Not for private data, which must be deletable."""
        self._fitted()
        return self._inputs(samples, self._public)

    def prepare_members(self, rows=None) -> Inputs:
        """As `prepare`, for the model's own samples (all, or some rows), from what is remembered of them."""
        samples = self._fitted().samples
        return self._inputs(samples if rows is None else samples.take(rows), self._derived)

    def _inputs(self, samples: Samples, derived: Derived) -> Inputs:
        derived.ensure(samples, trunk=True)
        values = samples.images if derived.block is None else derived.trunks(samples.digests)
        return Inputs(samples.digests, derived.features(samples.digests), values)

    def similar(self, ids, count: int = 10) -> tuple[str, ...]:
        """Return the ids of at most `count` other samples whose frozen features are nearest to any of the given ones', nearest first.

        Distance is the cosine's; ties go by id. Raises NotFittedError, UnknownSampleError, InputError for no ids or a count below 1.
        """
        samples = self._fitted().samples
        rows = samples.rows(checked_ids(ids))
        if count < 1:
            raise InputError(f"count is {count}; give a whole number of at least 1.")
        return tuple(samples.ids[r] for r in nearest(self.member_features(), rows, count, samples.ids))

    def member_features(self) -> np.ndarray:
        """Return the frozen features (n, d) float32 of the model's samples, in their order."""
        return self._derived.features(self._fitted().samples.digests)

    def load_features(self, path: Path) -> bool:
        """Read frozen features kept by `save_features` before a fit, so that only what is missing is computed; return whether any were."""
        self._prepare()
        return self._derived.load(path)

    def save_features(self, path: Path) -> None:
        """Keep the samples' frozen features in a file for a later start; raises StoreError."""
        self._fitted()
        self._derived.save(path)

    def fork(self) -> LMEraser:
        """Return a private copy that shares arrays and states with this model but forgets on its own."""
        model = self._fitted()
        copy = LMEraser(self.config, self._backbone, OverlayStore(self._store), self._executor)
        copy._prepare()
        copy._derived, copy._public, copy._answers = self._derived.fork(), self._public, self._answers.fork()
        copy._full = self._full
        copy.model_, copy.outcome_ = model, self.outcome_
        return copy

    def full_retraining(self, progress: ProgressCallback | None = None, cancel: threading.Event | None = None) -> tuple[LMEraser, Outcome]:
        """Fit the same configuration from scratch on what remains, with an empty store; return the new model and what it took."""
        fresh = LMEraser(self.config, self._backbone, MemoryStore(), self._executor)
        fresh.fit(self._fitted().samples, progress=progress, cancel=cancel)
        self._full = fresh.outcome_
        return fresh, fresh.outcome_

    def expected_seconds(self, sizes) -> float:
        """Return the seconds that training clusters of these sizes should take here, from how long this model's own states took."""
        return self._predict_training(sizes).seconds

    @property
    def derived_images_(self) -> int:
        """Images that were sent through the backbone for this model so far; a fork counts its own."""
        return self._derived.computed

    @property
    def config_(self) -> EraserConfig:
        self._fitted()
        return self._config

    @property
    def backbone_(self) -> Backbone:
        self._fitted()
        return self._backbone

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
        """Return the root made anew from every state's bytes; it differs from `root_` when a state was altered since."""
        model = self._fitted()
        return model_root(model.keys, model.states, model.partition, model.head)

    def _fitted(self) -> Model:
        if not hasattr(self, "model_"):
            raise NotFittedError("This LMEraser is not fitted yet. Call fit(samples) first.")
        return self.model_

    def _prepare(self) -> None:
        """Resolve parameters into private attributes, once."""
        if hasattr(self, "_backbone"):
            return
        self._config = preset(self.config) if isinstance(self.config, str) else self.config
        self._backbone = load_backbone(self.backbone) if not isinstance(self.backbone, Backbone) else self.backbone
        check_partition(self._config.partition)
        check_prompt(self._config.prompt, self._backbone)
        _check_budget(self._config)
        self._store = self.store if self.store is not None else MemoryStore()
        self._executor = self.executor if self.executor is not None else InlineExecutor()
        self._derived = Derived(self._backbone, trunk_block(self._config.prompt, self._backbone), self._executor)
        self._public = self._derived.fresh()
        self._answers = ClusterCache()
        self._swap = threading.RLock()  # a plan reads what a finishing request deletes
        self._full: Outcome | None = None  # of the full training that was measured last
        self._solution: tuple[GlobalHead, tuple] | None = None

    def _places(self, samples: Samples) -> np.ndarray:
        """Return samples' rows in the current model, -1 for new ones."""
        return self.model_.samples.places(samples.ids) if hasattr(self, "model_") else np.full(len(samples), -1)

    def _partition(self, digests: tuple[str, ...], classes: int, rows: np.ndarray) -> tuple[Partition, tuple[str, ...]]:
        """Return the partition and cluster keys of samples by digest, reusing of the current model's what cannot differ.

        `rows` are the samples' rows in the current model, -1 for new ones.
        """
        model: Model | None = getattr(self, "model_", None)
        previous = self._previous(model, rows) if model is not None and model.partition.clusters else None
        public = self._backbone.public_prototypes() if self._config.partition.method == "public" else None
        features = lambda rows: self._derived.features(digests[r] for r in rows)  # noqa: E731
        partition = make_partition(digests, features, self._config.partition, public, previous)
        return partition, self._keys(digests, self._recipe(classes), partition, model, previous)

    def _previous(self, model: Model, rows: np.ndarray) -> Previous:
        digests, anchors = model.samples.digests, model.partition.anchors
        features, desk = self._derived.features, model.desk
        between = lambda: anchor_distances(unit(features(digests[r] for r in anchors)))  # noqa: E731
        return Previous(
            model.partition,
            rows,
            lambda: desk.get("unit features", lambda: with_lengths(features(digests))),
            lambda: desk.get("between anchors", between),
        )

    @staticmethod
    def _keys(digests, recipe: str, partition: Partition, model: Model | None, previous: Previous | None) -> tuple[str, ...]:
        """Return each cluster's key: the current model's where its members are the same."""
        same = np.full(partition.clusters, -1)
        if previous is not None and model.recipe == recipe:
            same = previous.same_clusters(partition)
        order = np.argsort(partition.assignment, kind="stable")
        ends = np.bincount(partition.assignment, minlength=partition.clusters).cumsum()
        members = lambda c: [digests[r] for r in order[ends[c - 1] if c else 0 : ends[c]].tolist()]  # noqa: E731
        return tuple(model.keys[s] if s >= 0 else cluster_key(recipe, members(c)) for c, s in enumerate(same.tolist()))

    def prepare_plans(self) -> None:
        """Compute beforehand what plans on this model have in common, so that the first one is as quick as the others."""
        model = self._fitted()
        if len(model.partition.prototypes):
            previous = self._previous(model, np.arange(len(model.samples)))
            previous.unit_features()
            previous.between_anchors()

    def _recipe(self, classes: int) -> str:
        return recipe_digest(self._backbone, self._config.prompt, self._config.train, classes)

    @staticmethod
    def _vanished(model: Model, keys: tuple[str, ...]) -> set[int]:
        kept = set(keys)
        return {c for c, k in enumerate(model.keys) if k not in kept}

    def _advance(self, kind, samples, partition, keys, setup, plan_seconds, progress, cancel) -> Outcome:
        """Bring the model to a new set of samples: take known states, train the others, swap, delete what nothing uses any more."""
        old: Model | None = getattr(self, "model_", None)
        states = self._known_states(keys, old)
        reused = tuple(k for k in keys if k in states)
        missing = [c for c, k in enumerate(keys) if k not in states]
        if missing:
            needed = samples.take(np.flatnonzero(np.isin(partition.assignment, missing)))
            setup += self._derived.ensure(needed, trunk=True, progress=progress, cancel=cancel)
        began = time.perf_counter()
        trained = self._train(samples, partition, keys, missing, progress, cancel)
        states |= trained
        head = self._moved_head(old, samples)
        train_seconds = time.perf_counter() - began
        root = model_root(keys, states, partition, head)
        dropped = tuple(k for k in old.keys if k not in states) if old else ()
        with self._swap:
            self.model_ = Model(samples, partition, keys, states, head, root, self._recipe(len(samples.classes)))
            self._drop(old, dropped)
        self.outcome_ = Outcome(
            kind=kind,
            root_before=old.root if old else None,
            root_after=self.model_.root,
            trained=tuple(trained),
            reused=reused,
            dropped=dropped,
            seconds=Seconds(setup, plan_seconds, train_seconds),
            sample_passes=sum(s.sample_passes for s in trained.values()),
            samples=len(samples),
        )
        if kind == "fit" and not reused:
            self._full = self.outcome_
        return self.outcome_

    def _known_states(self, keys, old: Model | None) -> dict[str, ClusterState]:
        at_hand = old.states if old else {}
        found = {k: at_hand.get(k) or self._store.get(k) for k in keys}
        return {k: s for k, s in found.items() if s is not None}

    def _train(self, samples, partition, keys, missing, progress, cancel) -> dict[str, ClusterState]:
        jobs = Lazy(lambda i: self._job(samples, partition.members(missing[i]), keys[missing[i]]), len(missing))
        trained: dict[str, ClusterState] = {}
        try:
            for i, state in self._executor.map(train_cluster, jobs, cancel):
                key = keys[missing[i]]
                trained[key] = state
                self._store.put(key, state)
                if progress:
                    progress(Progress("train", len(trained), len(jobs), (key,)))
        except BaseException:
            for key in trained:
                self._store.delete(key)
            raise
        return {k: trained[k] for k in keys if k in trained}

    def _job(self, samples: Samples, rows: np.ndarray, key: str) -> ClusterJob:
        digests = samples.digests
        rows = np.array(sorted(rows, key=lambda r: digests[r]), np.int64)
        chosen = [digests[r] for r in rows]
        tokens = self._config.prompt.kind == "tokens"
        return ClusterJob(
            key=key,
            backbone=self._backbone.spec,
            device=str(self._backbone.device),
            inputs=self._derived.trunks(chosen) if tokens else samples.images[rows],
            features=self._derived.features(chosen),
            labels=samples.labels[rows],
            num_classes=len(samples.classes),
            prompt=self._config.prompt,
            train=self._config.train,
        )

    def _moved_head(self, old: Model | None, samples: Samples) -> GlobalHead | None:
        """Return the global head of the new samples: what left is subtracted, what came is added; the integers are exact."""
        if not self._config.serve.global_weight:
            return None
        head = old.head if old else None
        if head is None or len(head.counts) != len(samples.classes):
            return self._shifted(GlobalHead.empty(len(samples.classes), self._backbone.feature_dim), samples, 1)
        before, after = set(old.samples.ids), set(samples.ids)
        gone = [r for r, i in enumerate(old.samples.ids) if i not in after]
        came = [r for r, i in enumerate(samples.ids) if i not in before]
        head = self._shifted(head, old.samples.take(gone), -1) if gone else head
        return self._shifted(head, samples.take(came), 1) if came else head

    def _shifted(self, head: GlobalHead, samples: Samples, sign: int) -> GlobalHead:
        return head.changed(self._derived.features(samples.digests), samples.labels, sign)

    def _drop(self, old: Model | None, keys: tuple[str, ...]) -> None:
        for key in keys:
            self._store.delete(key)
        self._answers.keep_clusters(self.model_.keys)
        if old:
            gone = set(old.samples.digests) - set(self.model_.samples.digests)
            self._derived.drop(gone)
            self._answers.drop(gone)

    def _solved(self, model: Model):
        head = model.serving_head or model.head
        if head is None or not head.counts.any():
            return None
        if self._solution is None or self._solution[0] is not head:
            self._solution = (head, head.solve())
        return self._solution[1]

    def _predict_training(self, sizes) -> Forecast:
        """Expected seconds to train clusters of these sizes, from how long this model's own states took."""
        config = self._config.train
        passes = [min(int(n), config.batch_size) * config.steps for n in sizes]
        return forecast(self._fitted().states.values(), passes, self._executor.workers)

    def _predict_full(self, sizes) -> float:
        if self._full is not None and self._full.samples:
            return self._full.seconds.total * float(np.sum(sizes)) / self._full.samples
        return self._predict_training(sizes).seconds + float(np.sum(sizes)) * self._derived.seconds_per_image


def checked_ids(ids) -> tuple[str, ...]:
    """Return ids, or a single one, as a tuple; raises InputError when there are none or one is repeated."""
    ids = (ids,) if isinstance(ids, str) else tuple(ids)
    if not ids:
        raise InputError("0 ids were given; name at least one sample to forget.")
    if len(set(ids)) < len(ids):
        raise InputError(f"{len(ids) - len(set(ids))} of {len(ids)} ids are repeated; name each sample once.")
    return ids


def _check_budget(config: EraserConfig) -> None:
    for name, value in (("steps", config.train.steps), ("batch_size", config.train.batch_size), ("mix", config.serve.mix)):
        if value < 1:
            raise InputError(f"{name} is {value}; give a whole number of at least 1.")
    if not 0 <= config.serve.global_weight <= 1:
        raise InputError(f"global_weight is {config.serve.global_weight}; give a share between 0 and 1.")
    if config.serve.temperature <= 0:
        raise InputError(f"temperature is {config.serve.temperature}; give a number above 0.")
