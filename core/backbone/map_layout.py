"""Computes where each sample lies on the map: UMAP of frozen features, once per data set. The layout is not part of any model.

Layout files are keyed by content digest, so the order of samples does not matter and a forgotten sample's point can be deleted.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np

from core.backbone.model import ASSETS, Backbone, enter_in_manifest, read_manifest, verified_asset
from core.data.samples import Samples
from core.errors import DataError


def layout_name(name: str) -> str:
    """Return a data set's layout file name, safe whatever the data set is called."""
    return f"layout-{re.sub(r'[^a-z0-9-]', '-', name.lower())[:60]}.safetensors"


def compute_layout(features: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return UMAP coordinates (n, 2) float32 in 0..1 of features (n, d) (McInnes et al., arXiv 1802.03426)."""
    n = len(features)
    if n < 5:
        angle = np.linspace(0, 2 * np.pi, max(n, 1), endpoint=False)[:n]
        return np.stack([0.5 + 0.3 * np.cos(angle), 0.5 + 0.3 * np.sin(angle)], 1).astype(np.float32)
    import umap

    points = umap.UMAP(n_neighbors=min(30, n - 1), min_dist=0.8, metric="cosine", random_state=seed, n_jobs=1).fit_transform(features)
    return _in_unit_square(points)


def _in_unit_square(points: np.ndarray) -> np.ndarray:
    low, high = points.min(0), points.max(0)
    return ((points - low) / np.maximum(high - low, 1e-9)).astype(np.float32)


def write_layout(path: Path, samples: Samples, points: np.ndarray) -> None:
    """Write coordinates (n, 2) with their samples' digests, atomically; raises StoreError."""
    from safetensors.numpy import save

    from core.runtime.atomic_files import write_atomically

    unique = dict(zip(samples.digests, points, strict=True))
    digests = np.frombuffer(bytes.fromhex("".join(unique)), np.uint8).reshape(len(unique), 32).copy()
    write_atomically(path, save({"digests": digests, "points": np.stack(list(unique.values())).astype(np.float32)}))


def read_layout(path: Path, samples: Samples) -> np.ndarray | None:
    """Return the samples' coordinates (n, 2) from a layout file, or None when it is missing, damaged or lacks one of them."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        tensors = load_file(path)
        known = {d.tobytes().hex(): p for d, p in zip(tensors["digests"], tensors["points"], strict=True)}
        return np.stack([known[d] for d in samples.digests])
    except (OSError, SafetensorError, KeyError, ValueError):
        return None


def load_layout(name: str, samples: Samples, folder: Path | None = None, backbone: Backbone | None = None) -> np.ndarray:
    """Return map coordinates (n, 2) float32 in 0..1: shipped with the program, or saved in `folder`, or computed and saved there.

    Computing sends every image through the backbone and takes minutes for tens of thousands. Raises DataError when the
    coordinates would have to be computed and no backbone was given.
    """
    file = layout_name(name)
    if file in read_manifest()["sha256"]:
        points = read_layout(verified_asset(file), samples)
        if points is not None:
            return points
    saved = folder / _saved_name(file, samples) if folder else None
    points = read_layout(saved, samples) if saved else None
    if points is not None:
        return points
    if backbone is None:
        raise DataError(f"There is no saved map layout of {name!r}, and computing one needs a backbone. Give one.")
    points = compute_layout(backbone.derive(samples.images, None)[0])
    if saved:
        write_layout(saved, samples, points)
    return points


def _saved_name(file: str, samples: Samples) -> str:
    content = hashlib.sha256("".join(sorted(samples.digests)).encode()).hexdigest()
    return f"{content[:16]}-{file}"


def ship_layout(name: str, samples: Samples, backbone: Backbone) -> None:
    """Compute a data set's layout into assets/ and enter it in the manifest."""
    path = ASSETS / layout_name(name)
    write_layout(path, samples, compute_layout(backbone.derive(samples.images, None)[0]))
    enter_in_manifest(path.name)
