import itertools
import json
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from core.backbone.model import BackboneSpec, _embedded
from core.backbone.pretrain.config import PretrainConfig, PretrainFiles
from core.backbone.pretrain.export import export, whitening
from core.backbone.pretrain.optim import Muon, orthogonalize, rate_factor
from core.backbone.pretrain.procedural import CHARACTERS, CLASSES, draw_images, fonts_for
from core.backbone.pretrain.run import Pretrainer, pretrain
from core.backbone.pretrain.student import Student, Views, divergence, student_loss
from core.backbone.pretrain.teacher import Teacher, adapt, load_teacher, save_teacher
from core.backbone.pretrain.views import blend, cut, cutmix_mask, random_affine, recolor
from core.backbone.vit import VisionTransformer
from core.backbone.vit_config import ViTConfig
from core.errors import DataError

CPU = torch.device("cpu")
SHAPE = ViTConfig(image_size=16, dim=32, depth=2, heads=2, stem_widths=(8, 16, 32), stem_residuals=1)
CONFIG = PretrainConfig(steps=4, batch_size=8, views=64, reuse=2, procedural=12, bf16=False, model=SHAPE)
GUIDED = replace(CONFIG, teacher_steps=1, teacher_batch=4, teacher_size=32, anchor_size=32)


def quiet(_):
    """Say nothing."""


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


def noise(n=32):
    rng = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (n, 3, 16, 16), dtype=torch.uint8, generator=rng), torch.arange(n) % 2


def weights(run):
    return {k: v.clone() for k, v in run.average.state_dict().items()}


def far():
    return time.perf_counter() + 1000


@pytest.mark.slow
def test_a_run_resumes_with_every_weight_moment_and_its_place(tmp_path):
    images, labels = noise()
    run = Pretrainer(CONFIG, 2, CPU)
    views = Views(images, labels, None, 2, CONFIG)
    for _ in range(2):
        run.step(views, 0.5)
    run.save(tmp_path / "half.safetensors")
    other = Pretrainer(CONFIG, 2, CPU)
    other.resume(tmp_path / "half.safetensors")
    assert other.step_number == 2
    for each in (run, other):
        each.train(Views(images, labels, None, 2, CONFIG), far(), quiet)
    assert run.step_number == 4
    assert all(torch.equal(v, weights(other)[k]) for k, v in weights(run).items())


def test_the_same_steps_repeat_a_run_and_fill_its_log(public, tmp_path):
    for name in ("a", "b"):
        figures = pretrain(PretrainFiles(public, tmp_path / name), CONFIG, CPU, say=quiet)
        assert figures["step"] == 4
    a, b = ((tmp_path / name / "weights.safetensors").read_bytes()[-4096:] for name in ("a", "b"))
    assert a == b
    phases = [json.loads(line)["phase"] for line in (tmp_path / "a" / "log.jsonl").read_text().splitlines()]
    assert phases == ["data", "student"]


@pytest.mark.slow
def test_wall_time_ends_a_run_with_the_lowest_rate(monkeypatch):
    clock = itertools.count()  # a second passes at every look
    monkeypatch.setattr("core.backbone.pretrain.run.time.perf_counter", lambda: float(next(clock)))
    config = replace(CONFIG, steps=0, reuse=4)
    run = Pretrainer(config, 2, CPU)
    run.train(Views(*noise(), None, 2, config), 40.0, quiet)
    assert 40 < next(clock) < 60
    assert run.step_number > 2
    assert run.optimizers[0].param_groups[0]["lr"] < 0.2 * config.muon_lr


