"""How long training will take, judged by how long this machine took before, and how sure that is. Knows no models and no clock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from core.types import ClusterState

TAILS = (0.1, 0.9)  # of the measured rates: eight of ten clusters lie between them


@dataclass(frozen=True)
class Forecast:
    """Expected seconds, their likely range, and the number of measured clusters that both rest on (0: nothing is known)."""

    seconds: float
    low: float
    high: float
    measured: int

    def later(self, seconds: float) -> Forecast:
        """Return the forecast with a known duration before it."""
        return Forecast(self.seconds + seconds, self.low + seconds, self.high + seconds, self.measured)


def forecast(states: Iterable[ClusterState], passes: Sequence[int], workers: int) -> Forecast:
    """Return what training clusters of so many sample passes each takes, on so many workers at once.

    The rate is the states' seconds per sample pass. The range is that of the 10th to the 90th percentile of their rates; it narrows
    with the root of the number of clusters to train, as the error of a sum of independent parts does.
    """
    known = [(s.seconds, s.sample_passes) for s in states if s.sample_passes]
    if not known or not len(passes):
        return Forecast(0.0, 0.0, 0.0, len(known))
    seconds, done = np.array(known, np.float64).T
    rate, rates = seconds.sum() / done.sum(), seconds / done
    work = np.asarray(passes, np.float64)
    total = work.sum() / min(len(work), workers)
    narrowing = np.sqrt((work**2).sum()) / work.sum()
    low, high = (rate + (np.quantile(rates, tail) - rate) * narrowing for tail in TAILS)
    return Forecast(*(float(total * r) for r in (rate, min(low, rate), max(high, rate))), len(known))
