"""Measures what requests cost under several partitions: groups of similar images, random ones, one subject, one class.

Each request is forgotten for real by a private copy of the model, and compared with one full retraining in the same run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from core.benchmarks.measure import spread
from core.config import preset
from core.data.datasets import Dataset
from core.data.samples import Samples
from core.errors import InputError
from core.lmeraser.eraser import LMEraser
from core.lmeraser.partition import METHODS
from core.runtime.determinism import hardware
from core.runtime.fixed_point import unit
from core.runtime.progress import ProgressCallback

SIMILAR, RANDOM = (1, 5, 20, 100), (1, 10, 100)
FIGURES = ("held_clusters", "retrained_clusters", "held_share", "retrained_share", "seconds")


def bench_requests(
    data: Dataset, eraser: LMEraser, partitions: tuple[str, ...], trials: int, progress: ProgressCallback | None = None
) -> dict:
    """Return one row for each partition and kind of request.

    `eraser` is unfitted; its configuration counts except for the partition. `random` gets as many shards as the partition before it
    has clusters. "Similar" are a random image and those nearest to it by cosine of the frozen feature. A cluster is held if it holds a
    deleted image before the request; it is retrained if no cluster had exactly its members before. Shares are of all images. A
    row's figures are means over its trials; `median` and `worst` hold the others; `speedup` is `full_seconds` divided by mean seconds.
    Raises InputError for an unknown partition or fewer than one trial.
    """
    if unknown := [name for name in partitions if name not in METHODS]:
        raise InputError(f"partition {unknown[0]!r} is not one of {', '.join(METHODS)}.")
    if trials < 1:
        raise InputError(f"--trials is {trials}; give a whole number of at least 1.")
    config = preset(eraser.config) if isinstance(eraser.config, str) else eraser.config
    rows: list[dict] = []
    model, clusters = None, config.partition.clusters
    for method in partitions:
        partition = replace(config.partition, method=method, clusters=clusters if method == "random" else config.partition.clusters)
        own = replace(config, partition=partition)
        model = LMEraser(own, eraser.backbone, executor=eraser.executor) if model is None else model.reconfigured(own)
        clusters = model.fit(data.train, progress=progress).partition_.clusters
        _, full = model.full_retraining(progress=progress)
        for name, requests in _requests(data.train, model, trials):
            figures = [_measured(model, ids) for ids in requests]
            by_name = {figure: spread([f[figure] for f in figures]) for figure in FIGURES}
            rows.append(
                {
                    "dataset": data.name,
                    "partition": method,
                    "clusters": clusters,
                    "purity": majority_share(model.partition_.assignment, data.train.labels),
                    "request": name,
                    "trials": len(figures),
                    **{figure: values["mean"] for figure, values in by_name.items()},
                    "full_seconds": full.seconds.total,
                    "full_seconds_without_features": full.seconds.plan + full.seconds.train,
                    "speedup": full.seconds.total / by_name["seconds"]["mean"],
                    "median": {figure: values["median"] for figure, values in by_name.items()},
                    "worst": {figure: values["max"] for figure, values in by_name.items()},
                }
            )
    return {"dataset": data.name, "samples": len(data.train), "rows": rows, "hardware": hardware()}


def majority_share(assignment: np.ndarray, labels: np.ndarray) -> float:
    """Return the purity of clusters: the share of samples (n,) that belong to their cluster's most frequent class."""
    counts = np.zeros((assignment.max() + 1, labels.max() + 1), np.int64)
    np.add.at(counts, (assignment, labels), 1)
    return float(counts.max(1).sum() / len(labels))


def _requests(samples: Samples, model: LMEraser, trials: int) -> Iterator[tuple[str, list[tuple[str, ...]]]]:
    """Yield each kind of request that leaves at least half of the samples, with the ids of its trials; the same for every model."""
    rng, n, ids = np.random.default_rng(0), len(samples), np.array(samples.ids)
    features = unit(model.prepare_members().features)
    seeds = rng.choice(n, trials, replace=trials > n)
    nearness = features[seeds] @ features.T
    nearness[np.arange(trials), seeds] = 2  # first, even beside exact copies
    for size in SIMILAR:
        if 2 * size <= n:
            yield f"{size} similar", [tuple(ids[np.argsort(-near, kind="stable")[:size]]) for near in nearness]
    for size in RANDOM:
        if 2 * size <= n:
            yield f"{size} random", [tuple(ids[rng.choice(n, size, replace=False)]) for _ in range(trials)]
    if samples.subjects is not None:
        subjects = np.array(samples.subjects)
        chosen = rng.permutation(np.unique(subjects))[:trials]
        yield "one subject", [tuple(ids[subjects == subject]) for subject in chosen]
    classes = rng.permutation(np.unique(samples.labels))[:trials]
    yield "one class", [tuple(ids[samples.labels == label]) for label in classes]


def _measured(model: LMEraser, ids: tuple[str, ...]) -> dict[str, float]:
    """Forget ids in a private copy and return FIGURES."""
    copy = model.fork()
    plan = copy.plan(ids)
    outcome = copy.forget(plan)
    assignment, n = model.partition_.assignment, len(model.samples_)
    held = np.unique(assignment[model.samples_.rows(ids)])
    return {
        "held_clusters": len(held),
        "retrained_clusters": len(plan.retrain),
        "held_share": np.isin(assignment, held).sum() / n,
        "retrained_share": plan.samples_to_retrain / n,
        "seconds": outcome.seconds.total,
    }
