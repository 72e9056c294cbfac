"""Predicts how long training will take: from how long clusters took on this machine, and how much longer the last ones took."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import theilslopes

from core.backbone.feature_cache import PART
from core.config import EraserConfig
from core.lmeraser.records import ClusterState, Outcome

TAILS = (0.05, 0.95)  # of the measured clusters: nine of ten lie between them
SLACK, ALONE = 1.25, 1.5  # `bench forget` counts how often the range holds
MOST = 200  # measured clusters that a line is drawn through
RECENT = 8  # clusters whose seconds say how fast this machine is now
SIZEABLE = 256  # samples whose sums take longer than their overhead


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


class Pace:
    """What a model, its copies and its full retraining took last: passes and seconds of clusters, and the global head's seconds a sample.

    What other work leaves of the machine changes from minute to minute.
    """

    def __init__(self) -> None:
        self._last: deque[tuple[int, float]] = deque(maxlen=RECENT)
        self.head_seconds = 0.0  # of adding or subtracting a sample, the last time there were at least `SIZEABLE`

    def note(self, state: ClusterState) -> None:
        """Take note of a cluster that has just been trained."""
        if state.sample_passes:
            self._last.append((state.sample_passes, state.seconds))

    def note_head(self, samples: int, seconds: float) -> None:
        """Take note of how long it took to add or subtract samples."""
        if samples >= SIZEABLE:
            self.head_seconds = seconds / samples

    def measured(self) -> np.ndarray:
        """Return passes and seconds (m, 2) of the last clusters."""
        return np.array(list(self._last), np.float64).reshape(-1, 2)


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
        return _pace(_measured(self.states), self.pace.measured())[0]

    def clusters(self, sizes: Iterable[int], images: int = 0, moved: int = 0) -> Forecast:
        """Return the forecast of training clusters of these sizes, with so many images to send through the backbone and samples to add to
        the global head or to subtract from it.
        """
        passes = [self.config.sample_passes(int(n)) for n in sizes]
        found = forecast(self.states, passes, self.workers, self.pace.measured())
        return found.later(self._features(images) + moved * self.pace.head_seconds) if found.measured else found

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


def forecast(
    states: Iterable[ClusterState], passes: Sequence[int], workers: int, recent: np.ndarray | Sequence[tuple[int, float]] = ()
) -> Forecast:
    """Return how long training clusters takes, given each one's number of sample passes and how many workers share the work.

    A cluster takes a fixed time and a time for each pass, both by Theil and Sen's line through what clusters took: a few that also
    started a process, or had to wait, do not bend it. The whole line is raised or lowered to the median of the `recent` clusters,
    passes and seconds (m, 2). The work lasts as long as its longest cluster, or as all of it shared evenly. The range is that of
    `TAILS` of all measured clusters around the line, wider by `SLACK` on both sides. A worker that has the machine to itself is faster
    than those that were measured side by side, so the range of less work than workers starts lower by `ALONE`.
    """
    known, recent = _measured(states), np.asarray(recent, np.float64).reshape(-1, 2)
    if not len(known) or not len(passes):
        return Forecast(0.0, 0.0, 0.0, len(known))
    start, slope = _line(known)
    pace, lately = _pace(known, recent)
    each = pace * (start + slope * np.asarray(passes, np.float64))
    total = max(each.max(), each.sum() / workers)
    low, high = np.quantile([*(known[:, 1] / (start + slope * known[:, 0])), *lately], TAILS)
    least = min(low, 1.0) / SLACK / (ALONE if len(each) < workers else 1)
    return Forecast(float(total), float(total * least), float(total * max(high, 1.0) * SLACK), len(known))


def _measured(states: Iterable[ClusterState]) -> np.ndarray:
    """Return passes and seconds (m, 2) of the states that have any."""
    return np.array([(s.sample_passes, s.seconds) for s in states if s.sample_passes], np.float64).reshape(-1, 2)


def _pace(known: np.ndarray, recent: np.ndarray) -> tuple[float, np.ndarray]:
    """Return how long recent clusters (m, 2) took as a multiple of what the known ones make expect, and each of them beside that."""
    if not len(known) or not len(recent):
        return 1.0, recent[:, 1]
    start, slope = _line(known)
    ratios = recent[:, 1] / (start + slope * recent[:, 0])
    pace = float(np.median(ratios))
    return (pace, ratios / pace) if pace > 0 else (1.0, ratios[:0])


def _line(known: np.ndarray) -> tuple[float, float]:
    """Return the fixed seconds of a cluster and those for each pass, from passes and seconds (n, 2) of known ones."""
    done, seconds = known[:: -(-len(known) // MOST)].T
    if len(np.unique(done)) > 1:
        fitted = theilslopes(seconds, done, method="joint")
        slope, start = max(0.0, fitted.slope), max(0.0, fitted.intercept)
        if slope + start > 0:
            return start, slope
    return 0.0, float(np.median(seconds / done))
