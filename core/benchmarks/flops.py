"""Counts the FLOPs of training and of frozen features: PyTorch counts one real step, which is multiplied by how often it runs.

Counted: matrix products, convolutions and attention of backbone, prompts and heads, forward and backward, padding included, two FLOPs
for a multiply-add (`torch.utils.flop_counter`). A step is counted once for each batch size that occurs, on empty images: numbers do
not change the count. Not counted: element-wise work (normalization, activations, softmax, optimizer, resizing), the partition (clustering
and distances to prototypes), integer sums (of the global head, and of clusters without prompts) and what is solved from them, reading
and writing.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

from core.backbone.model import CHUNK, Backbone, BackboneSpec, load_backbone
from core.config import PromptConfig, TrainConfig
from core.lmeraser.cluster_training import MEASURED, ClusterJob, head_input
from core.lmeraser.prompts import initial_prompt, pixel_mask, trunk_block
from core.runtime.determinism import reproducible

# Attention on the CPU, which PyTorch's counter knows only in its newest versions; counted as it counts attention on a GPU.
ATTENTION = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: lambda q, k, v, *_, **__: sdpa_flop_count(q, k, v),
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: lambda grad, q, k, v, *_, **__: sdpa_backward_flop_count(
        grad, q, k, v
    ),
}


def counter() -> FlopCounterMode:
    """Return PyTorch's counter, taught attention on the CPU; it prints nothing."""
    return FlopCounterMode(display=False, custom_mapping=ATTENTION)


@dataclass(frozen=True)
class Recipe:
    """What decides the FLOPs of training a prompt and a head, besides the numbers of samples and steps."""

    backbone: BackboneSpec
    device: str
    prompt: PromptConfig
    train: TrainConfig
    classes: int

    @classmethod
    def of(cls, job: ClusterJob) -> Recipe:
        return cls(job.backbone, job.device, job.prompt, job.train, job.num_classes)


def counted(work: Callable[[], object]) -> int:
    """Return the FLOPs of running a function once."""
    with reproducible(), counter() as flops:
        work()
    return flops.get_total_flops()


