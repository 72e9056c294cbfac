from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from core.config import PRESETS, PromptConfig, TrainConfig, preset, prompt_of_kind
from core.errors import InputError
from core.lmeraser.cluster_training import ClusterJob, ParameterGroup, batches, cluster_key, optimize, recipe_digest, train_cluster
from core.lmeraser.global_head import expand
from tests.conftest import TINY


def job(backbone, samples, key="0" * 64, n=12, **changes):
    features, trunk = backbone.derive(samples.images[:n], 1)
    base = ClusterJob(key, TINY, "cpu", trunk, features, samples.labels[:n], 10, PromptConfig(), TrainConfig(steps=20))
    return replace(base, **changes)


def test_same_key_same_bytes_other_key_other_bytes(backbone, samples):
    one, two = (train_cluster(job(backbone, samples)) for _ in range(2))
    assert one.digest == two.digest
    assert train_cluster(job(backbone, samples, key="f" * 64)).digest != one.digest


def test_another_seed_gives_other_keys_and_the_first_is_part_of_none(backbone):
    recipes = {recipe_digest(backbone, PromptConfig(), TrainConfig(seed=seed), 10) for seed in (0, 0, 1, 2)}
    assert len(recipes) == 3
    assert TrainConfig().recipe() == {name: value for name, value in asdict(TrainConfig()).items() if name != "seed"}


def test_thread_count_of_the_caller_does_not_matter(backbone, samples):
    threads = torch.get_num_threads()
    digests = set()
    for n in (1, 2):
        torch.set_num_threads(n)
        digests.add(train_cluster(job(backbone, samples)).digest)
        assert torch.get_num_threads() == n
    torch.set_num_threads(threads)
    assert len(digests) == 1


@pytest.mark.parametrize("use_features", [True, False])
def test_training_fits_its_members(backbone, samples, use_features):
    state = train_cluster(job(backbone, samples, train=TrainConfig(steps=150, use_features=use_features)))
    assert state.losses[-1] < 0.5 * state.losses[0]
    assert state.sample_passes == 150 * 12
    assert state.tensors["prompt"].shape == (4, backbone.dim)
    assert np.abs(state.tensors["prompt"]).sum() > 0


def test_one_image_alone_can_be_trained_on(backbone, samples):
    state = train_cluster(job(backbone, samples, n=1))
    assert np.isfinite(state.tensors["head.weight"]).all()


def test_without_a_prompt_the_state_is_the_sums_of_each_class(backbone, samples):
    state = train_cluster(job(backbone, samples, prompt=prompt_of_kind("none")))
    features, labels = backbone.derive(samples.images[:12], None)[0], samples.labels[:12]
    assert state.tensors["classes"].tolist() == sorted(set(labels.tolist()))
    assert state.sample_passes == state.tensors["counts"].sum() == 12
    for label, total in zip(state.tensors["classes"], state.tensors["sums"], strict=True):
        assert np.array_equal(total, expand(features[labels == label]).sum(0))
    order = np.random.default_rng(0).permutation(12)
    moved = train_cluster(job(backbone, samples.take(order), prompt=prompt_of_kind("none")))
    assert moved.digest == state.digest


def test_keys_cover_members_and_recipe(backbone):
    recipe = recipe_digest(backbone, PromptConfig(), TrainConfig(), 10)
    others = {
        recipe_digest(backbone, PromptConfig(size=5), TrainConfig(), 10),
        recipe_digest(backbone, PromptConfig(), TrainConfig(steps=1), 10),
        recipe_digest(backbone, PromptConfig(), TrainConfig(), 11),
    }
    assert len(others | {recipe}) == 4
    assert cluster_key(recipe, ["b", "a"]) == cluster_key(recipe, ["a", "b"]) != cluster_key(recipe, ["a", "b", "b"])


def test_batches_pass_over_all_members_before_repeating():
    rng = torch.Generator().manual_seed(0)
    rows = torch.cat(list(batches(10, TrainConfig(steps=5, batch_size=4), rng)))
    assert len(rows) == 20
    assert len(set(rows[:8].tolist())) == 8
    assert [len(b) for b in batches(3, TrainConfig(steps=2), rng)] == [3, 3]


def test_presets_have_names():
    assert set(PRESETS) == {"fast", "paper", "instant"}
    assert [preset(name).prompt.kind for name in ("fast", "paper", "instant")] == ["tokens", "padding", "none"]
    for wrong in (preset, prompt_of_kind):
        with pytest.raises(InputError):
            wrong("best")


def test_steps_are_those_of_pytorchs_optimizer():
    rng = torch.Generator().manual_seed(0)
    x, y, start = (torch.randn(shape, generator=rng) for shape in ((40, 5), (40, 7), (6, 7)))
    ours, theirs = ([start[:5].clone().requires_grad_(), start[5].clone().requires_grad_()] for _ in range(2))
    drawn = [torch.randperm(40, generator=rng)[:16] for _ in range(30)]

    def loss_of(parameters):
        return lambda rows: (x[rows] @ parameters[0] + parameters[1] - y[rows]).square().mean()

    optimize(loss_of(ours), [ParameterGroup([ours[0]], 0.1, 0.0), ParameterGroup([ours[1]], 0.03, 0.2)], drawn, 30)
    groups = [{"params": [theirs[0]], "lr": 0.1, "weight_decay": 0.0}, {"params": [theirs[1]], "lr": 0.03, "weight_decay": 0.2}]
    optimizer = torch.optim.AdamW(groups)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 30)
    for rows in drawn:
        loss_of(theirs)(rows).backward()
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(ours, theirs, strict=True))
    assert (ours[0] - start[:5]).abs().max() > 0.1
