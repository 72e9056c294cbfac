from dataclasses import replace

import numpy as np
import pytest

from core.audit import membership as audit
from core.audit import shadow_models
from core.audit.membership import CANARY, LOSS, PLANTED, RATIO, AuditSettings
from core.backbone.model import load_backbone
from core.benchmarks.baselines import build_methods
from core.benchmarks.equivalence import DISTINGUISHABLE, INDISTINGUISHABLE, TOO_FEW
from core.data.samples import Samples
from core.errors import InputError
from core.lmeraser.eraser import LMEraser
from core.lmeraser.state_store import MemoryStore
from tests.conftest import TINY, tiny_config

pytestmark = pytest.mark.slow


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
    return audit.audit(eraser, noisy[0].ids[:50], noisy[1], AuditSettings(shadows=4, controls=3))


def verdicts(record, model):
    return {r["attack"]: r["verdict"] for r in record["results"] if r["model"] == model}


def test_the_model_that_kept_the_samples_is_told_from_the_controls(record):
    assert verdicts(record, "before") == dict.fromkeys([RATIO, LOSS, CANARY], DISTINGUISHABLE)
    assert all(record["sensitive"].values())
    assert all(r["auc"] > 0.8 for r in record["results"] if r["model"] == "before")


def test_the_exact_model_and_a_control_are_not(record):
    for model in ("after", "another control"):
        assert DISTINGUISHABLE not in verdicts(record, model).values()
    assert record["verdict"] in (INDISTINGUISHABLE, TOO_FEW)
    assert set(verdicts(record, "control").values()) == {None}
    assert record["root"]["after"] == record["root"]["control"] != record["root"]["before"]
    assert record["forgotten"] == 50


def test_controls_of_other_seeds_leave_the_comparison_open_to_chance(record):
    assert any(r["difference"] != 0 for r in record["results"] if r["model"] == "after")
    assert all(r["difference_interval"][0] < r["difference_interval"][1] for r in record["results"] if r["model"] == "after")


@pytest.mark.parametrize("broken", ["head not subtracted", "all touched clusters stale"])
def test_models_broken_on_purpose_are_noticed(record, broken):
    assert record["planted"][broken] == verdicts(record, broken)
    assert DISTINGUISHABLE in record["planted"][broken].values()


def test_the_power_is_shown_for_every_break(record):
    assert set(record["planted"]) == set(PLANTED)


def test_a_model_without_global_head_has_no_head_to_break(noisy):
    config = tiny_config(clusters=4)
    hard = LMEraser(replace(config, serve=replace(config.serve, mix=1, global_weight=0.0)), load_backbone(TINY)).fit(noisy[0])
    after = hard.fork()
    after.forget(noisy[0].ids[:10])
    assert [name for name, _ in audit.broken_copies(hard, after, noisy[0].ids[:10])] == list(PLANTED[1:])


def test_approximate_methods_are_told_from_their_controls(eraser, noisy):
    methods = {m.name: m for m in build_methods(eraser, ["one prompt", "fine-tune on retained"])}
    before, ids = methods["one prompt"].eraser.fork(), noisy[0].ids[:50]
    for method in methods.values():
        method.forget(ids)
    models = {"control" if name == "one prompt" else name: m.eraser for name, m in methods.items()}
    found = audit.audit_models(before, models, ids, noisy[1], AuditSettings(shadows=2, controls=2))
    assert {r.attack: r.verdict for r in found if r.model == "fine-tune on retained"} == dict.fromkeys([RATIO, LOSS], DISTINGUISHABLE)


def test_a_few_samples_conclude_nothing(eraser, noisy):
    record = audit.audit(eraser, noisy[0].ids[:2], noisy[1], AuditSettings(shadows=2, controls=2))
    assert {r["verdict"] for r in record["results"] if r["model"] != "control" and r["attack"] != CANARY} == {TOO_FEW}
    assert record["verdict"] == TOO_FEW


def test_the_audit_leaves_nothing_behind(eraser, noisy):
    root, states = eraser.root_, set(eraser.store.keys())
    features, answers = set(eraser._derived.entries), {k: set(v) for k, v in eraser._answers._known.items()}
    audit.audit(eraser, noisy[0].ids[:4], noisy[1], AuditSettings(shadows=2, controls=2))
    assert eraser.root_ == root
    assert set(eraser.store.keys()) == states == set(eraser.keys_)
    assert set(eraser._derived.entries) == features
    assert {k: set(v) for k, v in eraser._answers._known.items()} == answers


def test_the_same_seed_gives_the_same_record(eraser, noisy):
    first, again = (audit.audit(eraser, noisy[0].ids[:12], noisy[1], AuditSettings(shadows=2, controls=2, seed=3)) for _ in range(2))
    assert first == again


@pytest.mark.parametrize("shadows", [0, 1, 3, 66])
def test_numbers_of_shadows_out_of_range_are_refused(eraser, noisy, shadows):
    with pytest.raises(InputError, match=f"shadows is {shadows}"):
        audit.audit(eraser, noisy[0].ids[:2], noisy[1], AuditSettings(shadows=shadows))


@pytest.mark.parametrize("controls", [0, 1, 17])
def test_numbers_of_controls_out_of_range_are_refused(eraser, noisy, controls):
    with pytest.raises(InputError, match=f"controls is {controls}"):
        audit.audit(eraser, noisy[0].ids[:2], noisy[1], AuditSettings(controls=controls))


def test_random_shards_are_refused_with_a_remedy(noisy, backbone):
    shards = LMEraser(tiny_config("random"), backbone).fit(noisy[0])
    with pytest.raises(InputError, match="Audit another partition"):
        shadow_models.find_targets(shards, shards, noisy[0].ids[:2], noisy[1])


def test_no_non_members_at_all_is_said(eraser, noisy):
    record = audit.audit(eraser, noisy[0].ids[:3], noisy[1].take(np.zeros(80, bool)), AuditSettings(shadows=2, controls=2))
    assert {(r["auc"], r["verdict"]) for r in record["results"] if r["model"] == "after"} == {(None, TOO_FEW)}


def test_nothing_is_left_to_attack_with_after_all_was_forgotten(eraser, noisy):
    record = audit.audit(eraser, noisy[0].ids, noisy[1], AuditSettings(shadows=2, controls=2))
    assert verdicts(record, "after")[LOSS] != DISTINGUISHABLE
    assert record["forgotten"] == 120
