"""Approximate unlearning: change the one prompt and head for a few steps instead of training them again.

Nothing guarantees that the forgotten samples have left the prompt and head; the audit measures whether they have. The methods are in
`fine_tune`, `gradient_ascent` and `random_labels`.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from core.benchmarks.baselines.method import Cost, OnEraser
from core.benchmarks.flops import Recipe, derivation_flops, tuning_flops
from core.errors import InputError
from core.lmeraser.cluster_training import ClusterJob, cluster_job, tune
from core.lmeraser.eraser import LMEraser
from core.lmeraser.fitted_model import Model, checked_ids
from core.lmeraser.records import ClusterState, Seconds

SHARE = 0.05  # of the one prompt's step budget
RATE = 0.1  # of its learning rates


@dataclass(frozen=True, eq=False)
class Change:
    """Continued training: the job, the rows that batches are drawn from (None: all), and whether the loss is increased."""

    job: ClusterJob
    rows: np.ndarray | None = None
    ascend: bool = False

    def applied(self, state: ClusterState) -> ClusterState:
        """Return the state after the change."""
        return tune(self.job, state, self.rows, self.ascend)

    def flops(self, state: ClusterState) -> int:
        """Return the FLOPs that led to a state; ascent that reached chance ended with a batch that went forward only."""
        stopped = int(self.ascend and state.losses[-1] >= math.log(self.job.num_classes))
        rows = None if self.rows is None else len(self.rows)
        return tuning_flops(Recipe.of(self.job), len(self.job.labels), rows, len(state.losses) - stopped, stopped)


MakeChange = Callable[[LMEraser, np.ndarray], Change]  # (eraser with one cluster, rows to forget)


class Approximate(OnEraser):
    """Applies a change to an eraser that has one cluster; the global head, if there is one, is unlearned exactly."""

    exact, control = False, "one prompt"

    def __init__(self, eraser: LMEraser, name: str, change: MakeChange):
        super().__init__(eraser)
        self.name, self.change = name, change

    def forget(self, ids: Iterable[str]) -> Cost:
        began = time.perf_counter()
        rows = self.samples_.rows(checked_ids(ids))
        if len(rows) == len(self.samples_):
            raise InputError(
                f"All {len(rows)} samples would be forgotten, but {self.name} needs retained samples to train on. Leave at least one."
            )
        before = self.eraser.derived_images_
        change = self.change(self.eraser, rows)
        state = change.applied(next(iter(self.eraser.states_.values())))
        self.eraser.adopt(self._without(rows, state))
        seconds = Seconds(train=time.perf_counter() - began)
        images = derivation_flops(self.eraser.backbone_, self.eraser.derived_images_ - before)
        return Cost(seconds, state.sample_passes, change.flops(state) + images)

    def fork(self) -> Approximate:
        return Approximate(self.eraser.fork(), self.name, self.change)

    def _without(self, rows: np.ndarray, state: ClusterState) -> Model:
        """Return the model of the retained samples, with a state for its one cluster."""
        model = self.eraser.model_
        forget_set = model.samples.take(rows)
        head = model.head and model.head.changed(self.eraser.prepare_members(rows).features, forget_set.labels, -1)
        assignment = np.delete(model.partition.assignment, rows)
        partition = replace(model.partition, assignment=assignment, anchors=np.empty(0, np.int64), ranking=None)
        key = hashlib.sha256(f"{self.name} {state.digest} {model.keys[0]}".encode()).hexdigest()
        return Model(model.samples.without(forget_set.ids), partition, (key,), {key: state}, head)


def short_job(eraser: LMEraser, rows: np.ndarray, name: str) -> ClusterJob:
    """Return a job on some of the eraser's rows with a small part of its steps and learning rates."""
    train = eraser.config_.train
    steps = max(1, round(train.steps * SHARE))
    config = replace(
        eraser.config_, train=replace(train, steps=steps, prompt_lr=train.prompt_lr * RATE, head_lr=train.head_lr * RATE, weight_decay=0.0)
    )
    samples = eraser.samples_.take(rows)
    key = hashlib.sha256(f"{name} {eraser.keys_[0]}".encode()).hexdigest()
    return cluster_job(key, eraser.prepare_members(rows), samples.labels, len(samples.classes), eraser.backbone_, config)