def derivation_flops(backbone: Backbone, images: int) -> int:
    """Return the FLOPs of the frozen features and trunk activations of so many images, in padded batches."""
    return -(-images // CHUNK) * _derive_batch(backbone.spec, str(backbone.device))


def tuning_flops(recipe: Recipe, members: int, rows: int | None = None, steps: int | None = None, forwards: int = 0) -> int:
    """Return the FLOPs of `train_cluster` on so many members.

    `rows` (all members) are those that batches are drawn from, `steps` (the configured ones) how many are taken, and `forwards` how
    many batches went forward only.
    """
    if recipe.prompt.kind == "none":
        return 0
    batch = min(members if rows is None else rows, recipe.train.batch_size)
    steps = recipe.train.steps if steps is None else steps
    whole, rest = divmod(members, MEASURED)
    measured = whole * _forward(recipe, MEASURED) + _forward(recipe, rest)
    return members * _prepared(recipe) + measured + steps * _step(recipe, batch) + forwards * _forward(recipe, batch, head=True)


def whole_backbone_flops(backbone: Backbone, samples: int, epochs: int, batch: int, classes: int) -> int:
    """Return the FLOPs of training every weight of a backbone and a linear head."""
    step = lambda n: _whole_step(backbone.spec, str(backbone.device), classes, n)  # noqa: E731
    whole, rest = divmod(samples, batch)
    return epochs * (whole * step(batch) + step(rest))


def joint_flops(recipe: Recipe, steps: int, batch: int) -> int:
    """Return the FLOPs of joint training: at each step a batch goes through the backbone, then image by image with its prompt and back."""
    backbone = load_backbone(recipe.backbone, recipe.device)
    return steps * (derivation_flops(backbone, batch) + batch * _prompted_step(recipe))


# One piece of the work each, counted once


@lru_cache(maxsize=64)
def _derive_batch(spec: BackboneSpec, device: str) -> int:
    backbone = load_backbone(spec, device)
    return counted(lambda: backbone.derive(_images(backbone, 1), None))


@lru_cache(maxsize=64)
def _prepared(recipe: Recipe) -> int:
    """What is computed once for a member, whatever the prompt."""
    backbone, inputs, features = _members(recipe, 1)
    return counted(lambda: head_input(recipe.prompt, recipe.train, backbone, inputs, features))


@lru_cache(maxsize=1024)
def _forward(recipe: Recipe, rows: int, head: bool = False) -> int:
    """A batch on its way to the head's input, or through the head."""
    return counted(_tuned(recipe, rows, learned=False)[0 if head else 1]) if rows else 0


@lru_cache(maxsize=1024)
def _step(recipe: Recipe, rows: int) -> int:
    """A batch forward and backward."""
    logits, _ = _tuned(recipe, rows, learned=True)
    return counted(lambda: logits().sum().backward())


def _tuned(recipe: Recipe, rows: int, learned: bool) -> tuple[Callable, Callable]:
    """Return two functions: a fresh prompt and head on a batch, and the prompt alone; gradients reach both if they are `learned`."""
    backbone, inputs, features = _members(recipe, rows)
    forward = head_input(recipe.prompt, recipe.train, backbone, inputs, features)
    prompt = initial_prompt(recipe.prompt, backbone, torch.Generator().manual_seed(0)).requires_grad_(learned)
    width = backbone.dim + recipe.train.use_features * features.shape[1]
    weight = torch.zeros(recipe.classes, width, device=backbone.device, requires_grad=learned)
    pooled = lambda: forward(prompt, torch.arange(rows))  # noqa: E731
    return lambda: F.linear(pooled() * 1.0, weight), pooled  # in training, the head's input is scaled before it


def _members(recipe: Recipe, rows: int) -> tuple[Backbone, np.ndarray, np.ndarray]:
    """Return empty inputs and features of the shapes that training gets."""
    backbone = load_backbone(recipe.backbone, recipe.device)
    features = np.zeros((rows, backbone.feature_dim), np.float32)
    if recipe.prompt.kind == "tokens":
        shape = _trunk_shape(recipe.backbone, recipe.device, trunk_block(recipe.prompt, backbone))
        return backbone, np.zeros((rows, *shape), np.float16), features
    return backbone, _images(backbone, rows), features


@lru_cache(maxsize=64)
def _trunk_shape(spec: BackboneSpec, device: str, block: int | None) -> tuple[int, ...]:
    backbone = load_backbone(spec, device)
    _, trunk = backbone.derive(_images(backbone, 1), block)
    assert trunk is not None  # a block was named
    return trunk.shape[1:]


def _images(backbone: Backbone, n: int) -> np.ndarray:
    return np.zeros((n, backbone.size, backbone.size, 3), np.uint8)


@lru_cache(maxsize=64)
def _whole_step(spec: BackboneSpec, device: str, classes: int, rows: int) -> int:
    if not rows:
        return 0
    model = copy.deepcopy(load_backbone(spec, device))
    model.model.requires_grad_()
    head = torch.nn.Linear(model.dim, classes, device=model.device)
    pixels = model.pixels(_images(model, rows))
    return counted(lambda: head(model.forward_pixels(pixels)).sum().backward())


@lru_cache(maxsize=64)
def _prompted_step(recipe: Recipe) -> int:
    """One image with a pixel prompt, forward and backward to the prompt."""
    backbone = load_backbone(recipe.backbone, recipe.device)
    prompt = torch.zeros(3, backbone.size, backbone.size, device=backbone.device, requires_grad=True)
    weight = torch.zeros(recipe.classes, backbone.dim, device=backbone.device, requires_grad=True)
    pixels, mask = backbone.pixels(_images(backbone, 1)), pixel_mask(recipe.prompt, backbone)
    return counted(lambda: F.linear(backbone.forward_pixels(pixels + prompt * mask) * 1.0, weight).sum().backward())
