"""Measures what requests cost under several partitions: groups of similar images, random ones, one subject, one class.

Each request is forgotten for real by a private copy of the model, and compared with training from scratch in the same run; or it is
only planned, which says what would retrain.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from core.backbone.model import load_backbone
from core.benchmarks.measure import spread, warm_up
from core.benchmarks.metrics import majority_share
from core.config import PartitionConfig, preset
from core.data.datasets import Dataset
from core.data.samples import Samples
from core.errors import InputError
from core.lmeraser.eraser import LMEraser
from core.lmeraser.partition import check_partition
from core.lmeraser.similarity import nearest
from core.runtime.determinism import hardware
from core.runtime.executors import InlineExecutor
from core.runtime.progress import ProgressCallback

SIMILAR, RANDOM = (1, 5, 20, 100), (1, 10, 100)
KINDS = (*(f"{size} similar" for size in SIMILAR), *(f"{size} random" for size in RANDOM), "one subject", "one class")


def bench_requests(
    data: Dataset,
    eraser: LMEraser,
    partitions: tuple[str, ...],
    trials: int,
    kinds: tuple[str, ...] = KINDS,
    plan_only: bool = False,
    progress: ProgressCallback | None = None,
) -> dict:
    """Return one row for each partition and kind of request.

    `eraser` is unfitted; its configuration counts except for the partition. `random` gets as many shards as the partition before it
    has clusters. "Similar" are a random image and those nearest to it by cosine of the frozen feature. A cluster is held if it holds a
    deleted image before the request; it is retrained if no cluster had exactly its members before. Shares are of all images. A
    row's figures are means over its trials; `median`, `p95` and `worst` hold the others. `full_seconds` are those of the fit, which
    trained everything: the features, computed once, and the partition's own clusters. `speedup` is `full_seconds` divided by mean
    seconds. With `plan_only` nothing is forgotten, and seconds are those of planning. Raises InputError for an unknown partition or kind of
    request, or fewer than one trial.
    """
    for name in partitions:
        check_partition(PartitionConfig(name))
    if unknown := [name for name in kinds if name not in KINDS]:
        raise InputError(f"request {unknown[0]!r} is not one of {', '.join(KINDS)}.")
    if trials < 1:
        raise InputError(f"--trials is {trials}; give a whole number of at least 1.")
    config = preset(eraser.config) if isinstance(eraser.config, str) else eraser.config
    rows: list[dict] = []
    requests: dict[str, list[tuple[str, ...]]] = {}
    model, clusters, features = None, config.partition.clusters, 0.0
    backbone, executor = load_backbone(eraser.backbone) if isinstance(eraser.backbone, str) else eraser.backbone, eraser.executor
    warm_up(backbone, executor or InlineExecutor())
    for method in partitions:
        partition = replace(config.partition, method=method, clusters=clusters if method == "random" else config.partition.clusters)
        own = replace(config, partition=partition)
        model = LMEraser(own, backbone, executor=executor) if model is None else model.reconfigured(own)
        clusters = model.fit(data.train, progress=progress).partition_.clusters
        features = features or model.outcome_.seconds.setup
        full = model.outcome_.seconds.plan + model.outcome_.seconds.train
        requests = requests or _requests(data.train, model, trials, kinds)
        purity = majority_share(model.partition_.assignment, data.train.labels)
        for name, drawn in requests.items():
            figures = [_measured(model, ids, plan_only) for ids in drawn]
            by_name = {figure: spread([f[figure] for f in figures]) for figure in figures[0]}
            rows.append(
                {
                    "dataset": data.name,
                    "partition": method,
                    "clusters": clusters,
                    "purity": purity,
                    "request": name,
                    "trials": len(figures),
                    **{figure: values["mean"] for figure, values in by_name.items()},
                    "full_seconds": features + full,
                    "full_seconds_without_features": full,
                    "speedup": None if plan_only else (features + full) / by_name["seconds"]["mean"],
                    "median": {figure: values["median"] for figure, values in by_name.items()},
                    "p95": {figure: values["p95"] for figure, values in by_name.items()},
                    "worst": {figure: values["max"] for figure, values in by_name.items()},
                }
            )
    return {"dataset": data.name, "samples": len(data.train), "rows": rows, "hardware": hardware()}


def _requests(samples: Samples, model: LMEraser, trials: int, kinds: tuple[str, ...]) -> dict[str, list[tuple[str, ...]]]:
    """Return the ids of each trial by kind of request; similar and random ones take at most half of the samples."""
    rng, n, ids = np.random.default_rng(0), len(samples), np.array(samples.ids)
    sizes = [size for size in SIMILAR if 2 * size <= n and f"{size} similar" in kinds]
    features = model.prepare_members().features
    seeds = rng.choice(n, trials, replace=trials > n).tolist()
    groups = [np.array([seed, *nearest(features, np.array([seed]), max(sizes) - 1, samples.ids)]) for seed in seeds] if sizes else []
    result = {f"{size} similar": [tuple(ids[group[:size]]) for group in groups] for size in sizes}
    for size in RANDOM:
        if 2 * size <= n:
            result[f"{size} random"] = [tuple(ids[rng.choice(n, size, replace=False)]) for _ in range(trials)]
    if samples.subjects is not None:
        subjects = np.array(samples.subjects)
        result["one subject"] = [tuple(ids[subjects == subject]) for subject in rng.permutation(np.unique(subjects))[:trials]]
    result["one class"] = [tuple(ids[samples.labels == label]) for label in rng.permutation(np.unique(samples.labels))[:trials]]
    return {name: drawn for name, drawn in result.items() if name in kinds}


def _measured(model: LMEraser, ids: tuple[str, ...], plan_only: bool) -> dict[str, float]:
    """Forget ids in a private copy, or only plan it, and return a row's figures."""
    copy = model.fork()
    plan = copy.plan(ids)
    seconds = plan.seconds if plan_only else copy.forget(plan).seconds.total
    assignment, n = model.partition_.assignment, len(model.samples_)
    held = np.unique(assignment[model.samples_.rows(ids)])
    return {
        "held_clusters": len(held),
        "retrained_clusters": len(plan.retrain),
        "held_share": np.isin(assignment, held).sum() / n,
        "retrained_share": plan.samples_to_retrain / n,
        "seconds": seconds,
    }
