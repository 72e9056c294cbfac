"""SISA (Bourtoule et al., arXiv 1912.03817): random shards, each trained slice by slice with a checkpoint after each."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.backbone.feature_cache import Derived
from core.backbone.model import Backbone
from core.benchmarks.baselines.method import Cost, Method, Questions
from core.benchmarks.flops import Recipe, derivation_flops, tuning_flops
from core.config import EraserConfig
from core.data.samples import Samples
from core.lmeraser.cluster_training import ClusterJob, cluster_job, tune
from core.lmeraser.fitted_model import checked_ids
from core.lmeraser.prediction import ClusterCache
from core.lmeraser.prompts import trunk_block
from core.lmeraser.records import ClusterState, Seconds
from core.runtime.executors import Executor, InlineExecutor


@dataclass(frozen=True, eq=False)
class ShardJob:
    """A shard's data in ascending order of digest, each row's slice, and the checkpoint before slice `first` to continue from."""

    cluster: ClusterJob
    slices: np.ndarray
    first: int
    count: int
    start: ClusterState | None

    @property
    def device(self) -> str:
        return self.cluster.device


def train_shard(job: ShardJob) -> list[ClusterState | None]:
    """Train slice after slice, each on all data up to it; return the state after each slice from `first` on, None before any data."""
    states: list[ClusterState | None] = []
    state = job.start
    for stage in range(job.first, job.count):
        rows = np.flatnonzero(job.slices <= stage)
        state = tune(_prefix(job.cluster, rows, stage), state) if len(rows) else None
        states.append(state)
    return states


def _prefix(job: ClusterJob, rows: np.ndarray, stage: int) -> ClusterJob:
    """Return the job of some rows; its randomness depends on their number, but not on later slices."""
    key = hashlib.sha256(f"{stage} {len(rows)} {job.key}".encode()).hexdigest()
    return replace(job, key=key, inputs=job.inputs[rows], features=job.features[rows], labels=job.labels[rows])


def shard_flops(job: ShardJob) -> int:
    """Return the FLOPs of `train_shard`."""
    sizes = [int((job.slices <= stage).sum()) for stage in range(job.first, job.count)]
    return sum(tuning_flops(Recipe.of(job.cluster), n) for n in sizes if n)


class Sisa(Method):
    """Random shards by digest, each cut into slices with a checkpoint after each; the shards' probabilities are averaged.

    A shard has the step budget of a cluster, spread over its slices. Forgetting goes back to the checkpoint before the first
    slice it touches. A sample's shard and slice depend on its digest alone, so the result is that of a fit on the retained samples.
    `known` are features and activations that need not be computed again.
    """

    name, exact, control = "SISA", True, "SISA"

    def __init__(
        self,
        config: EraserConfig,
        backbone: Backbone,
        executor: Executor | None,
        shards: int,
        slices: int = 4,
        known: Derived | None = None,
    ):
        self.config = replace(config, train=replace(config.train, steps=max(1, config.train.steps // slices)))
        self.backbone, self.executor, self.shards, self.slices = backbone, executor or InlineExecutor(), shards, slices
        self._known = known

    def fit(self, samples: Samples) -> Cost:
        fresh = Derived(self.backbone, trunk_block(self.config.prompt, self.backbone), self.executor)
        self._derived = self._known.fork() if self._known else fresh
        self._cache, self._counted = ClusterCache(), 0
        self.checkpoints_: dict[int, list[ClusterState | None]] = {}
        setup = self._derived.ensure(samples, trunk=True)
        return self._advance(samples, {int(s): 0 for s in np.unique(self._place(samples.digests)[0])}, setup)

    def forget(self, ids: Iterable[str]) -> Cost:
        ids = checked_ids(ids)
        forget_set = self.samples_.take(self.samples_.rows(ids))
        shard, piece = self._place(forget_set.digests)
        first = {int(s): int(piece[shard == s].min()) for s in np.unique(shard)}
        cost = self._advance(self.samples_.without(ids), first, 0.0)
        self._derived.drop(set(forget_set.digests) - set(self.samples_.digests))
        return cost

    def predict_proba(self, questions: Questions) -> np.ndarray:
        voting = {shard: states[-1] for shard, states in self.checkpoints_.items() if states[-1] is not None}
        n, shards, classes = len(questions.samples), len(voting), len(self.samples_.classes)
        if not voting:
            return np.full((n, classes), 1 / classes)
        keys = [f"{shard} {state.digest}" for shard, state in voting.items()]
        rows, asked = np.arange(n).repeat(shards), np.tile(np.arange(shards), n)
        answers = self._cache.log_proba(keys, list(voting.values()), questions.inputs, rows, asked, self.backbone, self.config)
        return np.exp(answers).reshape(n, shards, classes).mean(1)

    def fork(self) -> Sisa:
        other = Sisa(self.config, self.backbone, self.executor, self.shards, self.slices)
        other.config, other.samples_, other.checkpoints_ = self.config, self.samples_, dict(self.checkpoints_)
        other._derived, other._cache, other._counted = self._derived.fork(), self._cache.fork(), 0
        return other

    def _place(self, digests: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return shard and slice (n,) of each digest."""
        shard = np.array([int(d[-12:], 16) % self.shards for d in digests], np.int64)
        return shard, np.array([int(d[:8], 16) % self.slices for d in digests], np.int64)

    def _advance(self, samples: Samples, first: dict[int, int], setup: float) -> Cost:
        began, passes = time.perf_counter(), 0
        images, self._counted = self._derived.computed - self._counted, self._derived.computed
        self.samples_ = samples
        jobs = self._jobs(samples, first)
        for i, states in self.executor.map(train_shard, list(jobs.values())):
            shard = list(jobs)[i]
            self.checkpoints_[shard] = self.checkpoints_.get(shard, [])[: first[shard]] + states
            passes += sum(s.sample_passes for s in states if s is not None)
        seconds = Seconds(setup=setup, train=time.perf_counter() - began)
        return Cost(seconds, passes, derivation_flops(self.backbone, images) + sum(shard_flops(job) for job in jobs.values()))

    def _jobs(self, samples: Samples, first: dict[int, int]) -> dict[int, ShardJob]:
        digests = samples.digests
        home, piece = self._place(digests)
        jobs = {}
        for shard, stage in first.items():
            rows = np.array(sorted(np.flatnonzero(home == shard), key=digests.__getitem__), np.int64)
            key = hashlib.sha256(f"sisa {shard} of {self.shards}".encode()).hexdigest()
            members = samples.take(rows)
            job = cluster_job(key, self._derived.inputs(members), members.labels, len(samples.classes), self.backbone, self.config)
            start = self.checkpoints_[shard][stage - 1] if stage else None
            jobs[shard] = ShardJob(job, piece[rows], stage, self.slices, start)
        return jobs
