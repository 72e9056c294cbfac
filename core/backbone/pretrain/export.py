"""Writes a run's averaged weights as the embedded backbone, with the statistics that whiten its features."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from core.backbone.pretrain.config import PretrainConfig, model_from_json
from core.backbone.pretrain.images import load_images
from core.backbone.pretrain.run import pick, read_meta
from core.backbone.pretrain.views import recolor
from core.backbone.vit import VisionTransformer


def export(
    checkpoint: Path, data: Path, assets: Path, feature_blocks: tuple[int, ...] = (3, 4, 5), feature_dim: int = 768, prototypes: int = 256
) -> dict:
    """Write the averaged weights of a checkpoint into `assets` and return the manifest.

    backbone.safetensors: fp16 weights and the features' statistics, whitened principal components of public images.
    prototypes.safetensors: k-means centers of public features for the `public` partition. manifest.json: shape, SHA-256 of
    both, how they were made.
    """
    from sklearn.cluster import MiniBatchKMeans

    from core.backbone.model import Backbone, BackboneSpec

    meta = read_meta(checkpoint)
    config = meta["config"]
    shape = model_from_json(config["model"])
    weights = pick(load_file(checkpoint), "average.")
    weights = {k: v.half() if v.is_floating_point() else v for k, v in weights.items() if not k.startswith("head.")}
    model = VisionTransformer(shape)
    model.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in weights.items()})
    images = _public_sample(data, shape.image_size, config["seed"])
    bare = Backbone(BackboneSpec("embedded"), model, shape.image_size, [0.5] * 3, [0.25] * 3, feature_blocks)
    raw = torch.from_numpy(bare.derive(images, None)[0])
    statistics = whitening(raw, feature_dim)
    standardized = ((raw - statistics["center"].float()) @ (statistics["projection"].float() * statistics["gain"])).numpy()
    standardized /= np.linalg.norm(standardized, axis=1, keepdims=True)
    centers = MiniBatchKMeans(prototypes, random_state=config["seed"], n_init=3).fit(standardized).cluster_centers_
    assets.mkdir(parents=True, exist_ok=True)
    save_file(weights | {f"feature.{k}": v for k, v in statistics.items()}, assets / "backbone.safetensors")
    save_file({"prototypes": torch.from_numpy(centers).half()}, assets / "prototypes.safetensors")
    manifest = {
        "model": shape.to_json(),
        "feature_blocks": list(feature_blocks),
        "pretraining": {
            **config,
            "steps_done": meta["step"],
            "student_seconds": meta["seconds"],
            "earlier": meta["earlier"],
        },
        "sha256": {n: hashlib.sha256((assets / n).read_bytes()).hexdigest() for n in ("backbone.safetensors", "prototypes.safetensors")},
    }
    (assets / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    return manifest


def whitening(raw: torch.Tensor, dim: int) -> dict[str, torch.Tensor]:
    """Return center (r,) and projection (r, dim) in fp16 and gain (dim,) in fp32 that whiten raw features (n, r).

    Each raw number counts by its own spread; the leading principal components are scaled to variance 1.
    """
    center, scale = raw.mean(0).half(), raw.std(0) + 1e-6
    x = ((raw - center.float()) / scale).double()
    variances, vectors = torch.linalg.eigh(x.T @ x / len(x))
    vectors = (vectors.flip(1)[:, :dim] / scale[:, None]).float()
    norm = vectors.norm(dim=0)
    return {
        "center": center,
        "projection": (vectors / norm).half().contiguous(),
        "gain": (norm / variances.flip(0)[:dim].sqrt().float()).contiguous(),
    }


def _public_sample(data: Path, size: int, seed: int, n: int = 10000) -> np.ndarray:
    """Public images (n, s, s, 3) uint8, half of them recolored, so that strokes and grey images are not outliers."""
    images, _ = load_images([data / "valid.parquet"], size)
    rng = torch.Generator().manual_seed(seed)
    x = torch.from_numpy(images[torch.randperm(len(images), generator=rng)[:n].numpy()]).float() / 255
    strong = PretrainConfig(invert=0.3, grey=0.4, edges=0.3)
    x[n // 2 :] = recolor(x[n // 2 :], strong, rng)
    return (x * 255).round().byte().permute(0, 2, 3, 1).contiguous().numpy()
