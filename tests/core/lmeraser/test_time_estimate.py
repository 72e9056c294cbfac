"""Predicted seconds: a line through what clusters took, a range around it, and honesty where nothing is known."""

import numpy as np
import pytest

from core.config import preset
from core.lmeraser.records import ClusterState, Outcome, Seconds
from core.lmeraser.time_estimate import ALONE, ENOUGH, RECENT, SIZEABLE, SLACK, Pace, Timings, forecast


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
    assert forecast(states(1.0), [100, 300], 2).seconds == pytest.approx(3.0)


def test_a_worker_alone_may_be_faster():
    together, alone = forecast(states(1.0), [100], 1), forecast(states(1.0), [100], 2)
    assert together.seconds / ALONE < alone.seconds < together.seconds
    assert alone.low == pytest.approx(together.low / ALONE)
    assert alone.high == pytest.approx(together.high)


def test_how_much_faster_a_worker_alone_is_is_learned():
    noted = pace(*states(*[1.0] * 4))
    for state in states(0.8, 0.8):
        noted.note(state, alone=True)
    assert forecast(states(1.0), [100], 2, noted).seconds == pytest.approx(0.8)
    assert forecast(states(1.0), [100, 100], 2, noted).seconds == pytest.approx(1.0)


def test_known_seconds_come_on_top():
    found = forecast(states(1.0, 3.0), [100], 1).later(5.0)
    assert found.seconds == pytest.approx(7.0)
    assert found.low > 5.0


def pace(*found):
    noted = Pace()
    for state in found:
        noted.note(state, alone=False)
    return noted


def timings(noted, full=None, seconds_per_image=0.0):
    return Timings(sized(0.1, 0.001, range(100, 1100, 100)), preset("fast"), 2, noted, full, seconds_per_image)


def full_training(total, then):
    return Outcome("fit", None, "", (), (), (), Seconds(train=total), 0, 1000), then


def test_the_last_clusters_set_the_pace():
    slow = sized(0.3, 0.003, [200, 700, 900])
    assert timings(pace()).now == 1
    assert timings(pace(*slow)).now == pytest.approx(3)
    quick, now = timings(pace()).clusters([20]), timings(pace(*slow)).clusters([20])
    assert now.seconds == pytest.approx(3 * quick.seconds)
    assert now.low == pytest.approx(3 * quick.low)


def test_older_clusters_leave_the_pace():
    assert timings(pace(*sized(3.0, 0.03, [500] * RECENT), *sized(0.1, 0.001, [500] * RECENT))).now == pytest.approx(1)


def test_clusters_without_passes_say_nothing_of_the_pace():
    assert timings(pace(ClusterState({}, (), 5.0, 0))).now == 1


def test_a_request_and_full_retraining_follow_the_same_pace():
    slow = pace(*sized(0.3, 0.003, [500]))
    assert timings(slow, full_training(10.0, 1.0)).everything([500, 500]) == pytest.approx(30)
    assert timings(slow, full_training(10.0, 3.0)).everything([500, 500]) == pytest.approx(10)  # it was measured at this pace
    assert timings(pace(), full_training(10.0, 1.0)).everything([250, 250]) == pytest.approx(5)


def test_images_that_must_be_computed_again_are_counted():
    known, few, many = (timings(pace(), seconds_per_image=0.01).clusters([20], images) for images in (0, 100, 1000))
    assert few.seconds - known.seconds == pytest.approx(2.0)  # one worker computes so few
    assert many.seconds - known.seconds == pytest.approx(10.0)


def test_the_global_heads_samples_are_counted():
    noted = pace()
    noted.note_head(SIZEABLE - 1, 9.0)
    assert timings(noted).clusters([20], moved=500).seconds == timings(noted).clusters([20]).seconds
    noted.note_head(1000, 2.0)
    assert timings(noted).clusters([20], moved=500).seconds - timings(noted).clusters([20]).seconds == pytest.approx(1.0)


@pytest.mark.parametrize("swing", [0.0, 0.3])
def test_the_range_holds_nine_of_ten_when_the_machine_becomes_busy(swing):
    """The load doubles for good, then swings or stays; each forecast knows what happened before it."""
    passes = np.random.default_rng(1).integers(100, 1000, 400).tolist()
    load = 2 * np.exp(swing * np.sin(np.arange(400) / 8))
    known, later = sized(0.1, 0.001, passes, 0.15), sized(0.1, 0.001, passes, 0.15, seed=2)
    noted, held = Pace(), []
    for state, busy in zip(later, load, strict=True):
        found, seconds = forecast(known, [state.sample_passes], 1, noted), state.seconds * busy
        held.append(found.low <= seconds <= found.high)
        noted.note(ClusterState({}, (), seconds, state.sample_passes), alone=False)
        noted.note_request(seconds, found.seconds)
    assert np.mean(held[RECENT:]) >= 0.9
    assert found.high < (5 if swing else 3) * found.seconds


def test_errors_of_earlier_forecasts_widen_the_range_and_enough_of_them_make_it():
    noted, first = Pace(), forecast(states(1.0), [100], 1)
    noted.note_request(3.0, 1.0)
    assert forecast(states(1.0), [100], 1, noted).high == pytest.approx(3.0)
    assert forecast(states(1.0), [100], 1, noted).low == pytest.approx(first.low)
    for _ in range(10 * ENOUGH):
        noted.note_request(1.0, 1.0)
    found = forecast(states(1.0), [100], 1, noted)
    assert (found.low, found.high) == pytest.approx((1 / SLACK, SLACK))
