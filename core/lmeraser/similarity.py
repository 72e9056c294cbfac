"""Finds the samples that look most like given ones to the frozen backbone. The page's "select similar" uses it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

BLOCK = 8192  # rows compared at a time, to bound memory
DECIMALS = 5  # of a cosine: smaller differences are ties, so rounding in the last bits decides nothing


def nearest(features: np.ndarray, rows: np.ndarray, count: int, names: Sequence[str]) -> list[int]:
    """Return at most `count` rows, the nearest first, that are most similar to any of the given rows and not among them.

    features (n, d) float32; similarity is the cosine; ties are broken by name. Takes time in proportion to n times the given rows.
    """
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    best = np.concatenate([(unit[i : i + BLOCK] @ unit[rows].T).max(1) for i in range(0, len(unit), BLOCK)])
    best = np.round(best, DECIMALS)
    best[rows] = -np.inf
    few = np.flatnonzero(best >= np.partition(best, -count)[-count]) if count < len(best) else np.arange(len(best))
    ranked = sorted((r for r in few.tolist() if best[r] > -np.inf), key=lambda r: (-best[r], names[r]))
    return ranked[:count]
