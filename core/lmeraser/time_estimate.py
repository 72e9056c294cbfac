"""Predicts how long training will take from how long clusters took on this machine, with a likely range."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import theilslopes

from core.config import EraserConfig
from core.lmeraser.records import ClusterState, Outcome

TAILS = (0.05, 0.95)  # of the measured clusters: nine of ten lie between them
SLACK, ALONE = 1.25, 1.5  # `bench forget` counts how often the range holds
MOST = 200  # measured clusters that a line is drawn through


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

    A cluster takes a fixed time and a time for each pass, both by Theil and Sen's line through what clusters took: a few that also
    started a process, or had to wait, do not bend it. The work lasts as long as its longest cluster, or as all of it shared evenly.
    The range is that of `TAILS` of the measured clusters around the line, wider by `SLACK` on both sides. A worker that has the machine
    to itself is faster than those that were measured side by side, so the range of less work than workers starts lower by `ALONE`.
    """
    known = np.array([(s.sample_passes, s.seconds) for s in states if s.sample_passes], np.float64)
    if not len(known) or not len(passes):
        return Forecast(0.0, 0.0, 0.0, len(known))
    each, around = _line(known[:: -(-len(known) // MOST)], np.asarray(passes, np.float64))
    total = max(each.max(), each.sum() / workers)
    low, high = np.quantile(around, TAILS)
    least = min(low, 1.0) / SLACK / (ALONE if len(each) < workers else 1)
    return Forecast(float(total), float(total * least), float(total * max(high, 1.0) * SLACK), len(known))


def _line(known: np.ndarray, passes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the expected seconds of clusters by passes, and measured over expected seconds of the known ones (m, 2)."""
    done, seconds = known.T
    if len(np.unique(done)) > 1:
        fitted = theilslopes(seconds, done, method="joint")
        slope, start = max(0.0, fitted.slope), max(0.0, fitted.intercept)
        if slope + start > 0:
            return start + slope * passes, seconds / (start + slope * done)
    rates = seconds / done
    return np.median(rates) * passes, rates / np.median(rates)
