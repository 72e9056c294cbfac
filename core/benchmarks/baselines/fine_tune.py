"""Fine-tuning on the retained samples: train on for a few steps, so that the rest fades (catastrophic forgetting)."""

from __future__ import annotations

import numpy as np

from core.benchmarks.baselines.approximate import Change, short_job
from core.lmeraser.eraser import LMEraser


def fine_tune(eraser: LMEraser, rows: np.ndarray) -> Change:
    """Return a few more steps on everything except the rows to forget."""
    return Change(short_job(eraser, np.delete(np.arange(len(eraser.samples_)), rows), "fine-tune"))
