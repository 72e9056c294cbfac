from dataclasses import replace

import numpy as np
import pytest

from core.config import preset
from core.data.samples import Samples
from core.lmeraser.eraser import LMEraser
from core.lmeraser.prediction import route
from core.lmeraser.records import Partition
from tests.conftest import tiny_config

PROTOTYPES = np.eye(3, dtype=np.float32)


def partition(buckets=(0, 1, 2), prototypes=PROTOTYPES):
    return Partition(prototypes, np.array(buckets), np.zeros(0, int), np.zeros(0, int))


def weights(config_mix, blocked=frozenset(), **kwargs):
    config = preset("fast")
    config = replace(config, serve=replace(config.serve, mix=config_mix))
    return route(partition(**kwargs), np.array([[1, 0.2, 0.1]], np.float32), config, blocked)[0]


def test_hard_routing_takes_the_nearest():
    assert weights(1).tolist() == [1, 0, 0]


def test_mixing_weighs_by_distance():
    w = weights(2)
    assert w[0] > w[1] > w[2] == 0
    assert w.sum() == pytest.approx(1)


def test_blocked_clusters_do_not_serve():
    assert weights(1, frozenset({0})).tolist() == [0, 1, 0]
    assert weights(3, frozenset({0, 1, 2})).tolist() == [0, 0, 0]


def test_clusters_of_one_prototype_share_its_weight():
    assert weights(2, buckets=(0, 0, 1))[:2].tolist() == [0.5, 0.5]


def test_random_shards_vote_alike():
    w = weights(1, buckets=(0, 1, 2, 5), prototypes=np.zeros((0, 0), np.float32))
    assert w.tolist() == [0.25] * 4


def test_a_head_with_all_the_weight_answers_alone(backbone, samples, monkeypatch):
    """As the clusters with a weight near nothing would, but no cluster is asked."""
    config = tiny_config()
    near, alone = (
        LMEraser(replace(config, serve=replace(config.serve, global_weight=share)), backbone).fit(samples) for share in (1 - 1e-9, 1.0)
    )
    expected = near.predict_proba(samples.images[:20])
    monkeypatch.setattr("core.lmeraser.prediction._mixed", lambda *_: pytest.fail("a cluster was asked"))
    assert alone.predict_proba(samples.images[:20]) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("share", [0.5, 0.0])
def test_what_is_memorized_is_what_forgetting_takes_away(backbone, samples, share):
    """The closed form alone is asked; a model that serves without one is measured by the one of its features."""
    config = tiny_config()
    labels = samples.labels.copy()
    labels[7] = (labels[7] + 1) % 10
    wrong = Samples.build(samples.images, labels, samples.classes)
    model = LMEraser(replace(config, serve=replace(config.serve, global_weight=share)), backbone).fit(wrong)
    assert (model.model_.head is None) == (share == 0)
    seen, unseen = model.memorized()
    assert seen.shape == unseen.shape == (len(samples),) and seen.mean() > unseen.mean()
    assert seen[7] > 0.9 and unseen[7] < 0.1
    alone = LMEraser(replace(config, serve=replace(config.serve, global_weight=1.0)), backbone).fit(wrong)
    assert seen == pytest.approx(alone.predict_proba(alone.prepare_members())[np.arange(len(samples)), labels], abs=1e-6)
    for row in (0, 7):
        rest = alone.fork()
        rest.forget(wrong.ids[row])
        assert unseen[row] == pytest.approx(rest.predict_proba(wrong.images[[row]])[0, labels[row]], abs=1e-6)
    alone.forget(wrong.ids)
    assert [a.shape for a in alone.memorized()] == [(0,), (0,)]
