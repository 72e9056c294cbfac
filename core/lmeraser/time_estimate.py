"""Predicts how long training will take: from how long clusters took on this machine, and how much longer the last ones took."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import theilslopes

from core.backbone.feature_cache import PART
from core.config import EraserConfig
from core.lmeraser.records import ClusterState, Outcome

Line = Callable[[Any], Any]  # passes (n,) -> expected seconds (n,) of clusters

TAILS = (0.05, 0.95)  # of what was measured: nine of ten lie between them
SLACK, ALONE = 1.25, 1.5  # of the range; how much faster a cluster may be that has the machine to itself
MOST = 200  # measured clusters that a line is drawn through
RECENT = 8  # clusters whose seconds say how fast this machine is now
JUDGED, ENOUGH = 24, 10  # last forecasts: the next range covers their errors, and with enough of them nothing more but `SLACK`
SIZEABLE = 256  # samples whose sums take longer than their overhead


@dataclass(frozen=True)
class Forecast:
    """Expected seconds, their likely range, and how many measured clusters they rest on (0: no prediction is possible)."""

    seconds: float
    low: float
    high: float
    measured: int

    def later(self, seconds: float, slack: float = 1.0) -> Forecast:
        """Return the forecast with a duration before it that is known, or estimated with a factor of slack on both sides."""
        return Forecast(self.seconds + seconds, self.low + seconds / slack, self.high + seconds * slack, self.measured)


@dataclass(frozen=True)
class Cluster:
    """What training one cluster took: sample passes, seconds, and whether it had the machine to itself."""

    passes: int
    seconds: float
    alone: bool


class Pace:
    """What a model, its copies and its full retraining took last: what other work leaves of the machine changes from minute to minute."""

    def __init__(self) -> None:
        self.clusters: deque[Cluster] = deque(maxlen=2 * RECENT)
        self.errors: deque[float] = deque(maxlen=JUDGED)  # seconds that requests took over those that were forecast
        self.head_seconds, self.head_overhead = 0.0, 0.0  # of the global head: by sample, and of a change of few samples

    def note(self, state: ClusterState, alone: bool) -> None:
        """Take note of a cluster that has just been trained."""
        if state.sample_passes:
            self.clusters.append(Cluster(state.sample_passes, state.seconds, alone))

    def note_head(self, samples: int, seconds: float) -> None:
        """Take note of how long it took to add samples to the global head, or to subtract them."""
        if samples >= SIZEABLE:
            self.head_seconds = seconds / samples
        else:
            self.head_overhead = seconds

    def note_request(self, taken: float, forecast: float) -> None:
        """Take note of how long a request took beside its forecast."""
        if forecast > 0:
            self.errors.append(taken / forecast)

    def now(self, line: Line) -> tuple[float, float]:
        """Return how long a cluster takes now, as a multiple of what `line` makes expect: beside others, and alone.

        Where only one of the two was measured, the other lies halfway to `ALONE` from it.
        """
        clusters = list(self.clusters)
        if not clusters:
            return 1.0, 1 / ALONE**0.5
        ratios = np.array([c.seconds / line(c.passes) for c in clusters])
        alone = np.array([c.alone for c in clusters])
        gain = ALONE**0.5
        if alone.any() and not alone.all():
            gain = float(np.clip(np.median(ratios[~alone]) / np.median(ratios[alone]), 1, ALONE**2))
        together = float(np.median(np.where(alone, ratios * gain, ratios)[-RECENT:]))
        return together, together / gain


@dataclass(frozen=True, eq=False)
class Timings:
    """What a model's predictions of time rest on: the seconds in its cluster states, the present pace, and its last full training."""

    states: Collection[ClusterState]
    config: EraserConfig
    workers: int
    pace: Pace
    full: tuple[Outcome, float] | None  # with `now` at that time; None: not measured
    seconds_per_image: float  # of computing features with all workers, at the pace of the states

    @functools.cached_property
    def now(self) -> float:
        """How long a cluster takes now, as a multiple of what it took when the model's clusters were trained."""
        known = _measured(self.states)
        return self.pace.now(_line(known))[0] if len(known) else 1.0

    def clusters(self, sizes: Iterable[int], images: int = 0, moved: int = 0) -> Forecast:
        """Return the forecast of training clusters of these sizes, with so many images to send through the backbone and samples to add to
        the global head or to subtract from it.
        """
        passes = [self.config.sample_passes(int(n)) for n in sizes]
        found = forecast(self.states, passes, self.workers, self.pace)
        beside = self._features(images) + self.pace.head_overhead + moved * self.pace.head_seconds
        return found.later(beside, ALONE) if found.measured else found

    def everything(self, sizes: Sequence[int] | np.ndarray) -> float:
        """Return the seconds of training clusters of these sizes from scratch, features included."""
        samples = int(np.sum(sizes))
        if self.full is not None and self.full[0].samples:
            full, then = self.full
            return full.seconds.total * samples / full.samples * self.now / then
        return self.clusters(sizes, samples, samples).seconds

    def _features(self, images: int) -> float:
        """Return the seconds of computing features; so few that one worker gets them all take as many times longer."""
        return images * self.seconds_per_image * self.now * (self.workers if images <= PART else 1)


