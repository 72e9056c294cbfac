"""Divides images into training and test sets so that no subject and no copy lies on both sides."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

FOLDS = 5  # one of them is the test set


def test_rows(labels: np.ndarray, digests: Sequence[str], subjects: Sequence[str] | None) -> np.ndarray:
    """Return which rows (n,) bool go into the test set: about a fifth of each class, by a fixed seed.

    Rows of one subject, or with one digest, stay together. A class keeps at least one training image; where groups leave no other
    way, it has no test image.
    """
    groups = _groups(digests, subjects)
    if len(np.unique(groups)) == len(groups):
        return _of_each_class(labels)
    from sklearn.model_selection import StratifiedGroupKFold

    test = np.zeros(len(labels), bool)
    folds = min(FOLDS, len(np.unique(groups)), int(np.unique(labels, return_counts=True)[1].max()))
    if folds < 2:
        return test
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of classes with fewer images than folds, which are looked after below
        _, rows = next(StratifiedGroupKFold(folds, shuffle=True, random_state=0).split(labels, labels, groups))
    test[rows] = True
    for label in np.unique(labels):
        mine = labels == label
        if test[mine].all():
            test[np.isin(groups, groups[mine])] = False
    return test


def _groups(digests: Sequence[str], subjects: Sequence[str] | None) -> np.ndarray:
    """Return a number for each row, equal where rows are connected by subjects and copies."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    n = len(digests)
    columns = [np.unique(np.asarray(list(values)), return_inverse=True)[1] for values in (digests, subjects) if values is not None]
    rows, nodes, used = [], [], n
    for codes in columns:
        rows.append(np.arange(n))
        nodes.append(used + codes)
        used += int(codes.max(initial=-1)) + 1
    edges = coo_matrix((np.ones(n * len(columns), np.int8), (np.concatenate(rows), np.concatenate(nodes))), (used, used))
    return connected_components(edges, directed=False)[1][:n]


def _of_each_class(labels: np.ndarray) -> np.ndarray:
    """Choose a fifth of each class, at least one of two; a class with one image stays in training."""
    rng, test = np.random.default_rng(0), np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        n = max(1, round(len(members) / FOLDS)) if len(members) > 1 else 0
        test[rng.permutation(members)[:n]] = True
    return test
