"""Forgetting with deliberate mistakes, which the checks must notice and which show how much an audit can see.

Each break forgets a request correctly in a private copy, except for one mistake. The copy's root is computed from its own (wrong) parts,
as a program with that mistake would report it. Only tests and audits use this module.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from core.errors import InputError
from core.lmeraser.eraser import LMEraser, checked_ids

Damage = Callable[[LMEraser, LMEraser, Sequence[str]], LMEraser]


def wrong_row_deleted(eraser: LMEraser, ids: Sequence[str]) -> LMEraser:
    """Forget the sample that follows each requested one instead; after the last comes the first.

    Raises InputError when all samples are requested, so that there is no wrong one.
    """
    samples = eraser.samples_
    rows = samples.rows(checked_ids(ids))
    if len(rows) == len(samples):
        raise InputError(f"All {len(samples)} samples are requested, so none can be deleted by mistake. Request fewer.")
    fork = eraser.fork()
    fork.forget(samples.take((rows + 1) % len(samples)).ids)
    return fork


def head_not_subtracted(before: LMEraser, after: LMEraser, ids: Sequence[str]) -> LMEraser:
    """Return a copy of `after` whose global head still counts the forgotten samples; raises InputError without a global head."""
    if before.model_.head is None:
        raise InputError("This model has no global head, so none can be left as it was. Use a preset with one, such as fast.")
    return _with(after, head=before.model_.head)


def one_cluster_stale(before: LMEraser, after: LMEraser, ids: Sequence[str]) -> LMEraser:
    """Return a copy of `after` in which the retrained cluster that held most of the forgotten samples answers from its old state."""
    forgotten = Counter(before.partition_.assignment[before.samples_.rows(checked_ids(ids))].tolist())
    origins = _origins(before, after)
    return _stale(before, after, dict([max(origins.items(), key=lambda pair: (forgotten[pair[1]], pair[0]))]))


def all_clusters_stale(before: LMEraser, after: LMEraser, ids: Sequence[str]) -> LMEraser:
    """Return a copy of `after` in which every retrained cluster answers from its old state."""
    return _stale(before, after, _origins(before, after))


def stale_answer_cache(before: LMEraser, after: LMEraser, ids: Sequence[str]) -> LMEraser:
    """Return a copy of `after` that remembers what the old clusters answered for the forgotten samples, and gives those answers."""
    fork, old = after.fork(), before.fork()
    old.predict_proba(old.prepare_members(before.samples_.rows(checked_ids(ids))))
    for key, origin in _origins(before, after).items():
        known = old._answers._known.get(before.keys_[origin], {})
        fork._answers._known.setdefault(key, {}).update(known)
    return fork


def buckets_rolled(before: LMEraser, after: LMEraser, ids: Sequence[str]) -> LMEraser:
    """Return a copy of `after` in which each cluster answers in the place of the next; raises InputError for one without two places."""
    partition = after.partition_
    if len(partition.prototypes) < 2:
        raise InputError(f"This model has {len(partition.prototypes)} prototypes; at least 2 are needed to swap them.")
    return _with(after, partition=replace(partition, buckets=np.roll(partition.buckets, 1)))


def mixing_changed(before: LMEraser, after: LMEraser, ids: Sequence[str]) -> LMEraser:
    """Return a copy of `after` that mixes another number of clusters."""
    fork = after.fork()
    serve = fork.config_.serve
    fork.config = fork._config = replace(fork.config_, serve=replace(serve, mix=1 if serve.mix > 1 else 2))
    return _with(fork)


def _with(model: LMEraser, **parts) -> LMEraser:
    """Return a copy with some parts of its model replaced, and the root that the parts then give."""
    fork = model.fork()
    fork.config = fork._config = model.config_
    fork.model_ = replace(fork.model_, **parts)
    fork.model_ = replace(fork.model_, root=fork.recomputed_root())
    return fork


def _origins(before: LMEraser, after: LMEraser) -> dict[str, int]:
    """Return, for each cluster key that only `after` has, the cluster of `before` that most of its samples come from.

    Raises InputError when no cluster was retrained, so that none can be stale.
    """
    old = before.partition_.assignment[before.samples_.rows(after.samples_.ids)]
    fresh = [c for c, key in enumerate(after.keys_) if key not in before.states_]
    if not fresh:
        raise InputError("0 clusters were retrained for this request, so none can be stale. Leave samples in the clusters that it touches.")
    return {after.keys_[c]: int(np.bincount(old[after.partition_.members(c)]).argmax()) for c in fresh}


def _stale(before: LMEraser, after: LMEraser, origins: dict[str, int]) -> LMEraser:
    old = {key: before.states_[before.keys_[origin]] for key, origin in origins.items()}
    return _with(after, states=after.states_ | old)


def _forgotten(damage: Damage) -> Callable[[LMEraser, Sequence[str]], LMEraser]:
    def broken(eraser: LMEraser, ids: Sequence[str]) -> LMEraser:
        after = eraser.fork()
        after.forget(ids)
        return damage(eraser, after, ids)

    return broken


DAMAGES: dict[str, Damage] = {
    "head not subtracted": head_not_subtracted,
    "one touched cluster stale": one_cluster_stale,
    "all touched clusters stale": all_clusters_stale,
    "stale answer cache": stale_answer_cache,
    "buckets rolled": buckets_rolled,
    "mixing changed": mixing_changed,
}  # by name: what turns a model that forgot as it should into a broken one, from (before, after, ids)

BREAKS: dict[str, Callable[[LMEraser, Sequence[str]], LMEraser]] = {
    "wrong row deleted": wrong_row_deleted,
    **{name: _forgotten(damage) for name, damage in DAMAGES.items()},
}  # by name: (fitted eraser, ids) -> a broken copy, which forgot the ids but for one mistake; the eraser is left as it is
