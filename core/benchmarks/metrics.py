"""Scores a model: accuracy on test, retained and forgotten images, and the log likelihood of labels."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass

import numpy as np

from core.data.samples import Samples
from core.lmeraser.eraser import LMEraser

RETAINED = 2000  # most retained images that are scored: those with the smallest digests


@dataclass(frozen=True)
class Score:
    """Share of n images classified correctly; accuracy is None when n is 0."""

    accuracy: float | None
    n: int


@dataclass(frozen=True)
class EvaluationReport:
    """Scores of one model."""

    test: Score
    retained: Score
    forgotten: Score | None
    per_class: dict[str, Score]  # on the test images
    seconds: float

    def accuracies(self) -> dict[str, float | None]:
        """Return the accuracies alone, as fractions, by set."""
        return {name: part.accuracy if (part := getattr(self, name)) else None for name in ("test", "retained", "forgotten")}

    def to_json(self) -> dict:
        return asdict(self)


def score(hits: np.ndarray) -> Score:
    """Return the Score of a boolean array of hits."""
    return Score(float(hits.mean()) if len(hits) else None, len(hits))


def log_likelihood(proba: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the log probability (n,) of each label, from probabilities (n, classes)."""
    return np.log(np.maximum(proba[np.arange(len(labels)), labels], 1e-12))


def evaluate(eraser: LMEraser, test: Samples, forgotten: Samples | None = None) -> EvaluationReport:
    """Score a model on test samples, on the samples it was fitted on, and on forgotten ones if given.

    Of more than `RETAINED` samples, those with the smallest digests are scored (n says how many). The model remembers what it
    computed for test and retained images, so after a change only retrained clusters answer again.
    """
    began = time.perf_counter()
    hits = eraser.predict(eraser.prepare_public(test)) == test.labels
    members = eraser.samples_
    rows = np.array(sorted(range(len(members)), key=members.digests.__getitem__)[:RETAINED], np.int64)
    retained = eraser.predict(eraser.prepare_members(rows)) == members.labels[rows] if len(rows) else np.zeros(0, bool)
    forgotten_score = None
    if forgotten is not None and len(forgotten):
        forgotten_score = score(eraser.predict(forgotten.images) == forgotten.labels)
    per_class = {name: score(hits[test.labels == c]) for c, name in enumerate(test.classes)}
    return EvaluationReport(score(hits), score(retained), forgotten_score, per_class, time.perf_counter() - began)


def majority_share(assignment: np.ndarray, labels: np.ndarray) -> float:
    """Return the purity of clusters: the share of samples (n,) that belong to their cluster's most frequent class."""
    counts = np.zeros((assignment.max() + 1, labels.max() + 1), np.int64)
    np.add.at(counts, (assignment, labels), 1)
    return float(counts.max(1).sum() / len(labels))
