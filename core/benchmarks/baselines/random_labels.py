"""Random labels: train the forget set on wrong labels (Graves et al., arXiv 2010.10981)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from core.benchmarks.baselines.approximate import Change, short_job
from core.lmeraser.eraser import LMEraser


def random_labels(eraser: LMEraser, rows: np.ndarray) -> Change:
    """Return steps on the rows to forget with wrong labels, and on the same number of retained samples with their own."""
    job = short_job(eraser, np.arange(len(eraser.samples_)), "labels")
    rng = np.random.default_rng(int(job.key[:15], 16))
    labels = job.labels.copy()
    labels[rows] = (labels[rows] + rng.integers(1, max(2, job.num_classes), len(rows))) % job.num_classes
    retained = np.delete(np.arange(len(labels)), rows)
    beside = rng.choice(retained, min(len(rows), len(retained)), replace=False)
    return Change(replace(job, labels=labels), np.concatenate([rows, beside]))
