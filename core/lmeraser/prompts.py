"""Visual prompts: the inputs that each cluster learns for the frozen backbone, and how an image passes through it with one.

`padding` adds a learned frame to the pixels (the paper's prompt; Bahng et al., arXiv 2203.17274), `patch` a learned square in the corner.
`tokens` are learned tokens before block b (VPT, arXiv 2203.12119); in a backbone without a plain token sequence, an offset on the border
of the map that enters its last stage. Of kind `none` there is no prompt.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from core.backbone.model import Backbone
from core.config import PromptConfig
from core.errors import InputError

KINDS = ("padding", "patch", "tokens", "none")


def check_prompt(config: PromptConfig, backbone: Backbone) -> None:
    """Raise InputError when the prompt does not fit the backbone."""
    if config.kind not in KINDS:
        raise InputError(f"prompt kind {config.kind!r} is not one of {', '.join(KINDS)}.")
    if config.kind == "none":
        return
    if config.readout not in ("prompts", "patches"):
        raise InputError(f"readout {config.readout!r} is not prompts or patches.")
    limit = {"padding": backbone.size // 2 - 1, "patch": backbone.size, "tokens": 64}[config.kind]
    if not 1 <= config.size <= limit:
        raise InputError(f"a {config.kind} prompt of size {config.size} does not fit; use 1 to {limit}.")
    if config.kind == "tokens":
        backbone.resolve_block(config.block)


def trunk_block(config: PromptConfig, backbone: Backbone) -> int | None:
    """Return the block whose input is constant per sample and can be cached, or None when the prompt is on the pixels."""
    return backbone.resolve_block(config.block) if config.kind == "tokens" else None


def initial_prompt(config: PromptConfig, backbone: Backbone, rng: torch.Generator) -> torch.Tensor:
    """Return a fresh prompt: zeros (3, s, s) on the pixels, small noise (p, dim) for tokens, drawn on the CPU."""
    if config.kind == "tokens":
        prompt = 0.02 * torch.randn(backbone.prompt_shape(config.size), generator=rng)
    else:
        prompt = torch.zeros(3, backbone.size, backbone.size)
    return prompt.to(backbone.device)


def pixel_mask(config: PromptConfig, backbone: Backbone) -> torch.Tensor:
    """Return (1, s, s): 1 where a pixel prompt is learned, 0 elsewhere."""
    mask = torch.zeros(1, backbone.size, backbone.size, device=backbone.device)
    if config.kind == "patch":
        mask[:, : config.size, : config.size] = 1
    else:
        mask[:] = 1
        mask[:, config.size : -config.size, config.size : -config.size] = 0
    return mask


def drawable(config: PromptConfig, backbone: Backbone, prompt: np.ndarray) -> np.ndarray:
    """Return a cluster's prompt for drawing: tokens as they are (p, dim), pixel prompts as offsets (s, s, 3) that are 0 off the mask."""
    if config.kind == "tokens":
        return prompt
    return (prompt * pixel_mask(config, backbone).cpu().numpy()).transpose(1, 2, 0)


def prompted(config: PromptConfig, backbone: Backbone, inputs: torch.Tensor) -> Callable:
    """Return (prompt, rows) -> pooled outputs (len(rows), dim) of those rows of fixed inputs, with one prompt for all or one for each.

    inputs: trunk activations (n, t, dim) for tokens, pixels (n, 3, s, s) in 0..1 otherwise.
    """
    if config.kind == "tokens":
        return backbone.late(inputs, backbone.resolve_block(config.block), config.readout)
    mask = pixel_mask(config, backbone)
    return lambda prompt, rows: backbone.forward_pixels(inputs[rows] + prompt * mask)
