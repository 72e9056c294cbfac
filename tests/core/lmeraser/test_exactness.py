"""The project's central promise: after forgetting, the model is bit for bit the one that never saw what was forgotten."""

from __future__ import annotations

import numpy as np
import pytest

from core.data.samples import Samples
from core.lmeraser.eraser import LMEraser
from core.runtime.executors import InlineExecutor, LocalExecutor
from core.workspace.proof import prove
from tests.conftest import tiny_config

pytestmark = pytest.mark.exactness

CASES = [(partition, prompt) for partition in ("hierarchical", "stable", "public", "random") for prompt in ("tokens", "padding", "none")]


def fit(samples, config, backbone, executor=None):
    return LMEraser(config, backbone, executor=executor).fit(samples)


def assert_exact(eraser):
    """Compare with a fit that is given only what remains, in another order."""
    rest = eraser.samples_
    shuffled = rest.take(np.random.default_rng(1).permutation(len(rest)))
    assert eraser.root_ == fit(shuffled, eraser.config_, eraser.backbone_).root_


def one_per_cluster(eraser, n):
    return [eraser.samples_.ids[eraser.partition_.members(c)[0]] for c in range(min(n, eraser.partition_.clusters))]


REQUESTS = {
    "one sample": lambda e: [e.samples_.ids[17]],
    "five in different clusters": lambda e: one_per_cluster(e, 5),
    "a whole cluster": lambda e: [e.samples_.ids[r] for r in e.partition_.members(0)],
    "a whole class": lambda e: [i for i, y in zip(e.samples_.ids, e.samples_.labels, strict=True) if y == 3],
    "an anchor": lambda e: [e.samples_.ids[e.partition_.anchors[0]] if len(e.partition_.anchors) else e.samples_.ids[0]],
    "one in every cluster": lambda e: one_per_cluster(e, 10**6),
}


@pytest.mark.parametrize(("partition", "prompt"), CASES)
def test_every_kind_of_request_is_exact(samples, backbone, partition, prompt):
    base = fit(samples.take(np.arange(60)), tiny_config(partition, prompt), backbone)
    for name, choose in REQUESTS.items():
        eraser = base.fork()
        before = eraser.root_
        outcome = eraser.forget(choose(eraser))
        assert outcome.root_before == before != outcome.root_after, name
        assert_exact(eraser)


def test_one_of_two_identical_images(samples, backbone, config):
    twice = samples.extended(samples.take([4]))
    for copy in (4, 120):
        eraser = fit(twice, config, backbone)
        plan = eraser.plan([twice.ids[copy]])
        assert plan.copies_left == (twice.ids[124 - copy],)
        eraser.forget(plan)
        assert_exact(eraser)
        assert eraser.root_ == fit(samples, config, backbone).root_


@pytest.mark.parametrize(
    ("partition", "prompt"), [("hierarchical", "tokens"), ("random", "padding"), ("hierarchical", "none"), ("stable", "tokens")]
)
def test_ten_requests_in_two_orders_end_in_the_same_root(samples, backbone, partition, prompt):
    data = samples.take(np.arange(60))
    base = fit(data, tiny_config(partition, prompt), backbone)
    chosen = [data.ids[r] for r in np.random.default_rng(3).choice(60, 10, replace=False)]
    there, back = base.fork(), base.fork()
    for i in chosen:
        there.forget([i])
    for i in reversed(chosen):
        back.forget([i])
    assert there.root_ == back.root_
    assert_exact(there)


@pytest.mark.slow
def test_order_and_process_of_the_first_fit_do_not_matter(samples, backbone, config):
    executor = LocalExecutor(2)
    try:
        roots = {fit(samples, config, backbone, e).root_ for e in (InlineExecutor(), InlineExecutor(backwards=True), executor)}
    finally:
        executor.close()
    assert len(roots) == 1


@pytest.mark.slow
def test_a_request_is_proved_in_another_process(samples, backbone, config):
    eraser = fit(samples, config, backbone)
    plan = eraser.plan([samples.ids[0]])
    eraser.forget(plan)
    assert plan.untouched
    proof = prove(eraser, samples, [samples.ids[0]], untouched=plan.untouched)
    assert proof.equal, proof.problems
    assert (proof.samples, proof.clean_samples, proof.untouched) == (119, 119, len(plan.untouched))
    assert proof.answers == 65  # the requested one and 64 others
    other = prove(eraser, samples, [samples.ids[1]], untouched=plan.untouched)
    assert not other.equal
    assert "holds other samples" in other.problems[0]


def test_the_root_tells_models_apart(samples, backbone, config):
    roots = {fit(samples.take(np.arange(n)), config, backbone).root_ for n in (30, 31, 32)}
    relabeled = Samples.build(samples.images[:30], (samples.labels[:30] + 1) % 10, samples.classes)
    assert len(roots | {fit(relabeled, config, backbone).root_}) == 4


def test_learning_and_forgetting_again_is_exact(samples, backbone, config):
    eraser = fit(samples.take(np.arange(60)), config, backbone)
    before = eraser.root_
    new = samples.take(np.arange(60, 70))
    eraser.learn(new)
    assert_exact(eraser)
    eraser.forget(new.ids)
    assert eraser.root_ == before


def test_derived_numbers_do_not_depend_on_company(samples, backbone):
    together, trunk = backbone.derive(samples.images, 1)
    alone, trunk_alone = backbone.derive(samples.images[100:101], 1)
    assert np.array_equal(together[100:101], alone)
    assert np.array_equal(trunk[100:101], trunk_alone)