def test_a_warm_restart_begins_with_the_earlier_runs_averaged_weights(public, tmp_path):
    pretrain(PretrainFiles(public, tmp_path / "first"), CONFIG, CPU, say=quiet)
    first = tmp_path / "first" / "weights.safetensors"
    run = Pretrainer(replace(CONFIG, seed=1), 2 + CLASSES, CPU)
    run.start_from(first)
    assert torch.equal(run.average.pos_embed, run.student.vit.pos_embed)
    assert (run.step_number, run.earlier[0]["steps_done"], run.earlier[0]["seed"]) == (0, 4, 0)
    pretrain(PretrainFiles(public, tmp_path / "second", init=first), replace(CONFIG, seed=1), CPU, say=quiet)
    manifest = export(tmp_path / "second" / "weights.safetensors", public, tmp_path / "assets", (0, 1), feature_dim=16, prototypes=4)
    assert [r["steps_done"] for r in manifest["pretraining"]["earlier"]] == [4]
    with pytest.raises(DataError, match="--init"):
        pretrain(PretrainFiles(public, tmp_path / "third", init=tmp_path / "none"), CONFIG, CPU, say=quiet)


def test_other_settings_and_missing_files_are_refused(public, tmp_path):
    Pretrainer(CONFIG, 2, CPU).save(tmp_path / "a.safetensors")
    with pytest.raises(DataError, match="other settings"):
        Pretrainer(replace(CONFIG, seed=1), 2, CPU).resume(tmp_path / "a.safetensors")
    with pytest.raises(DataError, match="--data"):
        pretrain(PretrainFiles(tmp_path / "nowhere", tmp_path / "out"), CONFIG, CPU)
    with pytest.raises(DataError, match="--teacher"):
        pretrain(PretrainFiles(public, tmp_path / "out", teacher=tmp_path / "none"), CONFIG, CPU, say=quiet)
    save_file({"x": torch.zeros(1)}, tmp_path / "x.safetensors")
    with pytest.raises(DataError, match="does not fit"):
        load_teacher(tmp_path / "x.safetensors", 2, CPU)


def test_exported_weights_load_as_the_embedded_backbone(public, tmp_path):
    pretrain(PretrainFiles(public, tmp_path / "run"), CONFIG, CPU, say=quiet)
    manifest = export(tmp_path / "run" / "checkpoint.safetensors", public, tmp_path / "assets", (0, 1), feature_dim=16, prototypes=4)
    assert json.loads((tmp_path / "assets" / "manifest.json").read_text()) == manifest
    loaded = _embedded(BackboneSpec("embedded"), tmp_path / "assets")
    features, _ = loaded.derive(np.zeros((3, 16, 16, 3), np.uint8), None)
    assert features.shape == (3, 16)


@pytest.mark.slow
def test_an_adapted_teacher_answers_views_and_its_targets_teach(tmp_path):
    torch.manual_seed(0)
    save_file(Teacher(2).net.state_dict(), tmp_path / "raw.safetensors")
    images, labels = noise(8)
    adapted = adapt(load_teacher(tmp_path / "raw.safetensors", 2, CPU), images, labels, GUIDED, quiet)
    save_teacher(adapted, tmp_path / "adapted.safetensors")
    views = Views(images, labels, load_teacher(tmp_path / "adapted.safetensors", 2, CPU), 2, GUIDED)
    views.refill(torch.Generator().manual_seed(0))
    _, targets = views.draw(torch.Generator().manual_seed(0))
    shapes = {k: tuple(v.shape) for k, v in targets.items()}
    assert shapes == {"answers": (8, 2), "anchors": (8, 1000), "pooled": (8, 1280), "labels": (8, 2), "tokens": (8, 4, 112)}
    run = Pretrainer(GUIDED, 2, CPU)
    losses = run.step(views, 0.5)
    assert (losses > 0).all()


def test_losses_vanish_for_a_student_that_says_what_its_targets_say():
    class Parrot(torch.nn.Module):
        def forward(self, x):
            return {k: targets[k].clamp(min=1e-9).log() if k in ("labels", "answers", "anchors") else targets[k] for k in targets}

    pooled, tokens = torch.randn(4, 6), torch.randn(4, 4, 3)
    hot = torch.eye(2)[torch.tensor([0, 1, 0, 1])]
    targets = {"labels": hot, "answers": hot, "anchors": hot, "pooled": pooled, "tokens": tokens}
    config = replace(CONFIG, label_smoothing=0.0, temperature=1.0)
    assert student_loss(Parrot(), torch.zeros(4, 3, 16, 16), targets, config).abs().max() < 1e-5
    targets["pooled"], spoiled = pooled, {**targets, "pooled": -pooled}
    assert student_loss(Parrot(), torch.zeros(4, 3, 16, 16), spoiled, config)[4] > 1.9
    assert divergence(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]])) == pytest.approx(np.log(2))


