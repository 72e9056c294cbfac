"""How far requests reach: the same numbers that forgetting then has, and the worst case."""

import numpy as np
import pytest

from core.benchmarks.request_reach import one_from_each, origins, reaches
from core.lmeraser.eraser import LMEraser
from core.lmeraser.partition import random_partition
from tests.conftest import tiny_config


@pytest.fixture(scope="module")
def eraser(samples, backbone):
    return LMEraser(tiny_config(clusters=8), backbone).fit(samples)


def test_the_models_own_reach_is_that_of_its_plan(eraser):
    plan = eraser.plan(eraser.samples_.ids[:3])
    found = reaches(eraser, plan)
    assert (found.adaptive.touched, found.adaptive.retrain) == (plan.touched, plan.samples_to_retrain)
    assert found.images == 3
    assert 0 < found.adaptive.seconds < found.spread.seconds * 10
    assert found.adaptive.remain == found.random.remain == found.spread.remain == 117


def test_random_shards_are_those_that_a_random_model_would_retrain(eraser, samples, backbone):
    ids = samples.ids[:5]
    shards = LMEraser(tiny_config("random", clusters=eraser.partition_.clusters), backbone).fit(samples)
    plan = shards.plan(ids)
    found = reaches(eraser, eraser.plan(ids)).random
    assert (found.touched, found.retrain) == (plan.touched, plan.samples_to_retrain)


def test_the_worst_case_is_one_image_in_each_cluster(eraser):
    partition = eraser.partition_
    rows = one_from_each(partition, partition.clusters)
    assert sorted(partition.assignment[rows]) == list(range(partition.clusters))
    assert len(set(one_from_each(partition, partition.clusters + 5).tolist())) == partition.clusters + 5
    for cluster in range(partition.clusters):
        others = set(partition.members(cluster).tolist()) - set(partition.anchors.tolist())
        assert not others or rows[cluster] in others
    plan = eraser.plan([eraser.samples_.ids[r] for r in rows])
    assert reaches(eraser, plan).spread.clusters == len(reaches(eraser, plan).spread.touched)


def test_growth_counts_clusters_and_ends_at_those_that_hold_the_images(eraser, samples):
    plan = eraser.plan(samples.ids[:20])
    grown = reaches(eraser, plan).grown
    assert grown["adaptive"][-1] == len(np.unique(eraser.partition_.assignment[:20]))
    assert grown["random"][-1] == len(np.unique(random_partition(samples.digests, eraser.partition_.clusters).assignment[:20]))
    assert grown["spread"][:8] == tuple(range(1, 9))


def test_retrained_clusters_come_from_the_ones_they_share_images_with(eraser, samples):
    partition = eraser.partition_
    row = next(r for r in range(len(samples)) if r not in partition.anchors and len(partition.members(partition.assignment[r])) > 1)
    plan = eraser.plan([samples.ids[row]])
    assert origins(partition, plan) == {plan.retrain[0]: partition.assignment[row]}
