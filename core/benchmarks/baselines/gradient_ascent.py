"""Gradient ascent: increase the loss on the forget set (the negative gradient of arXiv 1911.04933)."""

from __future__ import annotations

import numpy as np

from core.benchmarks.baselines.approximate import Change, short_job
from core.lmeraser.eraser import LMEraser


def gradient_ascent(eraser: LMEraser, rows: np.ndarray) -> Change:
    """Return steps up the loss of the rows to forget, until it is that of chance."""
    return Change(short_job(eraser, np.arange(len(eraser.samples_)), "ascent"), rows, ascend=True)