def forecast(states: Iterable[ClusterState], passes: Sequence[int], workers: int, pace: Pace | None = None) -> Forecast:
    """Return how long training clusters takes, given each one's number of sample passes and how many workers share the work.

    A cluster takes a fixed time and a time for each pass, both by Theil and Sen's line through what clusters took: a few that also
    started a process, or had to wait, do not bend it. The whole line is raised or lowered to the present pace. The work lasts as long as
    its longest cluster, or as all of it shared evenly. The range is that of `TAILS` of the measured clusters around the line, wider by
    `SLACK` on both sides, and covers the last forecasts' errors; once there are `ENOUGH` of those, they alone decide.
    """
    known, pace = _measured(states), pace or Pace()
    if not len(known) or not len(passes):
        return Forecast(0.0, 0.0, 0.0, len(known))
    line = _line(known)
    together, alone = pace.now(line)
    each = (alone if len(passes) < workers else together) * line(np.asarray(passes, np.float64))
    total = float(max(each.max(), each.sum() / workers))
    low, high = _range(known[:, 1] / line(known[:, 0]), list(pace.errors), surely=len(passes) >= workers)
    return Forecast(total, total * low, total * high, len(known))


def _range(around: np.ndarray, errors: list[float], surely: bool) -> tuple[float, float]:
    """Return the least and the most that something will likely take, as multiples of its forecast."""
    low, high = np.quantile(around, TAILS)
    low, high = min(low, 1.0) / SLACK / (1 if surely else ALONE**0.5), max(high, 1.0) * SLACK * (1 if surely else ALONE**0.5)
    if len(errors) >= ENOUGH:
        return min([1 / SLACK, *errors]), max([SLACK, *errors])
    return min([low, *errors]), max([high, *errors])


def _measured(states: Iterable[ClusterState]) -> np.ndarray:
    """Return passes and seconds (m, 2) of the states that have any."""
    return np.array([(s.sample_passes, s.seconds) for s in states if s.sample_passes], np.float64).reshape(-1, 2)


def _line(known: np.ndarray) -> Line:
    """Return passes -> expected seconds of a cluster, from passes and seconds (n, 2) of known ones."""
    done, seconds = known[:: -(-len(known) // MOST)].T
    if len(np.unique(done)) > 1:
        fitted = theilslopes(seconds, done, method="joint")
        slope, start = max(0.0, fitted.slope), max(0.0, fitted.intercept)
        if slope + start > 0:
            return lambda passes: start + slope * passes
    rate = float(np.median(seconds / done))
    return lambda passes: rate * passes
