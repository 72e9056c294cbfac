from dataclasses import replace

import numpy as np
import pytest
import torch

from core.backbone.model import load_backbone
from core.benchmarks.baselines import CHANGES, METHODS, FittedMethods, Questions, approximate, build_methods, one_prompt
from core.benchmarks.baselines.joint_clusters import JointClusters
from core.benchmarks.baselines.sisa import Sisa
from core.benchmarks.baselines.whole_backbone import FineTuneConfig, WholeBackbone
from core.errors import InputError, UnknownSampleError
from core.lmeraser.cluster_training import cluster_job, tune
from core.lmeraser.eraser import LMEraser
from tests.conftest import TINY, tiny_config


@pytest.fixture(scope="module")
def eraser(samples):
    return LMEraser(tiny_config(clusters=4), load_backbone(TINY)).fit(samples)


@pytest.fixture(scope="module")
def methods(eraser):
    return {m.name: m for m in build_methods(eraser)}


@pytest.fixture(scope="module")
def questions(eraser, digits):
    return Questions.prepared(eraser, digits.test.take(np.arange(30)))


@pytest.mark.parametrize("name", METHODS)
def test_every_method_keeps_the_contract(methods, name, questions, samples):
    method, ids = methods[name], samples.ids[5:9]
    before = method.predict_proba(questions)
    copy = method.fork()
    cost = copy.forget(ids)
    assert cost.sample_passes > 0
    assert (cost.flops > 0) == (name not in ("closed form only", "class means"))  # which send nothing through backbone or prompt
    assert cost.seconds.train > 0
    assert len(copy.samples_) == 116
    assert not set(ids) & set(copy.samples_.ids)
    after = copy.predict_proba(questions)
    assert after.shape == (30, 10)
    assert np.allclose(after.sum(1), 1)
    assert not np.array_equal(after, before)
    assert np.array_equal(method.predict_proba(questions), before)
    assert len(method.samples_) == 120
    with pytest.raises(UnknownSampleError):
        copy.forget(ids)


@pytest.mark.parametrize("name", METHODS)
def test_exact_methods_equal_their_control_and_approximate_ones_do_not(eraser, methods, name, questions, samples):
    method = methods[name].fork()
    method.forget(samples.ids[:5])
    if name == "SISA":
        control = Sisa(tiny_config(), load_backbone(TINY), None, method.shards)
        control.fit(samples.without(samples.ids[:5]))
    elif name in ("closed form only", "class means", "one prompt"):
        control = FittedMethods(eraser)._unfitted(name)
        control.fit(samples.without(samples.ids[:5]))
    else:
        control = methods[method.control].fork()
        control.forget(samples.ids[:5])
    equal = np.array_equal(method.predict_proba(questions), control.predict_proba(questions))
    assert equal == method.exact


def test_lmeraser_and_full_refit_have_one_root(methods, samples):
    some, full = methods["LMEraser"].fork(), methods["full refit"].fork()
    cheap, dear = some.forget(samples.ids[:1]), full.forget(samples.ids[:1])
    assert some.eraser.root_ == full.eraser.root_
    assert cheap.sample_passes < dear.sample_passes


def test_sisa_restarts_from_the_checkpoint_before_the_slice(samples, backbone):
    sisa = Sisa(tiny_config(), backbone, None, shards=2, slices=3)
    whole = sisa.fit(samples)
    shard, piece = sisa._place(samples.digests)
    last, first = (samples.ids[np.flatnonzero((shard == 0) & (piece == p))[0]] for p in (2, 0))
    late, early = sisa.fork(), sisa.fork()
    assert late.forget([last]).sample_passes < early.forget([first]).sample_passes < whole.sample_passes
    for s in (0, 1):
        kept = [a.digest == b.digest for a, b in zip(sisa.checkpoints_[s], late.checkpoints_[s], strict=True)]
        assert kept == ([True, True, False] if s == 0 else [True] * 3)


def test_sisa_forgets_whole_shards_and_everything(samples, backbone, questions):
    sisa = Sisa(tiny_config(), backbone, None, shards=6, slices=2)
    sisa.fit(samples)
    shard, _ = sisa._place(samples.digests)
    sisa.forget([i for i, s in zip(samples.ids, shard, strict=True) if s == 0])
    fresh = Sisa(tiny_config(), backbone, None, shards=6, slices=2)
    fresh.fit(sisa.samples_)
    assert np.array_equal(sisa.predict_proba(questions), fresh.predict_proba(questions))
    sisa.forget(sisa.samples_.ids)
    assert np.allclose(sisa.predict_proba(questions), 0.1)


