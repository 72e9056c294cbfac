import doctest
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.base import clone, is_classifier
from sklearn.model_selection import cross_val_score

from core.benchmarks.metrics import evaluate
from core.data.samples import Samples
from core.errors import CancelledError, InputError, NotFittedError, StalePlanError, UnknownSampleError
from core.lmeraser import eraser as module
from core.lmeraser.eraser import PROBED, LMEraser
from core.lmeraser.state_store import DirectoryStore, MemoryStore
from core.lmeraser.time_estimate import RECENT
from core.runtime.executors import InlineExecutor
from tests.conftest import tiny_config

pytestmark = pytest.mark.exactness


@pytest.fixture
def eraser(samples, backbone, config):
    return LMEraser(config, backbone).fit(samples)


def test_unfitted_use_is_refused(backbone, config):
    for use in (lambda e: e.plan(["a"]), lambda e: e.predict(np.zeros((1, 8, 8), np.uint8)), lambda e: e.root_):
        with pytest.raises(NotFittedError):
            use(LMEraser(config, backbone))


def test_fit_takes_arrays_as_scikit_learn_does(samples, backbone, config):
    model = LMEraser(config, backbone).fit(samples.images, samples.labels)
    assert model.predict(samples.images[:5]).shape == (5,)
    assert np.allclose(model.predict_proba(samples.images[:5]).sum(1), 1)
    assert model.root_ == LMEraser(config, backbone).fit(samples).root_


def test_the_plan_is_what_runs(eraser):
    plan = eraser.plan(eraser.samples_.ids[:3])
    outcome = eraser.forget(plan)
    assert outcome.trained == plan.retrain
    assert eraser.keys_ == plan.keys
    assert set(plan.untouched) | set(plan.retrain) == set(eraser.keys_)
    assert plan.predicted_seconds > 0
    assert len(eraser.samples_) == 117


def test_planning_changes_nothing(eraser):
    before, keys = eraser.root_, set(eraser._store.keys())
    eraser.plan(eraser.samples_.ids[:50])
    assert eraser.root_ == before
    assert set(eraser._store.keys()) == keys


def test_a_stale_plan_is_refused(eraser):
    plan = eraser.plan(eraser.samples_.ids[:1])
    eraser.forget(eraser.samples_.ids[1:2])
    with pytest.raises(StalePlanError, match="Plan again"):
        eraser.forget(plan)


def test_a_plan_for_other_rows_is_refused(eraser):
    """The root does not tell in which order the samples are; a plan's rows do."""
    first, second = eraser.samples_.ids[:2]
    samples, plan = eraser.samples_, eraser.plan([first])
    eraser.forget([second])
    eraser.learn(samples.take(samples.rows([second])))
    assert eraser.root_ == plan.root
    for act in (eraser.forget, eraser.block):
        with pytest.raises(StalePlanError, match="another order"):
            act(plan)
    assert set(eraser.samples_.ids) == set(samples.ids)


@pytest.mark.parametrize("ids", [[], ["nonsense"], ["", ""], [3]])
def test_bad_ids_are_refused(eraser, ids):
    with pytest.raises(InputError):
        eraser.plan(ids)


def test_an_id_forgotten_twice_is_unknown_the_second_time(eraser):
    first = eraser.samples_.ids[0]
    with pytest.raises(InputError, match="repeated"):
        eraser.plan([first, first])
    eraser.forget([first])
    root = eraser.root_
    with pytest.raises(UnknownSampleError, match="already forgotten"):
        eraser.forget([first])
    assert eraser.root_ == root


def test_a_class_that_vanishes_is_never_predicted_with_confidence(eraser, samples):
    threes = [i for i, y in zip(samples.ids, samples.labels, strict=True) if y == 3]
    eraser.forget(threes)
    proba = eraser.predict_proba(samples.images)
    assert proba.shape[1] == 10
    assert (proba.argmax(1) != 3).all()


def test_a_cluster_that_empties_is_gone(eraser):
    before = eraser.partition_.clusters
    size = np.bincount(eraser.partition_.assignment)
    cluster = int(size.argmin())
    eraser.forget([eraser.samples_.ids[r] for r in eraser.partition_.members(cluster)])
    assert eraser.partition_.clusters <= before
    assert (np.bincount(eraser.partition_.assignment) > 0).all()


def test_one_image_left_in_all(eraser, samples):
    eraser.forget(samples.ids[1:])
    assert eraser.partition_.clusters == 1
    assert eraser.predict(samples.images[:1])[0] == samples.labels[0]


def test_all_data_forgotten_leaves_a_model_that_knows_nothing(eraser, samples, digits):
    eraser.forget(samples.ids)
    assert np.allclose(eraser.predict_proba(samples.images[:4]), 0.1)
    assert not list(eraser._store.keys())
    assert not eraser._derived.entries
    assert evaluate(eraser, digits.test.take(np.arange(20))).retained.accuracy is None
    eraser.learn(samples.take(np.arange(10)))
    assert len(eraser.samples_) == 10


