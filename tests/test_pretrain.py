import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from core.backbone import BackboneSpec, _embedded
from core.errors import DataError
from core.pretrain import PretrainConfig, Pretrainer, cutmix, export, pretrain, random_affine, recolor, whitening
from core.vit import ViTConfig

SHAPE = ViTConfig(image_size=16, dim=32, depth=2, heads=2, stem_widths=(8, 16, 32), drop_path=0.1)
CONFIG = PretrainConfig(epochs=2, low_res_epochs=1, low_res=8, batch_size=16, warmup_steps=2, bf16=False, model=SHAPE)


@pytest.fixture
def public(tmp_path):
    """A small parquet set in the Hugging Face layout: bright and dark noise."""
    import datasets
    from PIL import Image

    rng = np.random.default_rng(0)
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["dark", "bright"])})
    for name, n in (("train-00000-of-00001", 64), ("valid", 32)):
        labels = [i % 2 for i in range(n)]
        images = [Image.fromarray((rng.random((16, 16, 3)) * 100 + 150 * y).astype(np.uint8)) for y in labels]
        datasets.Dataset.from_dict({"image": images, "label": labels}, features=features).to_parquet(tmp_path / f"{name}.parquet")
    return tmp_path


def weights(run):
    return {k: v.clone() for k, v in run.average.state_dict().items()}


def test_a_run_resumes_where_it_stood_and_ends_the_same(public, tmp_path):
    device = torch.device("cpu")
    whole = pretrain(public, tmp_path / "whole", CONFIG, device, say=lambda _: None)
    images, labels = np.zeros((32, 3, 16, 16), np.uint8), np.arange(32) % 2
    run = Pretrainer(CONFIG, 2, 2, device)
    run.run_epoch(images, labels)
    run.save(tmp_path / "half.safetensors")
    other = Pretrainer(CONFIG, 2, 2, device)
    other.resume(tmp_path / "half.safetensors")
    for each in (run, other):
        each.run_epoch(images, labels)
    assert all(torch.equal(v, weights(other)[k]) for k, v in weights(run).items())
    assert whole["epoch"] == 2
    assert len((tmp_path / "whole" / "log.jsonl").read_text().splitlines()) == 2


def test_a_warm_restart_begins_with_the_earlier_runs_averaged_weights(public, tmp_path):
    device, quiet = torch.device("cpu"), lambda _: None
    pretrain(public, tmp_path / "first", CONFIG, device, say=quiet, stop_after=1)
    first = tmp_path / "first" / "checkpoint.safetensors"
    run = Pretrainer(replace(CONFIG, seed=1), 2, 4, device)
    run.start_from(first)
    earlier = Pretrainer(CONFIG, 2, 4, device)
    earlier.resume(first)
    assert all(torch.equal(v, weights(earlier)[k]) for k, v in weights(run).items())
    assert (run.epoch, run.earlier[0]["epochs_done"], run.earlier[0]["seed"]) == (0, 1, 0)
    second = pretrain(public, tmp_path / "second", replace(CONFIG, seed=1), device, say=quiet, init=first)
    assert second["epoch"] == 2
    manifest = export(tmp_path / "second" / "checkpoint.safetensors", public, tmp_path / "assets", (0, 1), feature_dim=16, prototypes=4)
    assert [r["epochs_done"] for r in manifest["pretraining"]["earlier"]] == [1]
    with pytest.raises(DataError, match="--init"):
        pretrain(public, tmp_path / "third", CONFIG, device, say=quiet, init=tmp_path / "none")


def test_other_settings_and_missing_data_are_refused(public, tmp_path):
    run = Pretrainer(CONFIG, 2, 2, torch.device("cpu"))
    run.save(tmp_path / "a.safetensors")
    with pytest.raises(DataError, match="other settings"):
        Pretrainer(replace(CONFIG, seed=1), 2, 2, torch.device("cpu")).resume(tmp_path / "a.safetensors")
    with pytest.raises(DataError, match="--data"):
        pretrain(tmp_path / "nowhere", tmp_path / "out", CONFIG, torch.device("cpu"))


def test_exported_weights_load_as_the_embedded_backbone(public, tmp_path):
    pretrain(public, tmp_path / "run", CONFIG, torch.device("cpu"), say=lambda _: None)
    manifest = export(tmp_path / "run" / "checkpoint.safetensors", public, tmp_path / "assets", (0, 1), feature_dim=16, prototypes=4)
    assert json.loads((tmp_path / "assets" / "manifest.json").read_text()) == manifest
    loaded = _embedded(BackboneSpec("embedded"), tmp_path / "assets")
    features, _ = loaded.derive(np.zeros((3, 16, 16, 3), np.uint8), None)
    assert features.shape == (3, 16)


def test_augmentations_keep_shape_and_range():
    rng = torch.Generator().manual_seed(0)
    x = torch.rand(8, 3, 16, 16, generator=rng)
    y = random_affine(x, 8, CONFIG, rng)
    assert y.shape == (8, 3, 8, 8)
    z = recolor(y, replace(CONFIG, grey=1.0, edges=0.5, invert=0.5), rng)
    assert z.min() >= 0
    assert z.max() <= 1
    assert torch.allclose(z[:, 0], z[:, 1])
    mixed, labels = cutmix(x, torch.eye(8), 1.0, rng)
    assert mixed.shape == x.shape
    assert torch.allclose(labels.sum(1), torch.ones(8))


def test_whitened_features_have_unit_variance():
    raw = torch.randn(500, 6, generator=torch.Generator().manual_seed(0)) @ torch.diag(torch.arange(1.0, 7)) + 3
    s = whitening(raw, 4)
    z = (raw - s["center"].float()) @ (s["projection"].float() * s["gain"])
    assert torch.allclose(z.std(0), torch.ones(4), atol=0.05)