def test_training_on_leaves_the_state_it_starts_from_alone(methods, samples):
    eraser = methods["random labels"].eraser
    state = next(iter(eraser.states_.values()))
    before = state.digest
    assert CHANGES["random labels"](eraser, np.arange(3)).applied(state).digest != before
    assert state.digest == before


def test_zero_learning_rates_leave_a_state_as_it_is(methods):
    eraser = methods["one prompt"].eraser
    state = next(iter(eraser.states_.values()))
    inputs, samples = eraser.prepare_members(), eraser.samples_
    still = replace(eraser.config_, train=replace(eraser.config_.train, prompt_lr=0.0, head_lr=0.0, weight_decay=0.0, steps=2))
    job = cluster_job("0" * 64, inputs, samples.labels, 10, eraser.backbone_, still)
    after = tune(job, state)
    for name, tensor in state.tensors.items():
        assert np.allclose(after.tensors[name], tensor, atol=1e-4), name


def test_gradient_ascent_raises_the_loss_of_what_is_forgotten(methods, samples, monkeypatch):
    monkeypatch.setattr(approximate, "SHARE", 2.0)
    method = methods["gradient ascent"].fork()
    gone = samples.take(np.arange(4))
    asked = Questions.prepared(method.eraser, gone)
    before = method.predict_proba(asked)[np.arange(4), gone.labels].mean()
    method.forget(gone.ids)
    assert method.predict_proba(asked)[np.arange(4), gone.labels].mean() < before


def test_one_prompt_has_the_budget_of_all_clusters(config):
    single = one_prompt(config, 8)
    assert single.train.steps == 8 * config.train.steps
    assert (single.partition.clusters, single.serve.mix) == (1, 1)


def test_the_whole_backbone_is_trained_on_a_copy_and_again_on_what_remains(samples, backbone, questions):
    few, fingerprint = samples.take(np.arange(40)), {k: v.clone() for k, v in backbone.state_dict().items()}
    method = WholeBackbone(backbone, FineTuneConfig(epochs=1))
    assert method.fit(few).sample_passes == 40
    fork = method.fork()
    fork.forget(few.ids[:4])
    fresh = WholeBackbone(backbone, FineTuneConfig(epochs=1))
    assert fresh.fit(few.without(few.ids[:4])).sample_passes == 36
    assert np.array_equal(fork.predict_proba(questions), fresh.predict_proba(questions))
    assert not np.array_equal(fork.predict_proba(questions), method.predict_proba(questions))
    assert all(torch.equal(v, backbone.state_dict()[k]) for k, v in fingerprint.items())
    assert not any(p.requires_grad for p in backbone.parameters())
    with pytest.raises(InputError, match="Leave at least one"):
        fork.forget(few.ids[4:])


def test_clusters_trained_jointly_refit_what_remains(samples, backbone, questions):
    few = samples.take(np.arange(24))
    config = tiny_config(clusters=2)
    config = replace(config, train=replace(config.train, steps=2))
    method, fresh = (JointClusters(config, backbone) for _ in range(2))
    assert method.fit(few).sample_passes == len(method.prototypes_) * 2 * 8
    fork = method.fork()
    fork.forget(few.ids[:4])
    fresh.fit(few.without(few.ids[:4]))
    assert np.array_equal(fork.predict_proba(questions), fresh.predict_proba(questions))
    assert not np.array_equal(fork.predict_proba(questions), method.predict_proba(questions))
    with pytest.raises(InputError, match="Leave at least one"):
        fork.forget(few.ids[4:])


@pytest.mark.parametrize("name", CHANGES)
def test_approximate_methods_need_something_that_remains(methods, name, samples):
    method = methods[name].fork()
    with pytest.raises(InputError, match="Leave at least one"):
        method.forget(samples.ids)
    assert len(method.samples_) == 120


def test_unknown_methods_are_named(eraser):
    with pytest.raises(InputError, match="'magic' is not one of LMEraser"):
        build_methods(eraser, ["magic"])
