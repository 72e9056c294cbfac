"""The checks of `core.audit.selftest`; run as a program, the other process's part: it trains a cluster twice."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator

import numpy as np
import torch

from core.audit.selftest import Check
from core.backbone.model import CHUNK, Backbone, load_backbone
from core.config import EraserConfig, preset
from core.lmeraser.cluster_training import ClusterJob, train_cluster
from core.lmeraser.global_head import GlobalHead
from core.lmeraser.nearest_prototypes import squared_distances
from core.lmeraser.prediction import Inputs, cluster_log_proba
from core.lmeraser.prompts import trunk_block
from core.lmeraser.records import ClusterState
from core.runtime.determinism import default_device, environment

IMAGES = CHUNK + 24  # two batches, the second one mostly padding
MEMBERS = 24  # of the cluster that is trained
UNRELIABLE = {"mps": "PyTorch does not promise reproducible results on Apple's GPUs"}


def checks(device: torch.device | str | None, elsewhere: Callable[[], str]) -> Iterator[Check]:
    """Make all checks on a device; `elsewhere` returns the digests of the cluster that another process has trained twice."""
    device = _resolved(device)
    if device.type in UNRELIABLE:
        yield Check("device", False, UNRELIABLE[device.type])
    backbone, config, images = load_backbone("embedded", device), preset("fast"), _images()
    features, trunks = _derive(backbone, config, images)
    order = np.random.default_rng(1).permutation(len(images))
    some = order[:CHUNK]
    moved = _derive(backbone, config, images[some])
    yield _same("features", features[some], moved[0], "images in another order and company")
    yield _same("activations", trunks[some], moved[1], "images in another order and company")
    yield from _sums(features, order)
    job = _job(backbone, config, features[:MEMBERS], trunks[:MEMBERS])
    state = train_cluster(job)
    yield _answers(state, job, features, trunks, order, backbone, config)
    equal = [state.digest] * 2 == elsewhere().split()
    yield Check("cluster training", equal, _found(equal, "here and twice in another process"))


def _sums(features: np.ndarray, order: np.ndarray) -> Iterator[Check]:
    labels = np.arange(len(features)) % 10
    distances = squared_distances(features, features[:MEMBERS])
    yield _same("distances", distances[order], squared_distances(features[order], features[:MEMBERS]), "rows in another order")
    whole = GlobalHead.empty(10, features.shape[1]).changed(features, labels, 1)
    less = whole.changed(features[:7], labels[:7], -1)
    rest = order[order >= 7]
    fresh = GlobalHead.empty(10, features.shape[1]).changed(features[rest], labels[rest], 1)
    equal = less.digest == fresh.digest
    yield Check("global head", equal, _found(equal, "7 samples subtracted, and never added"))


def _answers(state: ClusterState, job: ClusterJob, features, trunks, order, backbone: Backbone, config: EraserConfig) -> Check:
    inputs, rows = Inputs(tuple(map(str, order)), features[order], trunks[order]), np.arange(len(order))
    answers = lambda some: cluster_log_proba([state], inputs, some, np.zeros_like(some), backbone, config)  # noqa: E731
    alone = [answers(rows[i : i + 1]) for i in range(8)]
    return _same("answers", answers(rows)[:8], np.concatenate(alone), "asked alone and together")


def _same(name: str, one: np.ndarray, other: np.ndarray, what: str) -> Check:
    rows = int((one != other).reshape(len(one), -1).any(1).sum())
    return Check(name, not rows, f"equal bit for bit: {what}" if not rows else f"{rows} of {len(one)} rows differ: {what}")


def _found(equal: bool, what: str) -> str:
    return f"{'equal bit for bit' if equal else 'different'}: {what}"


def _images() -> np.ndarray:
    """Return images (n, 48, 48, 3) uint8 of noise at several scales, from a fixed seed."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (IMAGES, 6, 6, 3), np.uint8).repeat(8, 1).repeat(8, 2)
    return (coarse // 2 + rng.integers(0, 128, coarse.shape, np.uint8)).astype(np.uint8)


def _derive(backbone: Backbone, config: EraserConfig, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the features (n, d) and trunk activations of images."""
    features, trunks = backbone.derive(images, trunk_block(config.prompt, backbone))
    assert trunks is not None  # the preset's prompt enters above the first block
    return features, trunks


def _job(backbone: Backbone, config: EraserConfig, features: np.ndarray, trunks: np.ndarray) -> ClusterJob:
    return ClusterJob(
        key=hashlib.sha256(b"selftest").hexdigest(),
        backbone=backbone.spec,
        device=str(backbone.device),
        inputs=trunks,
        features=features,
        labels=np.arange(MEMBERS) % 3,
        num_classes=10,
        prompt=config.prompt,
        train=config.train,
    )


def _trained_twice(device: str) -> tuple[str, str]:
    """Return the digests of the cluster that `checks` trains, made here from the images on, twice."""
    backbone, config = load_backbone("embedded", _resolved(device)), preset("fast")
    job = _job(backbone, config, *_derive(backbone, config, _images()[:MEMBERS]))
    return train_cluster(job).digest, train_cluster(job).digest


def environment_of(device: torch.device | str | None) -> dict[str, str]:
    """Return what decides the bytes on a device, by default the best there is."""
    return environment(_resolved(device))


def _resolved(device: torch.device | str | None) -> torch.device:
    return torch.device(device) if device else default_device()


if __name__ == "__main__":
    print(*_trained_twice(sys.argv[1]))
