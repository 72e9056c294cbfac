"""Shadow models for membership attacks, and the probability that models serve for the attacked samples.

A shadow is the control (the model retrained without the samples) that also learned a random half of the targets: each target joins its
nearest cluster, those clusters are trained again, and the global head's sums take the same samples in. So a shadow covers everything that
serves an answer: routing, mixing and the global head. A shadow that learned no target is another control, whose clusters were trained
with another seed. Forgotten samples and non-members are treated alike throughout.

Shadows live in local variables only; no store, cache or file holds them.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.data.samples import Samples
from core.errors import InputError
from core.lmeraser.cluster_training import ClusterJob, cluster_job, train_cluster
from core.lmeraser.eraser import LMEraser, checked_ids
from core.lmeraser.prediction import Inputs, route
from core.lmeraser.records import ClusterState
from core.runtime.executors import InlineExecutor, Lazy
from core.runtime.progress import Progress, ProgressCallback

MOST_OTHERS = 4  # non-members per forgotten sample (or per MINIMUM_OTHERS): with more, shadows would differ too much from the control
MINIMUM_OTHERS = 100


def confidence(log_proba: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return log(p / (1 - p)) (..., n) of the label's probability p, from log probabilities (..., n, classes) (LiRA, section IV-A)."""
    chosen = np.eye(log_proba.shape[-1], dtype=bool)[labels]
    others = np.where(chosen, -np.inf, log_proba)
    top = np.maximum(others.max(-1), -1e3)
    rest = np.log(np.maximum(np.exp(others - top[..., None]).sum(-1), 1e-30))
    return np.where(chosen, log_proba, 0).sum(-1) - (top + rest)


@dataclass(frozen=True, eq=False)
class Targets:
    """Attacked samples: the forgotten ones, then non-members of the same classes and clusters.

    `member` (n,) bool marks the forgotten; `cluster` (n,) is the control's cluster that each is nearest to, -1 where there is none.
    """

    samples: Samples
    inputs: Inputs
    member: np.ndarray
    cluster: np.ndarray

    def __len__(self) -> int:
        return len(self.member)

    def take(self, rows: np.ndarray) -> Targets:
        """Return some of them."""
        inputs = Inputs(tuple(self.inputs.digests[r] for r in rows), self.inputs.features[rows], self.inputs.values[rows])
        return Targets(self.samples.take(rows), inputs, self.member[rows], self.cluster[rows])


def of_labels(held_out: Samples, forgotten: Samples) -> Samples:
    """Return the held-out samples whose class is among the forgotten ones', so that an attack cannot live on the class alone."""
    return held_out.take(np.isin(held_out.labels, forgotten.labels))


def find_targets(before: LMEraser, control: LMEraser, ids: Sequence[str], held_out: Samples, seed: int = 0) -> Targets:
    """Return the targets of an attack; raises InputError for a model without prototypes, UnknownSampleError.

    Samples that the model learned do not count as non-members, even where `held_out` holds them.
    """
    if before.partition_.clusters and not len(before.partition_.prototypes):
        raise InputError("random shards have no prototypes, so a shadow cannot tell which shard a sample joins. Audit another partition.")
    learned, rows = before.samples_, before.samples_.rows(checked_ids(ids))
    forgotten = learned.take(rows)
    others = of_labels(held_out, forgotten)
    others = others.take(~np.isin(others.digests, learned.digests))
    copy = before.fork()  # so that the model remembers none of this
    parts = [_as_targets(control, forgotten, copy.prepare_members(rows), True)]
    if len(others):
        inputs = replace(copy.prepare(others.images), digests=others.digests)
        parts.append(_alike(_as_targets(control, others, inputs, False), parts[0], seed))
    return _joined(parts)


def _as_targets(control: LMEraser, samples: Samples, inputs: Inputs, member: bool) -> Targets:
    return Targets(samples, inputs, np.full(len(samples), member), nearest_clusters(control, inputs.features))


def _alike(others: Targets, forgotten: Targets, seed: int) -> Targets:
    """Return a random sample, in order, of the non-members in the forgotten samples' clusters."""
    rows = np.flatnonzero(np.isin(others.cluster, forgotten.cluster))
    most = MOST_OTHERS * max(len(forgotten), MINIMUM_OTHERS)
    return others.take(np.sort(np.random.default_rng([seed, 1]).permutation(rows)[:most]))


