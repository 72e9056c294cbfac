import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from core.backbone.model import ASSETS, Backbone, BackboneSpec, load_backbone, read_manifest, verified_asset
from core.backbone.timm_compat import import_timm
from core.config import PromptConfig
from core.errors import BackboneError, InputError
from core.lmeraser.prompts import check_prompt, pixel_mask, prompted
from tests.conftest import TINY


def test_features_and_trunk_have_the_stated_shapes(backbone, samples):
    features, trunk = backbone.derive(samples.images[:3], 1)
    assert features.shape == (3, backbone.feature_dim)
    assert features.dtype == np.float32
    assert trunk.shape == (3, 4, backbone.dim)
    assert trunk.dtype == np.float16
    assert backbone.derive(samples.images[:0], None)[0].shape == (0, backbone.feature_dim)


@pytest.mark.parametrize("readout", ["prompts", "patches"])
def test_late_forward_is_the_whole_forward_with_tokens_inserted(backbone, samples, readout):
    pixels = backbone.normalized(backbone.pixels(samples.images[:3]))
    prompt = torch.randn(2, backbone.dim, generator=torch.Generator().manual_seed(0))
    tokens = backbone.embed(pixels)
    trunk = backbone.model.blocks[0](tokens)
    x = backbone.model.blocks[1](torch.cat([prompt.expand(3, -1, -1), trunk], 1))
    whole = torch.nn.functional.layer_norm(x[:, :2], (backbone.dim,)).mean(1) if readout == "prompts" else backbone.pool(x[:, 2:])
    late = backbone.late(trunk, 1, readout)(prompt, slice(None))
    assert torch.allclose(late, whole, atol=1e-5)
    rows = torch.tensor([2, 0])
    assert torch.allclose(backbone.late(trunk, 1, readout)(prompt, rows), whole[rows], atol=1e-5)


def test_the_shortcut_for_the_last_block_equals_the_general_path(backbone, samples):
    trunk = torch.from_numpy(backbone.derive(samples.images[:4], 1)[1]).float()
    prompt = torch.randn(3, backbone.dim, generator=torch.Generator().manual_seed(1))
    general = backbone._late_full(trunk, 1, "prompts", prompt)
    assert torch.allclose(backbone._late_last(trunk)(prompt, slice(None)), general, atol=1e-5)


def test_zero_pixel_prompts_change_nothing(backbone, samples):
    pixels = backbone.pixels(samples.images[:2])
    plain = backbone.forward_pixels(pixels)
    for config in (PromptConfig("padding", 2), PromptConfig("patch", 4)):
        assert torch.equal(prompted(config, backbone, pixels)(torch.zeros(3, 16, 16), slice(None)), plain)


def test_masks_are_a_frame_and_a_corner(backbone):
    assert pixel_mask(PromptConfig("padding", 2), backbone).sum() == 16 * 16 - 12 * 12
    assert pixel_mask(PromptConfig("patch", 4), backbone).sum() == 16


@pytest.mark.parametrize(
    "config",
    [
        PromptConfig("frame"),
        PromptConfig("padding", 8),
        PromptConfig("patch", 0),
        PromptConfig("tokens", 65),
        PromptConfig("tokens", 1, block=2),
    ],  # noqa: E501
)
def test_prompts_that_do_not_fit_are_refused(backbone, config):
    with pytest.raises(InputError):
        check_prompt(config, backbone)


def test_gradients_reach_prompts_and_nothing_else(backbone, samples):
    prompt = torch.zeros(3, 16, 16, requires_grad=True)
    prompted(PromptConfig("padding", 2), backbone, backbone.pixels(samples.images[:2]))(prompt, slice(None))[:, 0].sum().backward()
    assert prompt.grad.abs().sum() > 0
    assert not any(p.requires_grad for p in backbone.parameters())


