import numpy as np
import pytest

from core.lmeraser.nearest_prototypes import FAR, SURE, Ranking, _roughly_nearest, squared_distances, with_lengths
from core.runtime.fixed_point import UNIT


@pytest.fixture
def features():
    return np.random.default_rng(0).standard_normal((300, 16)).astype(np.float32)


@pytest.fixture
def prototypes():
    return on_grid(0.3 * np.random.default_rng(1).standard_normal((9, 16)))


def on_grid(points):
    """Round as prototypes are."""
    return (np.rint(points * UNIT) / UNIT).astype(np.float32)


def carried(features, before, prototypes):
    known = Ranking.measured(features, before)
    return known.carried(np.arange(len(features)), before, prototypes, lambda: with_lengths(features))


def test_the_three_nearest_are_measured(features, prototypes):
    ranking, every = Ranking.measured(features, prototypes), squared_distances(features, prototypes)
    assert np.array_equal(ranking.names, every.argsort(1)[:, :2])
    assert np.array_equal(ranking.distances, np.sort(every, 1)[:, :3].astype(np.float32))


@pytest.mark.parametrize(("p", "names", "far"), [(1, [0, -1], [False, True, True]), (2, [0, 1], [False, False, True])])
def test_few_prototypes_leave_places_empty(features, prototypes, p, names, far):
    ranking = Ranking.measured(features, prototypes[:p])
    assert np.array_equal(np.sort(ranking.names, 1), np.tile(np.sort(names), (300, 1)))
    assert np.array_equal(ranking.distances == FAR, np.tile(far, (300, 1)))


def test_the_second_nearest_takes_the_place_of_one_that_is_gone(features, prototypes):
    after = carried(features, prototypes, prototypes[1:])
    every = np.sort(squared_distances(features, prototypes[1:]), 1)
    sure = every[:, 1] - every[:, 0] > 2 * SURE
    assert sure.sum() > 290
    assert np.array_equal(after.names[sure, 0], Ranking.measured(features, prototypes[1:]).names[sure, 0])
    assert np.allclose(after.distances[sure, :2], every[sure, :2], atol=1e-5)


def test_where_both_nearest_are_gone_the_sample_is_measured_anew(features, prototypes):
    known = Ranking.measured(features, prototypes)
    gone = known.names[7]
    after = carried(features, prototypes, np.delete(prototypes, gone, axis=0))
    both = np.isin(known.names, gone).all(1)
    assert both[7]
    assert np.array_equal(after.names[:, 0] < 0, both)


def test_what_is_decided_by_less_than_rounding_is_measured_anew(features, prototypes):
    after = carried(features, prototypes, np.concatenate([prototypes, prototypes[:1]]))
    assert np.array_equal(after.names[:, 0] < 0, Ranking.measured(features, prototypes).names[:, 0] == 0)


@pytest.mark.slow
@pytest.mark.parametrize("spread", [1.0, 0.1, 1e-3])
def test_rounding_is_far_below_what_is_allowed_for_it(spread):
    """Both ways to measure, of 960 numbers each: far apart, close together, and almost the same."""
    rng = np.random.default_rng(2)
    center = rng.standard_normal(960)
    features = (center + spread * rng.standard_normal((2500, 960))).astype(np.float32)
    known = with_lengths(features)
    exact, prototypes = known[0].astype(np.float64), on_grid(np.stack([part.mean(0) for part in np.array_split(known[0], 64)]))
    for p in prototypes:
        truth = np.square(exact - p).sum(1)
        rough = _roughly_nearest(*known, p[None], np.arange(2500))[1]
        for measured in (rough, squared_distances(features, p[None])[:, 0]):
            assert abs(measured - truth).max() < SURE / 10
