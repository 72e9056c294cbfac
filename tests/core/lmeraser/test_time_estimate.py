"""Predicted seconds: the mean rate, a range that narrows, and honesty where nothing is known."""

import pytest

from core.lmeraser.records import ClusterState
from core.lmeraser.time_estimate import forecast


def states(*rates, passes=100):
    return [ClusterState({}, (), rate * passes, passes) for rate in rates]


def test_nothing_measured_says_so():
    assert forecast([], [10], 1).measured == 0
    assert forecast([ClusterState({})], [10], 1).measured == 0


def test_equal_measurements_leave_no_doubt():
    found = forecast(states(0.01, 0.01), [200], 1)
    assert (found.seconds, found.low, found.high) == pytest.approx((2.0, 2.0, 2.0))
    assert found.measured == 2


def test_the_range_holds_the_estimate_and_narrows_with_the_number_of_clusters():
    known = states(0.01, 0.02, 0.03, 0.04)
    one, many = forecast(known, [100], 1), forecast(known, [100] * 25, 1)
    assert one.low < one.seconds < one.high
    relative = lambda f: (f.high - f.low) / f.seconds  # noqa: E731
    assert relative(many) == pytest.approx(relative(one) / 5)


def test_one_slow_outlier_cannot_push_the_range_off_the_estimate():
    found = forecast(states(*[0.01] * 30, 9.0), [100], 1)
    assert found.low <= found.seconds <= found.high


def test_workers_share_the_work_but_no_more_of_them_than_there_are_clusters():
    assert forecast(states(0.01), [100, 100], 2).seconds == pytest.approx(1.0)
    assert forecast(states(0.01), [100], 2).seconds == pytest.approx(1.0)


def test_known_seconds_come_on_top():
    found = forecast(states(0.01, 0.03), [100], 1).later(5.0)
    assert found.seconds == pytest.approx(7.0)
    assert found.low > 5.0