def test_embedded_weights_are_checked_against_the_manifest(tmp_path):
    shutil.copytree(ASSETS, tmp_path / "assets")
    name = "backbone.safetensors"
    assert verified_asset(name, tmp_path / "assets").is_file()
    data = bytearray((tmp_path / "assets" / name).read_bytes())
    data[-1] ^= 1
    (tmp_path / "assets" / name).write_bytes(data)
    with pytest.raises(BackboneError, match="manifest says"):
        verified_asset(name, tmp_path / "assets")
    with pytest.raises(BackboneError, match="not among the assets"):
        verified_asset("other.safetensors", tmp_path / "assets")
    with pytest.raises(BackboneError, match="is missing"):
        read_manifest(tmp_path)


def test_assets_stay_within_their_limits():
    manifest = json.loads((ASSETS / "manifest.json").read_text())
    assert (ASSETS / "backbone.safetensors").stat().st_size + (ASSETS / "prototypes.safetensors").stat().st_size <= 12e6
    assert sum(p.stat().st_size for p in ASSETS.rglob("*") if p.is_file()) <= 25e6
    for name in manifest["sha256"]:
        verified_asset(name)


def test_the_embedded_backbone_gives_whitened_features(digits):
    embedded = load_backbone("embedded")
    features, trunk = embedded.derive(digits.train.images[:8], embedded.depth - 1)
    assert features.shape == (8, 768)
    assert trunk.shape == (8, 36, 192)
    assert np.isfinite(features).all()
    assert embedded.public_prototypes().shape == (256, 768)


def test_a_device_that_is_not_here_is_named():
    with pytest.raises(BackboneError, match="device 'nonsense' cannot be used here"):
        load_backbone("embedded", "nonsense")


def test_every_spelling_of_a_backbone_gives_the_same_object():
    backbone = load_backbone(TINY)  # the shared one may have been loaded before many others
    spellings = [(TINY,), (TINY, "cpu"), (TINY, torch.device("cpu")), (TINY, "cpu:0"), (TINY, torch.device("cpu", 0))]
    assert all(load_backbone(*how) is backbone for how in spellings)
    assert load_backbone(spec=replace(TINY), device="cpu") is backbone
    named = [load_backbone(), load_backbone("embedded"), load_backbone(BackboneSpec(), "cpu"), load_backbone("embedded", "cpu:0")]
    assert len({id(b) for b in named}) == 1


def test_unknown_and_unreachable_names_say_what_works_offline(monkeypatch):
    with pytest.raises(BackboneError, match="has no model"):
        load_backbone("no_such_model")

    def refuse(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr(import_timm(), "create_model", refuse)
    with pytest.raises(BackboneError, match="works offline"):
        load_backbone("vit_base_patch16_224.augreg_in21k")


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
def test_timm_families_fit_the_same_interface(name, samples):
    model = import_timm().create_model(name, pretrained=False, num_classes=0)
    big = Backbone(BackboneSpec(name), model, 224, [0.5] * 3, [0.5] * 3)
    with torch.inference_mode():
        pixels = big.pixels(samples.images[:1])
        assert big.forward_pixels(pixels).shape == (1, big.dim)
    assert big.public_prototypes() is None
    if big.has_tokens:
        with torch.inference_mode():
            trunk = big._features_and_trunk(pixels, big.depth - 1)[1]
            late = big.late(trunk, big.depth - 1, "patches")(torch.zeros(1, big.dim), slice(None))
        assert late.shape == (1, big.dim)
    else:
        check_prompt(PromptConfig("tokens"), big)
        with torch.inference_mode():
            features, trunk = big._features_and_trunk(pixels, 0)
            prompt = torch.zeros(big.prompt_shape(4))
            forward = big.late(trunk, 0, "prompts")
            assert torch.allclose(forward(prompt, slice(None)), features, atol=1e-5)
            assert not torch.allclose(forward(prompt + 1, slice(None)), features, atol=1e-3)
        with pytest.raises(InputError, match="block 3 does not exist"):
            check_prompt(PromptConfig("tokens", block=3), big)
