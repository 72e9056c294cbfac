"""Draws public images from a seed, so that any backbone can have a codebook: crops of scikit-learn's two sample photographs, recolored
ones, and waves. Neither fonts nor files of the project are involved.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

KINDS = 3


def pattern_images(n: int, size: int) -> np.ndarray:
    """Return n images (n, size, size, 3) uint8; image i depends on i and size alone."""
    from sklearn.datasets import load_sample_images

    photographs = [np.asarray(image) for image in load_sample_images().images]
    draw = (_crop, _recolored, _waves)
    return np.stack([draw[i % KINDS](photographs, size, np.random.default_rng([0, i])) for i in range(n)])


def _crop(photographs: list[np.ndarray], size: int, rng: np.random.Generator) -> np.ndarray:
    """Return a square part of one of the photographs, sometimes mirrored."""
    picture = photographs[rng.integers(len(photographs))]
    height, width = picture.shape[:2]
    side = int(rng.integers(32, min(height, width) + 1))
    top, left = rng.integers(height - side + 1), rng.integers(width - side + 1)
    part = picture[top : top + side, left : left + side]
    part = part[:, ::-1] if rng.random() < 0.5 else part
    tensor = torch.from_numpy(np.ascontiguousarray(part)).permute(2, 0, 1)[None].float()
    resized = F.interpolate(tensor, (size, size), mode="bicubic", antialias=True, align_corners=False)
    return resized[0].permute(1, 2, 0).clamp(0, 255).round().byte().numpy()


def _recolored(photographs: list[np.ndarray], size: int, rng: np.random.Generator) -> np.ndarray:
    """Return a crop whose color channels are exchanged, stretched and partly inverted, or two tones of it."""
    crop = _crop(photographs, size, rng)[..., rng.permutation(3)].astype(float)
    if rng.random() < 0.5:
        tone = crop.mean(2, keepdims=True)
        crop = np.where(tone > np.median(tone), rng.integers(0, 256, 3), rng.integers(0, 256, 3)).astype(float)
    crop = (crop - 128) * rng.uniform(0.5, 2, 3) * rng.choice([-1, 1], 3) + 128
    return crop.clip(0, 255).round().astype(np.uint8)


def _waves(photographs: list[np.ndarray], size: int, rng: np.random.Generator) -> np.ndarray:
    """Return a field of a few waves between two colors, smooth or with hard edges."""
    y, x = np.mgrid[:size, :size] / size
    count = int(rng.integers(1, 6))
    frequencies, phases = rng.normal(0, rng.uniform(3, 40), (count, 2)), rng.uniform(0, 2 * np.pi, count)
    field = sum(np.cos(fx * x + fy * y + phase) for (fx, fy), phase in zip(frequencies, phases, strict=True)) / count
    weight = (field > rng.uniform(-0.5, 0.5)).astype(float) if rng.random() < 0.6 else (field + 1) / 2
    first, second = rng.integers(0, 256, (2, 3))
    return (first * (1 - weight[..., None]) + second * weight[..., None]).round().astype(np.uint8)
