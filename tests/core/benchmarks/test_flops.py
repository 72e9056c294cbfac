"""Counts are compared with PyTorch's counter around the real work, run in this process, and with one derived by hand."""

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest

from core.backbone.model import load_backbone
from core.benchmarks import flops
from core.benchmarks.baselines import CHANGES, approximate, build_methods, eraser_flops
from core.benchmarks.baselines.joint_clusters import JointClusters
from core.benchmarks.baselines.sisa import Sisa
from core.benchmarks.baselines.whole_backbone import FineTuneConfig, WholeBackbone
from core.benchmarks.flops import Recipe, derivation_flops, tuning_flops
from core.lmeraser.cluster_training import train_cluster
from core.lmeraser.eraser import LMEraser
from tests.conftest import TINY, tiny_config


class Parentless(nullcontext):
    """In place of the counter's record of modules, which fails where gradients are off."""

    parents = ("Global",)


def counted(work) -> int:
    counter = flops.counter()
    counter.mod_tracker = Parentless()
    with counter:
        work()
    return counter.get_total_flops()


@pytest.fixture(autouse=True)
def without_distances(monkeypatch):
    """Distances to prototypes, which are not counted, are computed by NumPy, where PyTorch does not see them."""

    def distances(features, prototypes):
        unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
        return np.square(unit[:, None] - prototypes[None]).sum(2).astype(np.float32)

    def roughly_nearest(unit_features, lengths, prototypes, rows):
        distance = distances(unit_features[rows], prototypes)
        two = np.sort(np.pad(distance, ((0, 0), (0, 1)), constant_values=np.inf), 1)
        return distance.argmin(1), two[:, 0], two[:, 1]

    for module in ("core.lmeraser.nearest_prototypes", "core.benchmarks.baselines.joint_clusters", "core.lmeraser.prediction"):
        monkeypatch.setattr(f"{module}.squared_distances", distances)
    monkeypatch.setattr("core.lmeraser.nearest_prototypes._roughly_nearest", roughly_nearest)


@pytest.fixture(scope="module")
def few(digits):
    return digits.train.take(np.arange(70))


@pytest.fixture(scope="module")
def eraser(few):
    return LMEraser(tiny_config(clusters=3), load_backbone(TINY)).fit(few)


def test_features_by_hand(backbone):
    """16 px; three stride-2 convolutions to 2 x 2 tokens of 32; two blocks of 2 heads and a hidden width of 128."""
    stem = 64 * 8 * 27 + 16 * 16 * 72 + 4 * 32 * 144 + 4 * 32 * 32
    block = 4 * 32 * 96 + 2 * (2 * 4 * 4 * 16) + 4 * 32 * 32 + 2 * (4 * 32 * 128)
    assert derivation_flops(backbone, 1) == derivation_flops(backbone, 64) == 2 * 64 * (stem + 2 * block)
    assert derivation_flops(backbone, 65) == 4 * 64 * (stem + 2 * block)
    assert derivation_flops(backbone, 0) == 0


@pytest.mark.parametrize("prompt", ["tokens", "padding"])
@pytest.mark.parametrize("members", [1, 5, 64, 70])
def test_tuning_equals_the_counter_around_a_whole_training(prompt, members, few):
    eraser = LMEraser(tiny_config("random", prompt, clusters=1), load_backbone(TINY)).fit(few.take(np.arange(members)))
    job = eraser._job(eraser.samples_, np.arange(members), eraser.keys_[0])
    assert tuning_flops(Recipe.of(job), members) == counted(lambda: train_cluster(job)) > 0


def test_tokens_before_an_earlier_block(few):
    config = tiny_config("random", clusters=1)
    config = replace(config, prompt=replace(config.prompt, block=0, readout="patches"), train=replace(config.train, use_features=False))
    eraser = LMEraser(config, load_backbone(TINY)).fit(few)
    job = eraser._job(eraser.samples_, np.arange(70), eraser.keys_[0])
    assert tuning_flops(Recipe.of(job), 70) == counted(lambda: train_cluster(job))


def request(method, ids):
    """Return what a request cost and what the counter saw of it, once every step was counted in another copy."""
    method.fork().forget(ids)
    costs = []
    seen = counted(lambda: costs.append(method.forget(ids)))
    return costs[0], seen


@pytest.mark.parametrize("name", ["LMEraser", "full refit", "SISA", "one prompt", *CHANGES])
def test_a_request_costs_what_the_counter_sees(name, eraser, few):
    cost, seen = request(build_methods(eraser, [name])[0], few.ids[:7])
    assert cost.flops == seen > 0


def test_ascent_that_reaches_chance_ends_with_a_batch_that_went_forward_only(eraser, few, monkeypatch):
    monkeypatch.setattr(approximate, "SHARE", 50.0)
    method = build_methods(eraser, ["gradient ascent"])[0]
    cost, seen = request(method, few.ids[:4])
    assert next(iter(method.eraser.states_.values())).losses[-1] >= np.log(10)
    assert cost.flops == seen


@pytest.mark.parametrize("n", [40, 32, 5])
def test_fits_of_the_slow_methods(n, few, backbone):
    some = few.take(np.arange(n))
    config = tiny_config(clusters=2)
    config = replace(config, train=replace(config.train, steps=2))
    for method in (WholeBackbone(backbone, FineTuneConfig(epochs=2)), JointClusters(config, backbone), Sisa(config, backbone, None, 3)):
        cost = method.fit(some)  # counts each step; the next fit knows them all
        assert cost.flops == counted(lambda: method.fit(some)) > 0, method.name  # noqa: B023


def test_a_fit_counts_features_and_every_cluster(few, backbone):
    fresh, found = LMEraser(tiny_config(clusters=3), backbone), []
    seen = counted(lambda: found.append(fresh.fit(few)))
    assert eraser_flops(fresh, fresh.outcome_.trained, fresh.derived_images_) == seen
    assert fresh.derived_images_ == 70
    assert fresh.fork().derived_images_ == 0


def test_a_request_is_cheaper_than_all_clusters(eraser, few):
    fork = eraser.fork()
    outcome = fork.forget(few.ids[:1])
    request = eraser_flops(fork, outcome.trained, fork.derived_images_)
    assert 0 < request < eraser_flops(fork, fork.keys_, len(fork.samples_))


def test_counting_leaves_the_backbone_frozen(backbone):
    flops._whole_step.cache_clear()
    flops.whole_backbone_flops(backbone, 5, 1, 4, 10)
    assert not any(p.requires_grad for p in backbone.parameters())
