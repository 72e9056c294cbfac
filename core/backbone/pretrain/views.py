"""Augmentations on the device: crops, colors, and mixing on the grid of tokens."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from core.backbone.pretrain.config import PretrainConfig


def random_affine(x: torch.Tensor, size: int, config: PretrainConfig, rng: torch.Generator) -> torch.Tensor:
    """Crop, stretch, rotate and mirror each image of x (b, 3, s, s) on its own; return (b, 3, size, size)."""
    b = len(x)
    draw = lambda: torch.rand(b, generator=rng, device=rng.device)  # noqa: E731
    uniform = lambda low, high: draw() * (high - low) + low  # noqa: E731
    side = uniform(config.min_area, 1.0).sqrt()
    aspect = torch.exp(uniform(-0.25, 0.25))
    angle = uniform(-config.degrees, config.degrees) * math.pi / 180 * (draw() < 0.5)
    flip = torch.where(draw() < 0.5, -1.0, 1.0)
    sx, sy = side * aspect, side / aspect
    shift_x, shift_y = uniform(-1, 1) * (1 - sx).clamp(min=0), uniform(-1, 1) * (1 - sy).clamp(min=0)
    first = torch.stack([flip * sx * torch.cos(angle), -sy * torch.sin(angle), shift_x], 1)
    second = torch.stack([flip * sx * torch.sin(angle), sy * torch.cos(angle), shift_y], 1)
    grid = F.affine_grid(torch.stack([first, second], 1).to(x.device), [b, 3, size, size], align_corners=False)
    return F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)


def recolor(x: torch.Tensor, config: PretrainConfig, rng: torch.Generator) -> torch.Tensor:
    """Turn some images of x (b, 3, s, s), values in 0..1, grey, into their edges, or inverted; vary contrast, brightness and tint."""
    b = len(x)
    draw = lambda *shape: torch.rand(b, *shape, 1, 1, generator=rng, device=rng.device).to(x.device)  # noqa: E731
    grey = x.mean(1, keepdim=True).expand_as(x)
    x = grey + (x - grey) * (0.6 + 0.8 * draw(1))
    x = torch.where(draw(1) < config.grey, grey, x)
    dx = F.pad(grey[..., 1:] - grey[..., :-1], (0, 1, 0, 0))
    dy = F.pad(grey[..., 1:, :] - grey[..., :-1, :], (0, 0, 0, 1))
    x = torch.where(draw(1) < config.edges, (4 * (dx.square() + dy.square()).sqrt()).clamp(0, 1), x)
    x = ((x - 0.5) * (0.65 + 0.7 * draw(1)) + 0.5 + 0.3 * draw(1) - 0.15).clamp(0, 1)
    return torch.where(draw(1) < config.invert, 1 - x, x)


def make_views(images: torch.Tensor, size: int, config: PretrainConfig, rng: torch.Generator) -> torch.Tensor:
    """Return one augmented view of each image (b, 3, s, s) uint8 as floats in 0..1, (b, 3, size, size)."""
    return recolor(random_affine(images.float() / 255, size, config, rng), config, rng)


def normalize(x: torch.Tensor) -> torch.Tensor:
    """Return pixels 0..1 as the student takes them."""
    return ((x - 0.5) / 0.25).contiguous(memory_format=torch.channels_last)


def cutmix_mask(b: int, grid: int, probability: float, rng: torch.Generator) -> torch.Tensor:
    """Return (b, grid, grid) bool: one box of cells an image, empty with probability 1 - `probability`.

    Boxes end on the grid of tokens, so token targets can be cut exactly as the pixels are.
    """
    draw = lambda: torch.rand(b, 1, generator=rng, device=rng.device)  # noqa: E731
    cells = torch.arange(grid, device=rng.device)

    def inside() -> torch.Tensor:
        length = (1 + draw() * (grid - 1)).floor()
        start = (draw() * (grid - length + 1)).floor()
        return (cells >= start) & (cells < start + length)

    rows, columns = inside(), inside()
    return rows[:, :, None] & columns[:, None, :] & (draw() < probability)[:, :, None]


def cut(x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Paste the masked cells of the batch's mirror image into x (b, c, h, w); `mask` is (b, grid, grid)."""
    cell = x.shape[-1] // mask.shape[-1]
    fine = mask.repeat_interleave(cell, 1).repeat_interleave(cell, 2)
    return torch.where(fine[:, None].to(x.device), x.flip(0), x)


def blend(y: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mix rows of y (b, d) with the batch's mirror image by the share of masked cells."""
    share = mask.flatten(1).float().mean(1, keepdim=True).to(y.device)
    return torch.lerp(y, y.flip(0), share.to(y.dtype))
