from dataclasses import replace

import numpy as np
import pytest

from core import audit
from core.audit import DISTINGUISHABLE, INDISTINGUISHABLE, TOO_FEW, Scores, compare
from core.backbone import load_backbone
from core.baselines import build_methods
from core.eraser import LMEraser
from core.errors import InputError
from core.store import MemoryStore
from core.types import Samples
from tests.conftest import TINY, tiny_config


@pytest.fixture(scope="module")
def noisy(digits):
    """120 members and 80 non-members whose labels are drawn at random: only a model that learned a sample knows its label."""
    images, labels = digits.train.images[:200], np.random.default_rng(0).integers(0, 10, 200)
    drawn = Samples.build(images, labels, digits.train.classes)
    return drawn.take(np.arange(120)), drawn.take(np.arange(120, 200))


@pytest.fixture(scope="module")
def eraser(noisy):
    config = tiny_config(clusters=4)
    config = replace(config, train=replace(config.train, steps=20))
    return LMEraser(config, load_backbone(TINY), MemoryStore()).fit(noisy[0])


@pytest.fixture(scope="module")
def record(eraser, noisy):
    return audit.audit(eraser, noisy[0].ids[:50], noisy[1], shadows=4)


def find(record, attack, model):
    return next(r for r in record["results"] if (r["attack"], r["model"]) == (attack, model))


@pytest.mark.parametrize("attack", ["likelihood ratio", "loss threshold"])
def test_the_model_that_kept_the_samples_fails_and_the_exact_one_passes(record, attack):
    assert find(record, attack, "before")["verdict"] == DISTINGUISHABLE
    assert find(record, attack, "before")["auc"] > 0.8
    assert find(record, attack, "after")["verdict"] == INDISTINGUISHABLE
    assert find(record, attack, "after")["difference"] == 0
    assert find(record, attack, "control")["verdict"] is None
    assert record["sensitive"][attack]
    assert record["root"]["after"] == record["root"]["control"] != record["root"]["before"]
    assert record["forgotten"] == 50


def test_approximate_methods_are_told_from_their_control(eraser, noisy):
    methods = {m.name: m for m in build_methods(eraser, ["one prompt", "fine-tune on retained", "gradient ascent"])}
    before, ids = methods["one prompt"].eraser.fork(), noisy[0].ids[:50]
    for method in methods.values():
        method.forget(ids)
    models = {"control" if name == "one prompt" else name: m.eraser for name, m in methods.items()}
    verdicts = {(r.attack, r.model): r.verdict for r in audit.audit_models(before, models, ids, noisy[1], shadows=4)}
    assert verdicts["likelihood ratio", "fine-tune on retained"] == DISTINGUISHABLE
    assert verdicts["loss threshold", "fine-tune on retained"] == DISTINGUISHABLE
    assert verdicts["likelihood ratio", "gradient ascent"] != INDISTINGUISHABLE


def test_a_few_samples_conclude_nothing(eraser, noisy):
    record = audit.audit(eraser, noisy[0].ids[:2], noisy[1], shadows=2)
    assert {r["verdict"] for r in record["results"] if r["model"] != "control"} == {TOO_FEW}


def test_the_audit_leaves_nothing_behind(eraser, noisy):
    root, states = eraser.root_, set(eraser.store.keys())
    features, answers = set(eraser._derived.entries), {k: set(v) for k, v in eraser._answers._known.items()}
    audit.audit(eraser, noisy[0].ids[:4], noisy[1], shadows=2)
    assert eraser.root_ == root
    assert set(eraser.store.keys()) == states == set(eraser.keys_)
    assert set(eraser._derived.entries) == features
    assert {k: set(v) for k, v in eraser._answers._known.items()} == answers


def test_the_same_seed_gives_the_same_record(eraser, noisy):
    first, again = (audit.audit(eraser, noisy[0].ids[:12], noisy[1], shadows=2, seed=3) for _ in range(2))
    assert first == again


@pytest.mark.parametrize("shadows", [0, 1, 3, 66])
def test_numbers_of_shadows_out_of_range_are_refused(eraser, noisy, shadows):
    with pytest.raises(InputError, match=f"shadows is {shadows}"):
        audit.audit(eraser, noisy[0].ids[:2], noisy[1], shadows=shadows)


def test_random_shards_are_refused_with_a_remedy(noisy, backbone):
    shards = LMEraser(tiny_config("random"), backbone).fit(noisy[0])
    with pytest.raises(InputError, match="loss threshold"):
        audit.cluster_pools(shards, noisy[0].ids[:2], noisy[1])


def test_pools_hold_all_members_and_only_non_members_of_the_forgotten_classes(eraser, noisy):
    members, held_out = noisy
    ids = [i for i, label in zip(members.ids, members.labels, strict=True) if label == 3]
    pools = audit.cluster_pools(eraser, ids, held_out)
    assert sum(p.member.sum() for p in pools) == len(ids)
    assert all((p.labels[p.targets] == 3).all() for p in pools)
    for pool in pools:
        cluster = eraser.keys_.index(pool.key)
        assert (~pool.other).sum() == len(eraser.partition_.members(cluster))


def test_every_sample_is_in_half_of_the_shadows():
    inside = audit.halves(7, 6, np.random.default_rng(0))
    assert (inside.sum(0) == 3).all()
    assert set(inside.sum(1)) == {3, 4}


def test_confidence_is_the_logit_of_the_labels_probability():
    p = np.array([[0.7, 0.2, 0.1], [0.01, 0.98, 0.01]])
    assert audit.confidence(np.log(p), np.array([0, 0])) == pytest.approx(np.log([0.7 / 0.3, 0.01 / 0.99]))


def test_area_and_rates_on_known_scores():
    assert audit.wins(Scores(np.array([1.0, 3.0]), np.array([0.0, 1.0]))).mean() == pytest.approx(0.875)
    assert [audit.supported_rate(n) for n in (10, 25, 50, 100, 500, 5000)] == [None, 0.2, 0.1, 0.05, 0.01, 0.001]
    assert audit.true_positive_rate(Scores(np.array([5.0, 97.5, 98.5]), np.arange(100.0)), 0.05) == pytest.approx(2 / 3)


def test_verdicts_follow_the_difference_to_the_control():
    rng = np.random.default_rng(0)
    same, off, other = rng.normal(size=300), rng.normal(2, 1, 300), rng.normal(size=300)
    control = Scores(same, other)
    results = compare("loss threshold", {"equal": control, "kept": Scores(off, other), "low": Scores(-off, other), "control": control})
    assert [r.verdict for r in results] == [INDISTINGUISHABLE, DISTINGUISHABLE, DISTINGUISHABLE, None]
    for r in results:
        assert r.auc_interval[0] < r.auc < r.auc_interval[1]
    assert compare("x", {"equal": Scores(same[:29], other), "control": Scores(same[:29], other)})[0].verdict == TOO_FEW
    few = Scores(same[:40], other[:40])
    assert compare("x", {"unlike": Scores(rng.normal(size=40), other[:40]), "control": few})[0].verdict == TOO_FEW


def test_no_non_members_at_all_is_said(eraser, noisy):
    record = audit.audit(eraser, noisy[0].ids[:3], noisy[1].take(np.zeros(80, bool)), shadows=2)
    assert {(r["auc"], r["verdict"]) for r in record["results"] if r["model"] == "after"} == {(None, TOO_FEW)}
