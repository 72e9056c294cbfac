"""What the README states, on all of digits with the embedded backbone."""

import numpy as np
import pytest

from core.benchmarks.baselines import one_prompt
from core.benchmarks.measure import bench_forget, linear_probe, nearest_neighbors, purity
from core.benchmarks.metrics import evaluate
from core.data.datasets import load_dataset
from core.lmeraser.eraser import LMEraser
from core.runtime.executors import LocalExecutor
from core.workspace.proof import prove
from tests.conftest import DATA, need

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def executor():
    executor = LocalExecutor(2)
    executor.warm_up("core.lmeraser.cluster_training")
    yield executor
    executor.close()


@pytest.fixture(scope="module")
def fitted(digits, executor):
    return LMEraser("fast", executor=executor).fit(digits.train)


@pytest.mark.exactness
def test_one_sample_costs_at_most_a_twentieth(digits, fitted):
    result = bench_forget(digits, fitted, 12)
    assert result["roots_equal"]
    assert result["clusters_retrained"]["median"] <= 2
    assert result["speedup"] >= 20


def test_accuracy_is_that_of_one_prompt_on_all_data(digits, fitted, executor):
    ours = evaluate(fitted, digits.test).test.accuracy
    single = LMEraser(one_prompt(fitted.config_, fitted.partition_.clusters), executor=executor).fit(digits.train)
    assert ours >= 0.98
    assert ours >= evaluate(single, digits.test).test.accuracy - 0.01


@pytest.mark.exactness
def test_fast_is_exact_against_a_clean_room_in_another_process(digits, fitted):
    eraser = fitted.fork()
    plan = eraser.plan([eraser.samples_.ids[r] for r in np.random.default_rng(0).choice(1437, 5, replace=False)])
    eraser.forget(plan)
    proof = prove(eraser, digits.train, plan.ids, untouched=plan.untouched)
    assert proof.equal, proof.problems


@pytest.mark.exactness
def test_paper_preset_learns_and_forgets_exactly(digits, executor):
    some = digits.train.take(np.arange(64))
    eraser = LMEraser("paper", executor=executor).fit(some)
    assert evaluate(eraser, digits.test.take(np.arange(64))).test.accuracy > 0.5
    eraser.forget(some.ids[:1])
    assert LMEraser("paper", executor=executor).fit(eraser.samples_).root_ == eraser.root_


@pytest.mark.data
def test_a_non_anchor_of_cifar10_touches_one_cluster(executor):
    need((DATA / "cifar10").is_dir(), "CIFAR-10 is not beside the project")
    data = load_dataset("cifar10", data_dir=DATA, limit=2000)
    eraser = LMEraser("fast", executor=executor).fit(data.train)
    anchors = set(eraser.partition_.anchors)
    row = next(r for r in range(len(data.train)) if r not in anchors)
    plan = eraser.plan([data.train.ids[row]])
    assert len(plan.retrain) == 1
    assert len(plan.touched) == 1


def test_feature_scores_tell_structure_from_noise(digits):
    rng = np.random.default_rng(0)
    labels = digits.train.labels[:300]
    good = rng.standard_normal((300, 10)).astype(np.float32) + 4 * np.eye(10, dtype=np.float32)[labels]
    noise = rng.standard_normal((300, 10)).astype(np.float32)
    for measure in (linear_probe, nearest_neighbors):
        assert measure(good[:200], labels[:200], good[200:], labels[200:]) > 0.9
        assert measure(noise[:200], labels[:200], noise[200:], labels[200:]) < 0.4
    some = digits.train.take(np.arange(300))
    assert purity(some, good) > purity(some, noise)
