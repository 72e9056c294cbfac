"""Closed form only: the global head alone, without clusters. Forgetting subtracts the samples from its integer sums.

Exact unlearning of a closed-form classifier on frozen features has been proposed on its own (ACU, arXiv 2505.12239).
"""

from __future__ import annotations

import time
from collections.abc import Iterable

import numpy as np
from scipy.special import softmax

from core.backbone.feature_cache import Derived
from core.backbone.model import Backbone
from core.benchmarks.baselines.method import Cost, Method, Questions
from core.benchmarks.flops import derivation_flops
from core.data.samples import Samples
from core.lmeraser.fitted_model import checked_ids
from core.lmeraser.global_head import GlobalHead, expand
from core.lmeraser.records import Seconds
from core.runtime.executors import Executor, InlineExecutor
from core.runtime.fixed_point import SCALE


class ClosedForm(Method):
    """A linear discriminant of the frozen features, kept as sums; what the clusters add is measured against it.

    `known` are features that need not be computed again.
    """

    name, exact, control = "closed form only", True, "closed form only"

    def __init__(self, backbone: Backbone, executor: Executor | None = None, known: Derived | None = None):
        self.backbone, self.executor, self._known = backbone, executor or InlineExecutor(), known

    def fit(self, samples: Samples) -> Cost:
        self._derived = self._known.fork() if self._known else Derived(self.backbone, None, self.executor)
        setup = self._derived.ensure(samples, trunk=False)
        self._head = GlobalHead.empty(len(samples.classes), self.backbone.feature_dim)
        return self._changed(samples, samples, 1, Seconds(setup), derivation_flops(self.backbone, self._derived.computed))

    def forget(self, ids: Iterable[str]) -> Cost:
        ids = checked_ids(ids)
        forget_set = self.samples_.take(self.samples_.rows(ids))
        cost = self._changed(forget_set, self.samples_.without(ids), -1, Seconds(), 0)
        self._derived.drop(set(forget_set.digests) - set(self.samples_.digests))
        return cost

    def predict_proba(self, questions: Questions) -> np.ndarray:
        if not self._head.counts.any():
            return np.full((len(questions.samples), len(self._head.counts)), 1 / len(self._head.counts))
        solved = self._head.solve()
        return softmax(expand(questions.inputs.features) / SCALE @ solved.weight.T + solved.bias, axis=1)

    def fork(self) -> ClosedForm:
        other = ClosedForm(self.backbone, self.executor)
        other.samples_, other._derived, other._head = self.samples_, self._derived.fork(), self._head
        return other

    def _changed(self, some: Samples, after: Samples, sign: int, before: Seconds, flops: int) -> Cost:
        """Add samples to the sums (sign 1) or subtract them (-1)."""
        began = time.perf_counter()
        self._head = self._head.changed(self._derived.features(some.digests), some.labels, sign)
        self.samples_ = after
        return Cost(Seconds(before.setup, train=time.perf_counter() - began), len(some), flops)
