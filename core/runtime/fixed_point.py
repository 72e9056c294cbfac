"""Turns features into whole numbers, so that sums, products and distances computed from them are exact.

A floating-point matrix product may round a row differently when its position, the other rows, the thread count or the kernel
changes. Whole numbers below 2**53 in float64 need no rounding. Only the features themselves come from floating point; the self-test
(`core.audit.selftest`) checks that they do not depend on position or on the other images in the batch.
"""

from __future__ import annotations

import numpy as np

SCALE, LIMIT = 64, 8.0  # of a feature on its own: -8..8 in steps of 1/64
ROWS = 512  # scaled at a time, so that they stay in the processor's cache
UNIT = 1 << 14  # steps in a length of 1, for features scaled to unit length


def feature_steps(features: np.ndarray) -> np.ndarray:
    """Return features (n, d) as whole numbers in float64: clipped to -8..8 and counted in steps of 1/64."""
    return np.rint(np.clip(features.astype(np.float64), -LIMIT, LIMIT) * SCALE)


def unit(features: np.ndarray) -> np.ndarray:
    """Return features (n, d) scaled to length 1 in float32, in whole steps of 2**-14; a feature of zeros stays zero.

    Each row is first written in 14 bits below its own largest number, so that its length is exact, too. Single divisions and
    roundings are exact to the last bit everywhere; only sums of them would not be.
    """
    result = np.empty(features.shape, np.float32)
    for i in range(0, len(features), ROWS):
        x = features[i : i + ROWS].astype(np.float32)
        exponent = np.maximum(np.frexp(np.abs(x).max(1, initial=0.0, keepdims=True))[1], -100)
        coarse = np.rint(x * np.ldexp(np.float32(1), 14 - exponent))
        length = np.sqrt(np.square(coarse, dtype=np.float64).sum(1, keepdims=True)).astype(np.float32)
        result[i : i + ROWS] = np.rint(coarse / np.maximum(length, np.float32(1)) * np.float32(UNIT)) / np.float32(UNIT)
    return result


def unit_steps(features: np.ndarray) -> np.ndarray:
    """Return `unit` features (n, d) as whole numbers in float64, at most 2**14."""
    return unit(features).astype(np.float64) * UNIT