def _joined(parts: list[Targets]) -> Targets:
    samples = [p.samples for p in parts]
    images, labels = (np.concatenate([getattr(s, name) for s in samples]) for name in ("images", "labels"))
    digests = sum((p.inputs.digests for p in parts), ())
    features, values = (np.concatenate([getattr(p.inputs, name) for p in parts]) for name in ("features", "values"))
    member, cluster = (np.concatenate([getattr(p, name) for p in parts]) for name in ("member", "cluster"))
    return Targets(Samples.build(images, labels, samples[0].classes), Inputs(digests, features, values), member, cluster)


def nearest_clusters(model: LMEraser, features: np.ndarray) -> np.ndarray:
    """Return the cluster (n,) whose prototype is nearest to each feature (n, d), -1 for a model without clusters."""
    if not model.partition_.clusters:
        return np.full(len(features), -1)
    config = model.config_
    return route(model.partition_, features, replace(config, serve=replace(config.serve, mix=1))).argmax(1)


def halves(n: int, shadows: int, rng: np.random.Generator) -> np.ndarray:
    """Return who is in which shadow (shadows, n) bool: random halves, each followed by its complement, so everyone is in half of them."""
    inside = np.zeros((shadows, n), bool)
    for k in range(0, shadows, 2):
        inside[k, rng.permutation(n)[: n // 2]] = True
        inside[k + 1] = ~inside[k]
    return inside


def served(model: LMEraser, targets: Targets) -> np.ndarray:
    """Return the log probabilities (n, classes) that a model serves for the targets, remembered answers included.

    A copy of the model answers, so that the model itself remembers nothing of it.
    """
    return np.log(np.maximum(model.fork().predict_proba(targets.inputs), 1e-300))


def ask_shadows(
    control: LMEraser,
    targets: Targets,
    inside: np.ndarray,
    seed: int = 0,
    progress: ProgressCallback | None = None,
    cancel: threading.Event | None = None,
) -> np.ndarray:
    """Train the shadows that learned the targets `inside` (shadows, n) and return the log probabilities that they serve.

    The result is (shadows, n, classes). The states end with this call. Raises CancelledError.
    """
    base = control.fork()
    base.predict_proba(targets.inputs)  # clusters that no shadow trains again answer here, once
    clusters = np.unique(targets.cluster[targets.cluster >= 0])
    keys = [{int(c): _key(seed, k, control.keys_[c]) for c in clusters} for k in range(len(inside))]
    place = lambda i: divmod(i, len(clusters))  # noqa: E731
    job = lambda k, c: _job(base, targets, inside[k], int(clusters[c]), keys[k][int(clusters[c])])  # noqa: E731
    jobs = Lazy(lambda i: job(*place(i)), len(inside) * len(clusters))
    states: list[dict[str, ClusterState]] = [{} for _ in inside]
    for done, (i, state) in enumerate((control.executor or InlineExecutor()).map(train_cluster, jobs, cancel)):
        k, c = place(i)
        states[k][keys[k][int(clusters[c])]] = state
        if progress:
            progress(Progress("shadows", done + 1, len(jobs)))
    return np.stack([_answers(base, targets, *parts) for parts in zip(inside, keys, states, strict=True)])


def _key(seed: int, shadow: int, key: str) -> str:
    return hashlib.sha256(f"audit {seed} {shadow} {key}".encode()).hexdigest()


def _job(base: LMEraser, targets: Targets, inside: np.ndarray, cluster: int, key: str) -> ClusterJob:
    """Return the training of one cluster on its own members and the targets that joined it, in ascending order of digest."""
    rows, joined = base.partition_.members(cluster), np.flatnonzero(inside & (targets.cluster == cluster))
    own, extra = base.prepare_members(rows), targets.take(joined)
    digests = own.digests + extra.inputs.digests
    order = np.array(sorted(range(len(digests)), key=digests.__getitem__), np.int64)
    features = np.concatenate([own.features, extra.inputs.features])[order]
    values = np.concatenate([own.values, extra.inputs.values])[order]
    labels = np.concatenate([base.samples_.labels[rows], extra.samples.labels])[order]
    inputs = Inputs(tuple(digests[i] for i in order), features, values)
    return cluster_job(key, inputs, labels, len(base.samples_.classes), base.backbone_, base.config_)


def _answers(base: LMEraser, targets: Targets, inside: np.ndarray, keys: dict[int, str], states: dict[str, ClusterState]) -> np.ndarray:
    """Return what one shadow serves: its own clusters among the others, and the head that took the same targets in."""
    shadow, model = base.fork(), base.model_
    head = model.head and model.head.changed(targets.inputs.features[inside], targets.samples.labels[inside], 1)
    renamed = tuple(keys.get(c, key) for c, key in enumerate(model.keys))
    shadow.model_ = replace(model, keys=renamed, states=model.states | states, head=head)
    return served(shadow, targets)
