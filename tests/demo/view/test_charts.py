"""Charts: the right numbers in the right traces."""

import pytest

from demo.view import charts


def test_times_show_both_durations_with_units():
    bar = charts.times(0.62, 21.0).data[0]
    assert list(bar.x) == [21.0, 0.62]
    assert list(bar.text) == ["21 s", "0.62 s"]


@pytest.mark.parametrize("changes", [[], [0.0, 0.0], [-3.0, 2.0]])
def test_class_changes_stay_in_range(changes):
    figure = charts.class_changes([str(i) for i in range(len(changes))], changes)
    low, high = figure.layout.yaxis.range
    assert low < min(changes, default=0)
    assert high > max(changes, default=0)


def test_cluster_sizes_are_sorted_and_the_retrained_stand_out():
    bar = charts.cluster_sizes([2, 5, 3], [True, False, False]).data[0]
    assert list(bar.y) == [5, 3, 2]
    assert list(bar.marker.color) == [charts.FULL, charts.FULL, charts.REQUEST]
