"""Measurements with their circumstances: hardware, versions, n, median and spread. Trains nothing of its own."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from core.backbone import Backbone, BackboneSpec, load_backbone, read_manifest
from core.baselines import one_prompt
from core.datasets import load_dataset
from core.environment import hardware
from core.eraser import LMEraser
from core.metrics import evaluate
from core.partition import make_partition
from core.types import PartitionConfig, ProgressCallback, Samples
from core.vit import ViTConfig


def spread(values) -> dict[str, float]:
    """Return median, smallest, largest and count of some numbers."""
    return {"median": float(np.median(values)), "min": float(np.min(values)), "max": float(np.max(values)), "n": len(values)}


def bench_forget(data, eraser: LMEraser, requests: int, progress: ProgressCallback | None = None) -> dict:
    """Forget one random sample in each of `requests` private copies of a model, then retrain fully once, all in one run.

    Evaluation is left out of both; every request trains its clusters anew.
    """
    rng = np.random.default_rng(0)
    chosen = rng.choice(len(data.train), requests, replace=False)
    outcomes, trained = [], []
    for row in chosen:
        copy = eraser.fork()
        outcome = copy.forget([data.train.ids[row]])
        outcomes.append(outcome.seconds.total)
        trained.append(len(outcome.trained))
    _, full = copy.full_retraining(progress=progress)
    return {
        "dataset": data.name,
        "samples": len(data.train),
        "clusters": eraser.partition_.clusters,
        "request_seconds": spread(outcomes),
        "clusters_retrained": spread(trained),
        "full_seconds": {"setup": full.seconds.setup, "plan": full.seconds.plan, "train": full.seconds.train, "total": full.seconds.total},
        "speedup": full.seconds.total / float(np.median(outcomes)),
        "roots_equal": full.root_after == copy.root_,
        "hardware": hardware(),
    }


def bench_accuracy(data, eraser: LMEraser, progress: ProgressCallback | None = None) -> dict:
    """Test accuracy of a fitted model, of its clusters alone (nearest, and mixed), and of one prompt on all data."""
    clusters = eraser.partition_.clusters
    rows = [{"method": "LMEraser", "clusters": clusters, "test": evaluate(eraser, data.test).test.accuracy}]
    for name, serve in (("nearest cluster only", {"mix": 1}), ("mixed clusters only", {})):
        config = replace(eraser.config_, serve=replace(eraser.config_.serve, global_weight=0.0, **serve))
        alone = LMEraser(config, eraser.backbone_, eraser.store, eraser.executor)
        rows.append({"method": name, "clusters": clusters, "test": evaluate(alone.fit(data.train), data.test).test.accuracy})
    single = LMEraser(one_prompt(eraser.config_, clusters), eraser.backbone_, executor=eraser.executor).fit(data.train, progress=progress)
    rows.append({"method": "one prompt on all data", "clusters": 1, "test": evaluate(single, data.test).test.accuracy})
    return {"dataset": data.name, "train": len(data.train), "test": len(data.test), "rows": rows, "hardware": hardware()}


def bench_features(names: list[str], data_dir: Path | None, limit: int | None) -> dict:
    """Score frozen features on each data set: linear probe, 5 nearest neighbors, cluster purity, milliseconds an image.

    Beside the embedded backbone stand a randomly initialized copy of it and raw pixels. Accuracies are fractions on the test set.
    """
    shape = read_manifest()["model"]
    config = ViTConfig(**{**shape, "stem_widths": tuple(shape["stem_widths"]), "drop_path": 0.0})
    sources = {"embedded": load_backbone("embedded"), "random": load_backbone(BackboneSpec(random=config)), "pixels": None}
    rows = []
    for name in names:
        data = load_dataset(name, data_dir=data_dir, limit=limit)
        for features, backbone in sources.items():
            rows.append({"dataset": name, "features": features, "train": len(data.train), **_score(data.train, data.test, backbone)})
    return {"rows": rows, "hardware": hardware()}


def _score(train: Samples, test: Samples, backbone: Backbone | None) -> dict:
    began = time.perf_counter()
    x, z = (_features(s, backbone) for s in (train, test))
    milliseconds = (time.perf_counter() - began) / (len(train) + len(test)) * 1e3
    return {
        "linear_probe": linear_probe(x, train.labels, z, test.labels),
        "knn": nearest_neighbors(x, train.labels, z, test.labels),
        "purity": purity(train, x),
        "ms_per_image": milliseconds if backbone else 0.0,
    }


def _features(samples: Samples, backbone: Backbone | None) -> np.ndarray:
    if backbone is not None:
        return _derive_on_all_cores(samples, backbone)
    return samples.images.reshape(len(samples), -1).astype(np.float32) / 255


def _derive_on_all_cores(samples: Samples, backbone: Backbone) -> np.ndarray:
    from core.derived import Derived
    from core.executors import LocalExecutor

    executor = LocalExecutor()
    executor.warm_up()
    derived = Derived(backbone, None, executor)
    derived.ensure(samples, trunk=False)
    executor.close()
    return derived.features(samples.digests)


def linear_probe(x: np.ndarray, y: np.ndarray, z: np.ndarray, t: np.ndarray) -> float:
    """Accuracy on (z, t) of a linear classifier on standardized features x with labels y.

    The better of shrunken linear discriminant analysis and of a logistic regression trained on nine tenths of x is chosen on the
    other tenth of x; the test set chooses nothing.
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.linear_model import SGDClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probes = [
        make_pipeline(StandardScaler(), LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.01)),
        make_pipeline(StandardScaler(), SGDClassifier("log_loss", alpha=1e-3, average=True, max_iter=15, tol=None, random_state=0)),
    ]
    held = np.random.default_rng(0).random(len(x)) < 0.1
    best = max(probes, key=lambda probe: probe.fit(x[~held], y[~held]).score(x[held], y[held]))
    return float(best.fit(x, y).score(z, t))


def nearest_neighbors(x: np.ndarray, y: np.ndarray, z: np.ndarray, t: np.ndarray) -> float:
    """Accuracy on (z, t) of 5 nearest neighbors by cosine."""
    from sklearn.neighbors import KNeighborsClassifier

    unit = lambda a: a / np.maximum(np.linalg.norm(a, axis=1, keepdims=True), 1e-12)  # noqa: E731
    return float(KNeighborsClassifier(5, algorithm="brute").fit(unit(x), y).score(unit(z), t))


def purity(samples: Samples, features: np.ndarray) -> float:
    """Share of samples whose class is the most common one of their cluster, at the default partition."""
    partition = make_partition(samples.digests, lambda rows: features[rows], PartitionConfig())
    counts = [np.bincount(samples.labels[partition.members(c)]).max() for c in range(partition.clusters)]
    return float(np.sum(counts) / len(samples))
