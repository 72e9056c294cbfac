import numpy as np
import pytest

from core.audit import shadow_models
from core.benchmarks.baselines import unfitted
from core.lmeraser.eraser import LMEraser
from tests.conftest import tiny_config


@pytest.fixture(scope="module")
def eraser(samples, backbone):
    return LMEraser(tiny_config(clusters=4), backbone).fit(samples)


@pytest.fixture(scope="module")
def ids(samples):
    return [i for i, label in zip(samples.ids, samples.labels, strict=True) if label == 3]


@pytest.fixture(scope="module")
def control(eraser, ids):
    return unfitted(eraser).fit(eraser.samples_.without(ids))


@pytest.fixture(scope="module")
def targets(eraser, control, ids, digits):
    return shadow_models.find_targets(eraser, control, ids, digits.test)


def test_targets_are_the_forgotten_and_non_members_of_their_classes_and_clusters(targets, ids, samples):
    assert targets.inputs.digests[: len(ids)] == samples.take(samples.rows(ids)).digests
    assert targets.member.tolist() == [True] * len(ids) + [False] * (len(targets) - len(ids))
    assert set(targets.samples.labels) == {3}
    assert (~targets.member).sum() > 0
    assert set(targets.cluster) == set(targets.cluster[targets.member])


def test_members_that_lie_among_the_held_out_are_no_non_members(eraser, control, ids, samples):
    assert shadow_models.find_targets(eraser, control, ids, samples).member.all()


def test_every_sample_is_in_half_of_the_shadows():
    inside = shadow_models.halves(7, 6, np.random.default_rng(0))
    assert (inside.sum(0) == 3).all()
    assert set(inside.sum(1)) == {3, 4}


def test_confidence_is_the_logit_of_the_labels_probability():
    p = np.array([[0.7, 0.2, 0.1], [0.01, 0.98, 0.01]])
    expected = np.log([0.7 / 0.3, 0.01 / 0.99])
    assert shadow_models.confidence(np.log(p), np.array([0, 0])) == pytest.approx(expected)
    assert shadow_models.confidence(np.log(np.stack([p, p])), np.array([0, 0])) == pytest.approx(np.stack([expected, expected]))


def test_a_shadow_that_learned_the_targets_answers_through_head_and_clusters(control, targets):
    without, with_them = shadow_models.ask_shadows(control, targets, np.array([[False], [True]]).repeat(len(targets), 1))
    labels = targets.samples.labels
    assert shadow_models.confidence(with_them, labels).mean() > shadow_models.confidence(without, labels).mean()


def test_a_shadow_that_learned_nothing_differs_from_the_control_by_its_seed_alone(control, targets):
    root, nobody = control.root_, np.zeros((2, len(targets)), bool)
    first, second = shadow_models.ask_shadows(control, targets, nobody)
    again = shadow_models.ask_shadows(control, targets, nobody)[0]
    own = shadow_models.served(control, targets)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, second)
    assert np.abs(np.exp(first) - np.exp(own)).mean() < 0.2
    assert control.root_ == root == control.recomputed_root()


def test_the_served_answer_is_a_visitors(control, targets):
    assert np.exp(shadow_models.served(control, targets)) == pytest.approx(control.predict_proba(targets.samples.images), abs=1e-5)


def test_the_head_of_a_shadow_takes_the_same_samples_in(control, targets, monkeypatch):
    seen = []
    count = lambda model, asked: seen.append(model.model_.head.counts.sum()) or np.zeros((len(asked), 10))  # noqa: E731
    monkeypatch.setattr(shadow_models, "served", count)
    inside = np.zeros((2, len(targets)), bool)
    inside[1, :5] = True
    shadow_models.ask_shadows(control, targets, inside)
    assert seen[1] - seen[0] == 5
    assert seen[0] == len(control.samples_)
