import numpy as np

from core.lmeraser.eraser import LMEraser
from core.lmeraser.fitted_model import FILLED_CACHES, PlanCache


def test_an_array_is_made_once():
    cache, made = PlanCache(), []
    for _ in range(2):
        assert cache.get("a", lambda: (made.append(1), np.ones(3))[1]).sum() == 3
    assert made == [1]


def test_few_caches_hold_anything_and_the_one_used_last_does():
    caches, made = [PlanCache() for _ in range(FILLED_CACHES + 2)], []
    for i in [*range(FILLED_CACHES + 2), FILLED_CACHES + 1, 0]:
        caches[i].get("a", lambda i=i: (made.append(i), np.zeros(1))[1])
    assert made == [*range(FILLED_CACHES + 2), 0]


def test_a_plan_cache_goes_with_its_model(samples, backbone, config):
    base = LMEraser(config, backbone).fit(samples)
    base.prepare_plans()
    fork = base.fork()
    assert fork.model_.plan_cache is base.model_.plan_cache
    fork.forget([samples.ids[0], samples.ids[1]])
    assert not fork.model_.plan_cache._arrays
    assert len(base.model_.plan_cache._arrays["unit features"][0]) == len(samples)


def test_plans_on_a_prepared_model_are_those_of_a_fresh_one(samples, backbone, config):
    base = LMEraser(config, backbone).fit(samples)
    base.prepare_plans()
    anchors = base.partition_.anchors
    for rows in (anchors[:1], anchors[::2], np.arange(0, 120, 7)):
        ids = [samples.ids[r] for r in rows]
        plan, fresh = base.plan(ids), LMEraser(config, backbone).fit(samples.without(ids))
        assert plan.keys == fresh.keys_
        assert np.array_equal(plan.partition.prototypes, fresh.partition_.prototypes)