def test_what_only_the_old_model_used_is_deleted(eraser):
    gone = eraser.samples_.ids[5]
    evaluate(eraser, eraser.samples_.take(np.arange(4)))
    outcome = eraser.forget([gone])
    assert outcome.dropped
    assert set(eraser._store.keys()) == set(eraser.keys_) == set(eraser.states_)
    digest = gone.split("-")[0]
    assert digest not in eraser._derived.entries
    assert all(digest not in known for known in eraser._answers._known.values())


def test_forks_do_not_disturb_each_other(eraser):
    one, two = eraser.fork(), eraser.fork()
    root = eraser.root_
    one.forget(one.samples_.ids[:10])
    assert eraser.root_ == two.root_ == root != one.root_
    assert len(two.samples_) == 120
    two.forget(two.samples_.ids[:10])
    assert two.outcome_.trained == one.outcome_.trained
    assert two.root_ == one.root_


def test_cancelling_leaves_the_model_as_it_was(eraser):
    event, root, keys = threading.Event(), eraser.root_, set(eraser._store.keys())
    ids = [eraser.samples_.ids[eraser.partition_.members(c)[0]] for c in range(eraser.partition_.clusters)]
    with pytest.raises(CancelledError):
        eraser.forget(ids, progress=lambda p: event.set(), cancel=event)
    assert eraser.root_ == root
    assert set(eraser._store.keys()) == keys
    eraser.forget(ids)


def test_a_second_start_trains_nothing(samples, backbone, config, tmp_path):
    first = LMEraser(config, backbone, DirectoryStore(tmp_path)).fit(samples)
    again = LMEraser(config, backbone, DirectoryStore(tmp_path)).fit(samples)
    assert again.root_ == first.root_
    assert not again.outcome_.trained
    assert len(again.outcome_.reused) == again.partition_.clusters


def test_features_kept_in_a_file_serve_a_second_start(samples, backbone, config, tmp_path):
    first = LMEraser(config, backbone, MemoryStore()).fit(samples)
    first.save_features(tmp_path / "features.safetensors")
    again = LMEraser(config, backbone, first.store)
    assert again.load_features(tmp_path / "features.safetensors")
    again.fit(samples)
    assert again.root_ == first.root_
    again.forget(samples.ids[:1])
    first.forget(samples.ids[:1])
    assert again.root_ == first.root_


@pytest.fixture
def saved(backbone, samples, tmp_path):
    """A model with late tokens, and the file of its features and activations."""
    model = LMEraser(tiny_config(), backbone, MemoryStore()).fit(samples)
    model.save_features(tmp_path / "features.safetensors")
    return model, tmp_path / "features.safetensors"


def loaded(model, path):
    again = LMEraser(model.config_, model.backbone_, model.store)
    assert again.load_features(path)
    return again.fit(model.samples_)


def test_a_loaded_model_reads_the_activations_that_a_request_needs(saved):
    model, path = saved
    again, ids = loaded(model, path), model.samples_.ids[:2]
    assert not any(entry.trunk is not None for entry in again._derived.entries.values())
    copy = again.fork()
    copy.forget(ids)
    again.forget(ids)
    model.forget(ids)
    assert again.root_ == copy.root_ == model.root_
    assert again.derived_images_ == copy.derived_images_ == 0
    assert len(again._derived.saved_rows) == len(again.samples_)


@pytest.mark.parametrize("gone", ["deleted", "others"])
def test_activations_whose_file_has_changed_are_computed(saved, gone, samples):
    model, path = saved
    again, ids = loaded(model, path), model.samples_.ids[:2]
    if gone == "deleted":
        path.unlink()
    else:  # other images at the same places
        LMEraser(model.config_, model.backbone_).fit(samples.take(np.arange(3, len(samples)))).save_features(path)
    again.forget(ids)
    model.forget(ids)
    assert again.root_ == model.root_
    assert again.derived_images_ > 0


def test_full_retraining_is_measured_and_equal(eraser):
    eraser.forget(eraser.samples_.ids[:2])
    control, outcome = eraser.full_retraining()
    assert control.root_ == eraser.root_
    assert not outcome.reused
    assert outcome.seconds.total > 0
    n = len(eraser.samples_)
    assert eraser.plan(eraser.samples_.ids[:1]).predicted_full_seconds == pytest.approx(outcome.seconds.total * (n - 1) / n)
    assert eraser.plan(eraser.samples_.ids).predicted_full_seconds == 0