def test_the_stem_keeps_its_grid_and_old_shapes_their_weights():
    assert VisionTransformer(SHAPE).patch_embed.proj(torch.zeros(1, 3, 16, 16)).shape == (1, 32, 2, 2)
    plain = set(VisionTransformer(replace(SHAPE, stem_residuals=0)).state_dict())
    assert "patch_embed.proj.9.weight" in plain
    assert set(Student(CONFIG, 2).vit.state_dict()) > {"patch_embed.proj.6.conv.weight"}


def test_augmentations_keep_shape_and_range():
    rng = torch.Generator().manual_seed(0)
    x = torch.rand(8, 3, 16, 16, generator=rng)
    y = random_affine(x, 8, CONFIG, rng)
    assert y.shape == (8, 3, 8, 8)
    z = recolor(y, replace(CONFIG, grey=1.0, edges=0.5, invert=0.5), rng)
    assert z.min() >= 0
    assert z.max() <= 1
    assert torch.allclose(z[:, 0], z[:, 1])


def test_a_pasted_box_ends_on_the_grid_and_labels_follow_its_area():
    rng = torch.Generator().manual_seed(0)
    mask = cutmix_mask(64, 4, 1.0, rng)
    assert mask.flatten(1).any(1).all()
    assert not cutmix_mask(8, 4, 0.0, rng).any()
    x = torch.arange(64).float()[:, None, None, None].expand(64, 1, 16, 16)
    y = blend(torch.arange(64).float()[:, None], mask)
    assert torch.allclose(cut(x, mask).mean((2, 3)), y, atol=1e-4)


def test_drawn_images_repeat_and_differ_by_class():
    images, labels = draw_images(CLASSES + 2, 16, seed=3)
    again, _ = draw_images(4, 16, seed=3)
    assert np.array_equal(images[:4], again)
    assert labels[-1] == 1 and labels.max() == CLASSES - 1
    assert not np.array_equal(images[0], images[CLASSES])
    assert images.reshape(len(images), -1).std(1).min() > 0
    assert all(fonts_for(character) for character in CHARACTERS)


def test_muon_steps_by_orthogonal_updates_whatever_shares_the_batch():
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(3, 8, 32, generator=rng)
    spectrum = torch.linalg.svdvals(orthogonalize(x))
    assert spectrum.min() > 0.5 and spectrum.max() < 1.4
    params = [torch.nn.Parameter(torch.zeros(8, 4)) for _ in range(2)]
    for p in params:
        p.grad = torch.randn(8, 4, generator=rng)
    Muon(params, lr=0.1, weight_decay=0.0).step()
    alone = torch.nn.Parameter(torch.zeros(8, 4))
    alone.grad = params[1].grad
    Muon([alone], lr=0.1, weight_decay=0.0).step()
    assert torch.allclose(alone, params[1], atol=1e-3)
    assert (alone * alone.grad).sum() < 0


def test_the_rate_rises_then_falls_to_nearly_nothing():
    rates = [rate_factor(d, 0.1, 0.1) for d in (0.0, 0.05, 0.1, 0.5, 0.9, 1.0)]
    assert rates[0] < rates[1] < rates[2]
    assert rates[2] > rates[3] > rates[4]
    assert rates[4] == pytest.approx(1e-3) == rates[5]


def test_whitened_features_have_unit_variance():
    raw = torch.randn(500, 6, generator=torch.Generator().manual_seed(0)) @ torch.diag(torch.arange(1.0, 7)) + 3
    s = whitening(raw, 4)
    z = (raw - s["center"].float()) @ (s["projection"].float() * s["gain"])
    assert torch.allclose(z.std(0), torch.ones(4), atol=0.05)
