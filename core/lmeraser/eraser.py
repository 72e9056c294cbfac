"""The estimator `LMEraser`: fit, predict, plan, forget and learn, in the manner of scikit-learn.

Start here to use the method. Each change of a model is a fit on the new set of samples, in which every cluster whose members stayed
the same is taken from the store. So the model after `forget(ids)` has the same root, bit for bit, as one fitted without those
samples on the same environment.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from core.backbone.feature_cache import Derived
from core.backbone.model import Backbone, load_backbone
from core.config import EraserConfig, preset
from core.data.samples import Samples
from core.errors import InputError
from core.lmeraser.cluster_training import ClusterJob, cluster_job, train_cluster
from core.lmeraser.fitted_model import FittedModel, Model, checked_ids
from core.lmeraser.global_head import GlobalHead
from core.lmeraser.partition import check_partition
from core.lmeraser.planning import Planner, Target
from core.lmeraser.prediction import ClusterCache
from core.lmeraser.prompts import check_prompt, trunk_block
from core.lmeraser.records import ClusterState, ForgetPlan, Outcome, Seconds
from core.lmeraser.state_store import MemoryStore, OverlayStore, Store
from core.lmeraser.time_estimate import Pace, Timings
from core.runtime.executors import Executor, InlineExecutor, Lazy
from core.runtime.progress import Progress, ProgressCallback

PROBED, PROBING = 3, 1.0  # most clusters that are trained once more to see the pace, and seconds after which none is begun


class LMEraser(FittedModel):
    """An image classifier that forgets training samples exactly (LMEraser, arXiv 2404.11056).

    Parameters
    ----------
    config : EraserConfig or str, default="fast"
        Every setting of the method, or the name of a preset: "fast", "paper" or "instant".
    backbone : Backbone or str, default="embedded"
        The frozen public model, or its name for `load_backbone`.
    store : Store or None, default=None
        Where trained cluster states are kept. None keeps them in memory.
    executor : Executor or None, default=None
        Where training runs. None runs it in the calling thread.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,), int64
        The class indices that `predict` returns; `samples_.classes` holds their names.
    samples_ : Samples
        The samples that the model was fitted on and still holds.
    partition_ : Partition
        The clusters, and the prototypes that images are routed by.
    keys_ : tuple of str
        One key per cluster: the SHA-256 of everything that its state depends on.
    states_ : dict of str to ClusterState
        Prompt and head of each cluster, by key.
    root_ : str
        The SHA-256 over everything that decides the model's answers. Equal roots mean equal models.
    outcome_ : Outcome
        What the last change did: clusters trained, reused and dropped, and the seconds it took.

    Raises
    ------
    NotFittedError
        When an unfitted model is asked to predict, plan or forget.
    InputError
        When a parameter or the data cannot be used. The message names the value, the limit and the remedy.

    Examples
    --------
    >>> from core.data.datasets import load_dataset
    >>> from core.lmeraser.eraser import LMEraser
    >>> samples = load_dataset("digits").train.take(range(40))
    >>> model = LMEraser().fit(samples)
    >>> model.predict(samples.images[:3]).shape
    (3,)
    >>> plan = model.plan(samples.ids[:1])
    >>> outcome = model.forget(plan)
    >>> len(model.samples_)
    39
    >>> model.root_ == LMEraser().fit(samples.without(samples.ids[:1])).root_
    True
    """

    _full: tuple[Outcome, float] | None  # the full training that was measured last, and the pace then
    SHARED = ("_public",)  # test images, shared by all forks: see core.audit.residue_scan

    def __init__(
        self,
        config: EraserConfig | str = "fast",
        backbone: Backbone | str = "embedded",
        store: Store | None = None,
        executor: Executor | None = None,
    ):
        self.config, self.backbone, self.store, self.executor = config, backbone, store, executor

    def __sklearn_clone__(self) -> LMEraser:
        """Return an unfitted copy; it shares the frozen backbone, the store and the executor, which must not be copied."""
        return type(self)(**self.get_params(deep=False))

    # Changes of the model

    def fit(
        self,
        samples: Samples | np.ndarray,
        labels: np.ndarray | None = None,
        progress: ProgressCallback | None = None,
        cancel: threading.Event | None = None,
    ) -> LMEraser:
        """Fit on samples, or on images (n, h, w[, 3]) uint8 and integer labels (n,); return self.

        Raises InputError for a configuration or data that cannot be used, CancelledError when cancelled, StoreError.
        """
        if not isinstance(samples, Samples):
            samples = Samples.build(samples, labels)
        self._prepare()
        if not samples.classes:
            raise InputError("0 classes are named; give at least one class.")
        fresh = any(d not in self._derived.entries for d in samples.digests)  # otherwise states may be in the store as well
        setup = self._derived.ensure(samples, trunk=fresh, progress=progress, cancel=cancel)
        self._advance("fit", self._planner.target(samples, self._current, setup), progress, cancel)
        return self

    def plan(self, ids: str | Iterable[str]) -> ForgetPlan:
        """Return what forgetting the ids will do; nothing is changed.

        Raises NotFittedError, UnknownSampleError for ids that are not in the model, InputError for no ids or a repeated one.
        """
        self._fitted()
        with self._swap:
            return self._planner.plan(self.model_, checked_ids(ids), self._timings)

    def forget(
        self, ids: str | Iterable[str] | ForgetPlan, progress: ProgressCallback | None = None, cancel: threading.Event | None = None
    ) -> Outcome:
        """Forget ids, or execute a plan unchanged; return what was done.

        Raises what `plan` raises, StalePlanError when the model changed since the plan, CancelledError (the model is as before).
        """
        plan = ids if isinstance(ids, ForgetPlan) else self.plan(ids)
        model = self._fitted()
        plan.check(model.root, model.samples.ids)
        target = Target(model.samples.take(plan.retained), plan.partition, plan.keys, plan_seconds=plan.seconds)
        outcome = self._advance("forget", target, progress, cancel)
        if plan.measured_clusters:
            self._pace.note_request(outcome.seconds.total, plan.predicted_seconds)
        return outcome

    def learn(self, samples: Samples, progress: ProgressCallback | None = None, cancel: threading.Event | None = None) -> Outcome:
        """Add samples of the same classes and image size: a fit on the union. Raises InputError, CancelledError."""
        model = self._fitted()
        union = model.samples.extended(samples)
        setup = self._derived.ensure(samples, trunk=False, progress=progress, cancel=cancel)
        return self._advance("learn", self._planner.target(union, model, setup), progress, cancel)

    def block(self, plan: ForgetPlan) -> None:
        """Stop using the clusters and the global head's samples that a plan removes, until it is executed or `unblock` is called."""
        model = self._fitted()
        plan.check(model.root, model.samples.ids)
        head = self._moved_head(model, model.samples.take(plan.retained))
        self.model_ = replace(model, blocked=frozenset(plan.touched), serving_head=head)

    def unblock(self) -> None:
        """Let all clusters answer again."""
        self.model_ = replace(self._fitted(), blocked=frozenset(), serving_head=None)

    def adopt(self, model: Model) -> None:
        """Replace the fitted model by one that was changed by other means, and compute its root. For baselines and audits."""
        self._fitted()
        self.model_ = self.rooted(model)

    def fork(self) -> LMEraser:
        """Return a private copy that shares arrays and states with this model but forgets on its own."""
        model = self._fitted()
        copy = LMEraser(self.config, self._backbone, OverlayStore(self._store), self._executor)
        copy._prepare()
        copy._derived, copy._public, copy._answers = self._derived.fork(), self._public, self._answers.fork()
        copy._full, copy._pace = self._full, self._pace
        copy.model_, copy.outcome_ = model, self.outcome_
        return copy

    def reconfigured(self, config: EraserConfig) -> LMEraser:
        """Return an unfitted eraser of another configuration, with this one's store and the features that this one has computed."""
        self._fitted()
        other = LMEraser(config, self._backbone, OverlayStore(self._store), self._executor)
        other._prepare()
        if other._derived.block in (None, self._derived.block):  # activations before another block would be of no use
            for name in ("_derived", "_public"):
                shared = getattr(self, name).fork()
                shared.block = other._derived.block
                setattr(other, name, shared)
        return other

    def full_retraining(self, progress: ProgressCallback | None = None, cancel: threading.Event | None = None) -> tuple[LMEraser, Outcome]:
        """Fit the same configuration from scratch on the model's samples, with an empty store; return the new model and what it took.

        Use it to measure. A proof starts from the data before the request instead, in another process (`core.workspace.clean_room`).
        """
        fresh = LMEraser(self.config, self._backbone, MemoryStore(), self._executor)
        fresh._prepare()
        fresh._pace = self._pace
        fresh.fit(self._fitted().samples, progress=progress, cancel=cancel)
        self._full = fresh.outcome_, self.pace_
        return fresh, fresh.outcome_

    # Features and time

    def load_features(self, path: Path) -> bool:
        """Read features that `save_features` wrote, so that `fit` computes only the others; return whether there were any."""
        self._prepare()
        return self._derived.load(path)

    def save_features(self, path: Path) -> None:
        """Write the samples' frozen features to a file for the next start; raises StoreError."""
        self._fitted()
        self._derived.save(path)

    def expected_seconds(self, sizes: Iterable[int]) -> float:
        """Return the seconds that training clusters of these sizes should take here, from how long this model's own states took."""
        self._fitted()
        return self._timings.clusters(sizes).seconds

    @property
    def pace_(self) -> float:
        """How long training takes now, as a multiple of what it took when this model's clusters were trained; 1 if that is not known."""
        return self._timings.now

    def prepare_plans(self) -> None:
        """Compute in advance what all plans on this model share, so that the first one is as quick as the others.

        A model that has trained nothing here yet trains a few of its clusters once more, which shows its pace, and discards the result.
        """
        model = self._fitted()
        self._planner.warm_up(model)
        began = time.perf_counter()
        for cluster in range(min(PROBED, len(model.keys)) if not self._pace.clusters else 0):
            if time.perf_counter() - began < PROBING:
                rows = model.partition.members(cluster)
                self._derived.ensure(model.samples.take(rows), trunk=True)
                self._pace.note(train_cluster(self._job(model.samples, rows, model.keys[cluster])), alone=self._executor.workers > 1)

    # How a change is made

    @property
    def _planner(self) -> Planner:
        return Planner(self._config, self._backbone, self._derived)

    @property
    def _timings(self) -> Timings:
        states = self._fitted().states.values()
        return Timings(states, self._config, self._executor.workers, self._pace, self._full, self._derived.seconds_per_image)

    def _prepare(self) -> None:
        """Resolve the parameters into private attributes, once."""
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
        self._swap = threading.RLock()  # a plan reads features that a finishing request deletes
        self._full, self._solution, self._pace = None, None, Pace()

    def _advance(self, kind: str, target: Target, progress: ProgressCallback | None, cancel: threading.Event | None) -> Outcome:
        """Bring the model to a target: take known states, train the others, swap, then delete what only the old model used."""
        old, samples, keys = self._current, target.samples, target.keys
        states = self._known_states(keys)
        reused = tuple(k for k in keys if k in states)
        missing = [c for c, k in enumerate(keys) if k not in states]
        setup = target.setup_seconds
        if missing:
            needed = samples.take(np.flatnonzero(np.isin(target.partition.assignment, missing)))
            setup += self._derived.ensure(needed, trunk=True, progress=progress, cancel=cancel)
        began = time.perf_counter()
        trained = self._train(target, missing, progress, cancel)
        states |= trained
        head = self._moved_head(old, samples)
        seconds = Seconds(setup, target.plan_seconds, time.perf_counter() - began)
        recipe = self._planner.recipe(len(samples.classes))
        model = self.rooted(Model(samples, target.partition, keys, states, head, recipe=recipe))
        dropped = tuple(k for k in old.keys if k not in states) if old else ()
        with self._swap:
            self.model_ = model
            self._drop(old, dropped)
        self.outcome_ = Outcome(
            kind=kind,
            root_before=old.root if old else None,
            root_after=model.root,
            trained=tuple(trained),
            reused=reused,
            dropped=dropped,
            seconds=seconds,
            sample_passes=sum(s.sample_passes for s in trained.values()),
            samples=len(samples),
        )
        if kind == "fit" and not reused:
            self._full = self.outcome_, self.pace_
        return self.outcome_

    def _known_states(self, keys: tuple[str, ...]) -> dict[str, ClusterState]:
        """Return the states of these keys that the current model or the store has."""
        current = self._current.states if self._current else {}
        known = {k: current.get(k) or self._store.get(k) for k in keys}
        return {k: s for k, s in known.items() if s is not None}

    def _train(
        self, target: Target, missing: list[int], progress: ProgressCallback | None, cancel: threading.Event | None
    ) -> dict[str, ClusterState]:
        """Train the missing clusters and put them into the store; if training fails or is cancelled, none stays there."""
        jobs = Lazy(lambda i: self._job(target.samples, target.partition.members(missing[i]), target.keys[missing[i]]), len(missing))
        trained: dict[str, ClusterState] = {}
        try:
            for i, state in self._executor.map(train_cluster, jobs, cancel):
                key = target.keys[missing[i]]
                trained[key] = state
                self._pace.note(state, alone=len(jobs) < self._executor.workers)
                self._store.put(key, state)
                if progress:
                    progress(Progress("train", len(trained), len(jobs), (key,)))
        except BaseException:
            for key in trained:
                self._store.delete(key)
            raise
        return {k: trained[k] for k in target.keys if k in trained}

    def _job(self, samples: Samples, rows: np.ndarray, key: str) -> ClusterJob:
        """Return the training of one cluster, with its members in ascending order of digest."""
        members = samples.take(np.array(sorted(rows, key=samples.digests.__getitem__), np.int64))
        return cluster_job(key, self._derived.inputs(members), members.labels, len(samples.classes), self._backbone, self._config)

    def _moved_head(self, old: Model | None, samples: Samples) -> GlobalHead | None:
        """Return the global head of the new samples, moved there from the old model's head."""
        if self._config.has_prompts and not self._config.serve.global_weight:
            return None
        began, moved = time.perf_counter(), 0

        def features(some: Samples) -> np.ndarray:
            nonlocal moved
            moved += len(some)
            return self._derived.features(some.digests)

        if old is None or old.head is None or len(old.head.counts) != len(samples.classes):
            head = GlobalHead.empty(len(samples.classes), self._backbone.feature_dim).changed(features(samples), samples.labels, 1)
        else:
            head = old.head.moved(old.samples, samples, features)
        self._pace.note_head(moved, time.perf_counter() - began)
        return head

    def _drop(self, old: Model | None, keys: tuple[str, ...]) -> None:
        """Delete the states of these keys, and everything derived from samples that only the old model held."""
        for key in keys:
            self._store.delete(key)
        self._answers.keep_clusters(self.model_.keys)
        if old:
            forgotten = set(old.samples.digests) - set(self.model_.samples.digests)
            self._derived.drop(forgotten)
            self._answers.drop(forgotten)


def _check_budget(config: EraserConfig) -> None:
    for name, value in (("steps", config.train.steps), ("batch_size", config.train.batch_size), ("mix", config.serve.mix)):
        if value < 1:
            raise InputError(f"{name} is {value}; give a whole number of at least 1.")
    if not 0 <= config.serve.global_weight <= 1:
        raise InputError(f"global_weight is {config.serve.global_weight}; give a share between 0 and 1.")
    for name, number in (("temperature", config.serve.temperature), ("prior", config.serve.prior)):
        if number <= 0:
            raise InputError(f"{name} is {number}; give a number above 0.")
