"""Predicted seconds: a line through what clusters took, a range around it, and honesty where nothing is known."""

import numpy as np
import pytest

from core.lmeraser.records import ClusterState
from core.lmeraser.time_estimate import SLACK, forecast


def states(*seconds, passes=100):
    return [ClusterState({}, (), s, passes) for s in seconds]


def sized(start, rate, passes, noise=0.0, seed=0):
    factors = np.exp(np.random.default_rng(seed).normal(0, noise, len(passes)))
    return [ClusterState({}, (), (start + rate * p) * f, p) for p, f in zip(passes, factors, strict=True)]


def test_nothing_measured_says_so():
    assert forecast([], [10], 1).measured == 0
    assert forecast([ClusterState({})], [10], 1).measured == 0


def test_equal_measurements_leave_only_the_slack():
    found = forecast(states(1.0, 1.0), [200], 1)
    assert (found.seconds, found.low, found.high) == pytest.approx((2.0, 2.0 / SLACK, 2.0 * SLACK))
    assert found.measured == 2


def test_a_fixed_time_and_a_time_for_each_pass_are_told_apart():
    found = forecast(sized(0.1, 0.001, range(100, 1100, 100)), [2000, 50], 1)
    assert found.seconds == pytest.approx(0.1 + 2.0 + 0.1 + 0.05)


@pytest.mark.parametrize("slow", [1, 4])
def test_clusters_that_also_started_a_process_change_nothing(slow):
    known = sized(0.1, 0.001, range(100, 4100, 100))
    late = [ClusterState({}, (), s.seconds + 5.0, s.sample_passes) for s in known[:slow]]
    assert forecast(late + known[slow:], [500], 1).seconds == pytest.approx(0.6, rel=0.1)


def test_the_range_holds_nine_of_ten_further_clusters():
    passes = np.random.default_rng(1).integers(100, 1000, 300).tolist()
    known, later = sized(0.1, 0.001, passes, 0.3), sized(0.1, 0.001, passes, 0.3, seed=2)
    held = [found.low <= s.seconds <= found.high for s in later if (found := forecast(known, [s.sample_passes], 1))]
    assert np.mean(held) >= 0.9
    assert found.high < 3 * found.seconds  # a range that holds everything says nothing


def test_workers_share_the_work_and_the_longest_cluster_is_the_least():
    assert forecast(states(1.0), [100, 100], 2).seconds == pytest.approx(1.0)
    assert forecast(states(1.0), [100], 2).seconds == pytest.approx(1.0)
    assert forecast(states(1.0), [100, 300], 2).seconds == pytest.approx(3.0)


def test_a_worker_alone_may_be_faster():
    together, alone = forecast(states(1.0), [100], 1), forecast(states(1.0), [100], 2)
    assert alone.low < together.low
    assert alone.high == together.high


def test_known_seconds_come_on_top():
    found = forecast(states(1.0, 3.0), [100], 1).later(5.0)
    assert found.seconds == pytest.approx(7.0)
    assert found.low > 5.0
