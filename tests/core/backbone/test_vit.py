"""The embedded architecture is timm's, bit for bit, without timm's import."""

import subprocess
import sys

import pytest
import torch

from core.backbone.timm_compat import import_timm
from core.backbone.vit import VisionTransformer, conv_stem
from core.backbone.vit_config import ViTConfig
from tests.conftest import ROOT

CONFIG = ViTConfig(stem_residuals=1)


@pytest.fixture(scope="module")
def pair():
    """Our model and timm's, with the same random weights, and images."""
    import_timm()
    from timm.models.vision_transformer import VisionTransformer as Timm

    shape = {"img_size": CONFIG.image_size, "patch_size": CONFIG.patch_size, "embed_dim": CONFIG.dim, "depth": CONFIG.depth}
    other = Timm(**shape, num_heads=CONFIG.heads, num_classes=7, class_token=False, global_pool="avg", dynamic_img_size=True)
    other.patch_embed.proj = conv_stem(CONFIG.stem_widths, CONFIG.dim, CONFIG.stem_residuals)
    ours = VisionTransformer(CONFIG, 7)
    ours.load_state_dict(other.state_dict())  # strict: the same names and shapes
    return ours.eval(), other.eval(), torch.randn(9, 3, 48, 48).contiguous(memory_format=torch.channels_last)


def test_tokens_pooled_output_and_logits_are_equal(pair):
    ours, other, x = pair
    with torch.inference_mode():
        assert torch.equal(ours.forward_features(x), other.forward_features(x))
        tokens = torch.randn(9, 36, CONFIG.dim)
        assert torch.equal(ours.forward_head(tokens, pre_logits=True), other.forward_head(tokens, pre_logits=True))
        assert torch.equal(ours(x), other(x))
    assert ours(x).abs().max() > 0


def test_gradients_are_equal(pair):
    gradients = []
    for model in pair[:2]:
        x = pair[2].clone().requires_grad_()
        model(x).square().sum().backward()
        gradients.append(x.grad)
    assert torch.equal(*gradients) and gradients[0].abs().max() > 0


def test_a_branch_is_left_out_in_training_alone_and_keeps_its_mean():
    torch.manual_seed(0)
    block = VisionTransformer(ViTConfig(drop_path=0.5)).blocks[-1]
    ones = torch.ones(4000, 1, 1)
    assert torch.equal(block.eval()._dropped(ones), ones)
    dropped = block.train()._dropped(ones)
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert dropped.mean().item() == pytest.approx(1, abs=0.06)


@pytest.mark.slow
def test_the_embedded_backbone_loads_neither_timm_nor_a_compiler():
    code = (
        "import sys, numpy as np; from core.backbone.model import load_backbone; b = load_backbone('embedded');"
        "b.derive(np.zeros((2, 48, 48, 3), np.uint8), 5);"
        "print(b._plain_last_block(), {'timm', 'torchvision', 'torch._dynamo'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True set()"
