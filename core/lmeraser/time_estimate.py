"""Predicts how long training will take from how long clusters took on this machine, with a likely range."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from core.config import EraserConfig
from core.lmeraser.records import ClusterState, Outcome

TAILS = (0.1, 0.9)  # of the measured rates: eight of ten clusters lie between them


@dataclass(frozen=True)
class Forecast:
    """Expected seconds, their likely range, and how many measured clusters they rest on (0: no prediction is possible)."""

    seconds: float
    low: float
    high: float
    measured: int

    def later(self, seconds: float) -> Forecast:
        """Return the forecast with a known duration before it."""
        return Forecast(self.seconds + seconds, self.low + seconds, self.high + seconds, self.measured)


@dataclass(frozen=True, eq=False)
class Timings:
    """What a model's predictions of time rest on: the seconds in its cluster states, and its last full training (None: not measured)."""

    states: Collection[ClusterState]
    config: EraserConfig
    workers: int
    full: Outcome | None
    seconds_per_image: float  # of computing features

    def clusters(self, sizes: Iterable[int]) -> Forecast:
        """Return the forecast of training clusters of these sizes."""
        passes = [self.config.sample_passes(int(n)) for n in sizes]
        return forecast(self.states, passes, self.workers)

    def everything(self, sizes: Sequence[int] | np.ndarray) -> float:
        """Return the seconds of training clusters of these sizes from scratch, features included."""
        samples = float(np.sum(sizes))
        if self.full is not None and self.full.samples:
            return self.full.seconds.total * samples / self.full.samples
        return self.clusters(sizes).seconds + samples * self.seconds_per_image


def forecast(states: Iterable[ClusterState], passes: Sequence[int], workers: int) -> Forecast:
    """Return how long training clusters takes, given each one's number of sample passes and how many workers share the work.

    The rate is the states' seconds per sample pass. The range is that of the 10th to the 90th percentile of their rates; it narrows
    with the square root of the number of clusters to train, as the error of a sum of independent parts does.
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
    return Forecast(float(total * rate), float(total * min(low, rate)), float(total * max(high, rate)), len(known))