def test_training_does_not_depend_on_global_randomness(samples, backbone, config):
    torch.manual_seed(1)
    one = LMEraser(config, backbone).fit(samples)
    torch.manual_seed(2)
    state = torch.random.get_rng_state()
    two = LMEraser(config, backbone).fit(samples)
    assert one.root_ == two.root_
    assert torch.equal(state, torch.random.get_rng_state())


def test_new_classes_or_sizes_cannot_be_learned(eraser, samples):
    other = Samples.build(np.zeros((1, 9, 9), np.uint8), [0], samples.classes)
    with pytest.raises(InputError, match="size"):
        eraser.learn(other)


def test_similar_images_are_others_nearest_by_feature(eraser):
    first = eraser.samples_.ids[0]
    found = eraser.similar([first], 5)
    features = eraser.member_features() / np.linalg.norm(eraser.member_features(), axis=1, keepdims=True)
    cosines = dict(zip(eraser.samples_.ids, features @ features[0], strict=True))
    assert len(set(found)) == 5 and first not in found
    assert min(cosines[i] for i in found) >= sorted(cosines.values())[-6] - 1e-4
    assert eraser.similar(first, 5) == found
    eraser.forget(found[:1])
    assert found[0] not in eraser.similar([first], 119)


def test_similar_to_nothing_or_to_what_is_gone_is_refused(eraser):
    with pytest.raises(UnknownSampleError):
        eraser.similar(["gone"])
    with pytest.raises(InputError, match="0 ids"):
        eraser.similar([])
    with pytest.raises(InputError, match="count is 0"):
        eraser.similar(eraser.samples_.ids[:1], 0)


def test_the_plan_says_how_sure_its_seconds_are(eraser):
    plan = eraser.plan(eraser.samples_.ids[:1])
    low, high = plan.predicted_range
    assert 0 < low <= plan.predicted_seconds <= high
    assert plan.measured_clusters == eraser.partition_.clusters == plan.summary()["measured_clusters"]


def test_it_is_a_scikit_learn_classifier(samples, backbone, config):
    store = MemoryStore()
    model = LMEraser(config, backbone, store).fit(samples)
    assert is_classifier(model)
    assert model.get_params() == {"config": config, "backbone": backbone, "store": store, "executor": None}
    assert model.classes_.tolist() == list(range(10))
    assert model.score(samples.images, samples.labels) == (model.predict(samples.images) == samples.labels).mean() > 0.5


def test_a_clone_is_unfitted_and_shares_what_must_not_be_copied(samples, backbone, config):
    model = LMEraser(config, backbone, MemoryStore(), InlineExecutor()).fit(samples)
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    with pytest.raises(NotFittedError):
        _ = copy.root_
    assert hasattr(model, "classes_") and not hasattr(copy, "classes_")
    assert copy.set_params(config="paper").config == "paper"
    assert model.config == config


def test_it_can_be_cross_validated(samples, backbone, config):
    assert (cross_val_score(LMEraser(config, backbone), samples.images, samples.labels, cv=2) > 0.3).all()


def test_an_adopted_model_gets_its_root(eraser):
    before = eraser.root_
    eraser.adopt(replace(eraser.model_, head=None))
    assert eraser.root_ == eraser.recomputed_root() != before


@pytest.mark.slow
def test_the_example_in_the_docstring_runs():
    assert doctest.testmod(module, raise_on_error=True).attempted > 5


def test_copies_and_full_retraining_share_the_pace(eraser):
    before = eraser.plan(eraser.samples_.ids[:1])
    copy = eraser.fork()
    for _ in range(RECENT):  # another program takes the machine
        copy._pace.note(replace(next(iter(eraser.states_.values())), seconds=100.0), alone=False)
    assert eraser.pace_ == copy.pace_ > 10
    after = eraser.plan(eraser.samples_.ids[:1])
    assert after.predicted_full_seconds == pytest.approx(before.predicted_full_seconds * eraser.pace_ / eraser._full[1])
    eraser.full_retraining()  # of 8 clusters
    assert eraser.pace_ < 10


def test_a_loaded_model_sees_its_pace_before_the_first_request(saved):
    model, path = saved
    again = loaded(model, path)
    assert not again._pace.clusters
    root = again.root_
    again.prepare_plans()
    assert len(again._pace.clusters) == PROBED
    assert again.root_ == root
    again.prepare_plans()
    assert len(again._pace.clusters) == PROBED


def test_a_plan_counts_the_activations_that_its_request_computes(saved):
    model, path = saved
    again, ids = loaded(model, path), model.samples_.ids[:1]
    again._derived.seconds_per_image = model._derived.seconds_per_image = 10.0
    assert again.plan(ids).predicted_seconds < 10  # they are in the file
    again._derived.saved_rows.clear()
    plan = again.plan(ids)
    assert plan.samples_to_retrain * 10 <= plan.predicted_seconds < plan.samples_to_retrain * 11
    assert model.plan(ids).predicted_seconds < 10
