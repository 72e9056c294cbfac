from dataclasses import replace

import numpy as np
import pytest
import torch

from core.config import preset
from core.data.samples import Samples
from core.lmeraser import prediction
from core.lmeraser.cluster_training import TENSORS, head_input
from core.lmeraser.eraser import LMEraser
from core.lmeraser.prediction import ClusterCache, cluster_log_proba, route
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


@pytest.fixture(scope="module", params=["tokens", "padding"])
def mixing(request, backbone, samples):
    """A model whose eight clusters all answer every image, and the images' prepared inputs."""
    config = tiny_config("stable", request.param)
    model = LMEraser(config, backbone).fit(samples)
    return model, model.prepare_members()


def asked(model, inputs, rows, clusters):
    states = [model.states_[key] for key in model.keys_]
    return cluster_log_proba(states, inputs, np.asarray(rows), np.asarray(clusters), model.backbone_, model.config_)


def pairs(model, inputs):
    """Every image with several clusters, as `np.nonzero` lists them."""
    rows, clusters = np.nonzero(np.random.default_rng(0).random((len(inputs), model.partition_.clusters)) < 0.4)
    return rows, clusters


@pytest.mark.exactness
def test_an_answer_depends_on_no_other_pair(mixing):
    model, inputs = mixing
    rows, clusters = pairs(model, inputs)
    together = asked(model, inputs, rows, clusters)
    for chosen in (slice(0, 1), slice(5, 6), slice(7, 90), slice(1, None, 3)):
        assert np.array_equal(asked(model, inputs, rows[chosen], clusters[chosen]), together[chosen])


@pytest.mark.exactness
def test_parts_in_several_threads_give_the_same_answers(mixing, monkeypatch):
    model, inputs = mixing
    rows, clusters = pairs(model, inputs)
    together = asked(model, inputs, rows, clusters)
    monkeypatch.setattr("core.lmeraser.prediction.PAIRS", 50)
    monkeypatch.setattr("core.lmeraser.prediction.cores", lambda: 3)
    assert np.array_equal(asked(model, inputs, rows, clusters), together)


def test_each_pair_is_answered_by_its_own_prompt_and_head(mixing):
    model, inputs = mixing
    rows, clusters = pairs(model, inputs)
    answers = asked(model, inputs, rows, clusters)
    for cluster in np.unique(clusters):
        prompt, weight, bias = (torch.from_numpy(model.states_[model.keys_[cluster]].tensors[name]) for name in TENSORS)
        forward = head_input(model.config_.prompt, model.config_.train, model.backbone_, inputs.values, inputs.features)
        with torch.inference_mode():
            expected = torch.log_softmax(forward(prompt, torch.arange(len(inputs))) @ weight.T + bias, 1).numpy()
        here = clusters == cluster
        assert answers[here] == pytest.approx(expected[rows[here]], abs=1e-4)


def test_what_was_answered_before_is_not_computed_again(mixing, monkeypatch):
    model, inputs = mixing
    rows, clusters = pairs(model, inputs)
    states, cache, computed = [model.states_[key] for key in model.keys_], ClusterCache(), []
    real = cluster_log_proba
    monkeypatch.setattr(prediction, "cluster_log_proba", lambda *given: computed.append(len(given[2])) or real(*given))
    ask = lambda chosen: cache.log_proba(  # noqa: E731
        model.keys_, states, inputs, rows[chosen], clusters[chosen], model.backbone_, model.config_
    )
    some, all_ = ask(slice(0, 10)), ask(slice(None))
    assert np.array_equal(all_[:10], some)
    assert computed == [10, len(rows) - 10]
    cache.drop([inputs.digests[rows[0]]])
    assert np.array_equal(ask(slice(None)), all_)
    assert computed[2:] == [int((np.array(inputs.digests)[rows] == inputs.digests[rows[0]]).sum())]


def test_no_images_and_no_open_cluster_are_answered(mixing):
    model, inputs = mixing
    assert model.predict_proba(np.zeros((0, 8, 8), np.uint8)).shape == (0, 10)
    blocked = model.fork()
    blocked.model_ = replace(blocked.model_, blocked=frozenset(range(model.partition_.clusters)))
    assert np.allclose(blocked.predict_proba(inputs).sum(1), 1)  # the global head answers alone
