"""Backbones by timm: from a checkpoint file, with the late prompt of each kind of architecture, exact like the embedded one."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from core.backbone.last_stage import LastStage
from core.backbone.model import Backbone, BackboneSpec, input_size, load_backbone
from core.backbone.timm_compat import import_timm
from core.backbone.timm_models import timm_model
from core.config import preset
from core.data.datasets import load_dataset
from core.errors import BackboneError, InputError
from core.lmeraser.eraser import LMEraser
from core.workspace.proof import prove
from tests.core.data.makers import png

STAGED = ("convnext_atto", "swin_tiny_patch4_window7_224", "tf_efficientnet_lite0")


def random_model(name: str, **more):
    torch.manual_seed(0)
    return import_timm().create_model(name, pretrained=False, num_classes=0, **more)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """Return what makes a safetensors file of random weights of an architecture, once, and returns its name for `load_backbone`."""
    folder, made = tmp_path_factory.mktemp("weights"), {}

    def name_of(architecture: str) -> str:
        if architecture not in made:
            made[architecture] = folder / f"{architecture}.safetensors"
            save_file(random_model(architecture).state_dict(), made[architecture])
        return f"{architecture}:{made[architecture]}"

    return name_of


@pytest.mark.slow
@pytest.mark.parametrize("architecture", STAGED)
def test_fast_forgets_exactly_on_every_family(checkpoint, digits, architecture, monkeypatch):
    config = preset("fast")
    config = replace(config, train=replace(config.train, steps=2), partition=replace(config.partition, method="hierarchical", clusters=3))
    proved = architecture == "tf_efficientnet_lite0"
    if not proved:  # another process would not know of it
        monkeypatch.setattr("core.backbone.model.CHUNK", 8)
    backbone, samples = load_backbone(checkpoint(architecture)), digits.train.take(np.arange(16))
    model = LMEraser(config, backbone).fit(samples)
    states = [model.states_[key].tensors["prompt"] for key in model.keys_]
    assert len(states) == 3
    assert all(state.shape == (len(backbone.last_stage.positions), backbone.last_stage.shape[-1]) for state in states)
    gone = samples.ids[:2]
    before = model.root_
    model.forget(gone)
    assert before != model.root_ == LMEraser(config, backbone).fit(samples.without(gone)).root_
    assert not proved or prove(model, samples, gone).equal


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18", "mobilenetv3_small_050", "poolformer_s12", "mixer_s32_224", "densenet121"])
def test_a_late_prompt_enters_many_families(name):
    model = random_model(name).eval()
    size = model.pretrained_cfg["input_size"][-1]
    stage = LastStage(model, torch.full((1, 3, size, size), 0.1))
    with torch.no_grad():
        pooled, trunk = stage.features(torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1)))
        prompt = torch.zeros(len(stage.positions), stage.shape[-1])
        assert torch.allclose(stage.late(trunk)(prompt, slice(None)), pooled, atol=1e-4)
        own = stage.late(trunk)(torch.stack([prompt, prompt + 3]), slice(None))
        assert torch.allclose(own[0], pooled[0], atol=1e-4)
        if name != "mixer_s32_224":  # random layer norms hide an equal offset
            assert not torch.allclose(own[1], pooled[1], atol=1e-4)


@pytest.mark.slow
def test_a_family_that_cannot_be_cut_says_what_works():
    model = random_model("levit_128s").eval()
    with pytest.raises(InputError, match="Use a padding or patch prompt"):
        LastStage(model, torch.zeros(1, 3, 224, 224))


def test_the_prompt_of_a_checkpoint_learns(checkpoint, digits):
    backbone = load_backbone(checkpoint("tf_efficientnet_lite0"))
    _, trunk = backbone.derive(digits.train.images[:2], 0)
    prompt = torch.zeros(backbone.prompt_shape(4), requires_grad=True)
    backbone.late(torch.from_numpy(trunk).float(), 0, "prompts")(prompt, torch.arange(2)).sum().backward()
    assert prompt.grad is not None and bool((prompt.grad != 0).any(1).all())


def test_images_are_stored_at_the_backbones_size(checkpoint, tmp_path):
    from core.data.imports.options import ImportOptions

    for i in range(6):
        (tmp_path / "cat").mkdir(exist_ok=True)
        (tmp_path / "cat" / f"{i}.png").write_bytes(png(i, 300 + i))
    side = input_size(checkpoint("convnext_atto"))
    assert side == 224
    assert load_dataset(str(tmp_path), options=ImportOptions(side)).train.images.shape[1:] == (224, 224, 3)


def test_a_local_folder_as_timm_writes_it(tmp_path):
    model = random_model("resnet18")
    folder = tmp_path / "mine"
    folder.mkdir()
    settings = {"input_size": [3, 64, 64], "mean": [0.5] * 3, "std": [0.2] * 3, "license": "mit", "num_classes": 0, "classifier": "fc"}
    described = {"architecture": "resnet18", "num_classes": 0, "num_features": 512, "pretrained_cfg": settings}
    (folder / "config.json").write_text(json.dumps(described))
    save_file(model.state_dict(), folder / "model.safetensors")
    found = timm_model(f"local-dir:{folder}")
    assert (found.size, found.mean, found.std, found.license) == (64, [0.5] * 3, [0.2] * 3, "mit")
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), found.model.state_dict().values(), strict=True))
    spec = BackboneSpec(f"local-dir:{folder}")
    assert isinstance(load_backbone(spec), Backbone) and input_size(spec.name) == 64


def test_a_folder_that_timm_saved_is_read_with_its_classifier_left_out_and_nothing_is_unpickled(tmp_path):
    import timm

    model = timm.create_model("resnet18", pretrained=False, num_classes=7)
    timm.models.save_for_hf(model, tmp_path / "saved", model_config={"num_classes": 7}, safe_serialization="both")
    found = timm_model(f"local-dir:{tmp_path / 'saved'}").model
    assert torch.equal(found.layer4[1].conv2.weight, model.layer4[1].conv2.weight) and found.num_classes == 0
    (tmp_path / "saved" / "model.safetensors").unlink()
    with pytest.raises(BackboneError, match="model.safetensors cannot be read"):
        timm_model(f"local-dir:{tmp_path / 'saved'}")  # pytorch_model.bin lies there, too
    described = json.loads((tmp_path / "saved" / "config.json").read_text())
    (tmp_path / "saved" / "config.json").write_text(json.dumps(described | {"architecture": "no_such_net"}))
    with pytest.raises(BackboneError, match="names no architecture"):
        timm_model(f"local-dir:{tmp_path / 'saved'}")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet18:nowhere.safetensors", "cannot be read"),
        ("resnet18:weights.bin", "not a .safetensors file"),
        ("no_such_net:x.safetensors", "timm has no model 'no_such_net'"),
        ("local-dir:nowhere", "describes no timm model"),
        ("embedded:x.safetensors", "timm has no model"),
    ],
)
def test_what_cannot_be_loaded_is_said_in_words(name, message):
    with pytest.raises(BackboneError, match=message):
        load_backbone(name)


def test_weights_of_another_architecture_are_refused(checkpoint, tmp_path):
    path = tmp_path / "x.safetensors"
    save_file(random_model("convnext_atto").state_dict(), path)
    with pytest.raises(BackboneError, match="weights that this architecture lacks"):
        load_backbone(f"resnet18:{path}")
    path.write_bytes(b"junk")
    with pytest.raises(BackboneError, match="cannot be read"):
        load_backbone(f"resnet18:{path}")
