"""Measures how many deletions a model takes until they have cost as much as training it from scratch.

Requests come one after another, each on the model that the last one left: single random images, similar ones, or batches.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from core.backbone.model import load_backbone
from core.benchmarks.baselines.closed_form import ClosedForm
from core.benchmarks.baselines.lmeraser import Clusters
from core.benchmarks.baselines.method import Cost, Method, Questions, prompting
from core.benchmarks.baselines.sisa import Sisa
from core.benchmarks.measure import spread, warm_up
from core.config import PartitionConfig, preset
from core.data.datasets import Dataset
from core.errors import InputError
from core.lmeraser.eraser import LMEraser
from core.lmeraser.partition import METHODS, check_partition
from core.lmeraser.similarity import nearest
from core.runtime.determinism import hardware
from core.runtime.executors import InlineExecutor
from core.runtime.progress import Progress, ProgressCallback

SHARDS = (5, 10, 20, 50)
REQUESTS = {"random": 1, "similar": 1, "10 random": 10}  # images a request
ALIKE = 100  # similar images that leave one after another, before the next group
MOST = 2000  # requests of one kind that a method is asked for
TESTED = 1000  # most test images that a method is scored on


@dataclass(frozen=True, eq=False)
class _Entry:
    """A fitted method, its parts (clusters or shards), and the seconds of training it from scratch, features apart."""

    name: str
    method: Method
    parts: int
    features: float
    training: float


def bench_capacity(
    data: Dataset,
    eraser: LMEraser,
    partitions: tuple[str, ...],
    requests: tuple[str, ...] = tuple(REQUESTS),
    most: int = MOST,
    progress: ProgressCallback | None = None,
) -> dict:
    """Return one row for each method and kind of request.

    `eraser` is unfitted; its configuration counts except for the partition. Methods are LMEraser under each partition, SISA with
    `SHARDS` and with as many shards as the first partition has clusters, and the closed form alone. `deletions` is how many images
    were forgotten before the summed seconds passed the method's own training from scratch, features apart; it is a lower bound where
    `exhausted` is False: `most` requests, or half of the images, cost less. `expected_deletions` is that training over the mean
    request, and `expected_deletions_with_features` counts the features into it. `request_seconds` are mean, median, p95 and max.
    `accuracy` is that before any request, on `tested` images. All methods share the features that were computed once.
    Raises InputError for no partition, an unknown partition or request, or `most` below 1.
    """
    if not partitions:
        raise InputError(f"No partition is named; give at least one of {', '.join(METHODS)}.")
    for name in partitions:
        check_partition(PartitionConfig(name))
    if unknown := [name for name in requests if name not in REQUESTS]:
        raise InputError(f"request {unknown[0]!r} is not one of {', '.join(REQUESTS)}.")
    if most < 1:
        raise InputError(f"--most is {most}; give a whole number of at least 1.")
    rows: list[dict] = []
    orders: dict[bool, tuple[str, ...]] = {}
    questions: Questions | None = None
    test = data.test.take(np.arange(min(TESTED, len(data.test))))
    for entry in _entries(data, eraser, partitions, progress):
        if isinstance(entry.method, Clusters) and not orders:
            orders = {alike: _order(entry.method.eraser, alike) for alike in (False, True)}
            questions = Questions.prepared(entry.method.eraser, test)
        assert questions is not None
        accuracy = float((entry.method.predict(questions) == test.labels).mean()) if len(test) else None
        for kind in requests:
            seconds = _spent(entry, orders[kind == "similar"], REQUESTS[kind], most, kind, progress)
            row = {"dataset": data.name, "method": entry.name, "parts": entry.parts, "request": kind, "accuracy": accuracy}
            rows.append(row | _figures(entry, seconds, REQUESTS[kind]))
    return {"dataset": data.name, "samples": len(data.train), "tested": len(test), "rows": rows, "hardware": hardware()}


def _entries(data: Dataset, eraser: LMEraser, partitions: tuple[str, ...], progress: ProgressCallback | None) -> Iterator[_Entry]:
    """Fit and yield one method after another, with the features that the first one computed."""
    backbone = load_backbone(eraser.backbone) if isinstance(eraser.backbone, str) else eraser.backbone
    warm_up(backbone, eraser.executor or InlineExecutor())
    config = preset(eraser.config) if isinstance(eraser.config, str) else eraser.config
    model, clusters, features = None, 0, 0.0
    for name in partitions:
        own = replace(config, partition=replace(config.partition, method=name))
        model = LMEraser(own, backbone, executor=eraser.executor) if model is None else model.reconfigured(own)
        seconds = model.fit(data.train, progress=progress).outcome_.seconds
        clusters, features = clusters or model.partition_.clusters, features or seconds.setup
        yield _Entry(f"LMEraser, {name}", Clusters(model), model.partition_.clusters, features, seconds.plan + seconds.train)
    assert model is not None
    config = prompting(model)
    known = model.derived_copy() if model.config_.has_prompts else None  # features alone would be computed again with activations
    for shards in dict.fromkeys((*SHARDS, clusters)):
        sisa = Sisa(config, backbone, model.executor, shards, known=known)
        cost = sisa.fit(data.train)
        yield _Entry("SISA", sisa, shards, features, cost.seconds.train)
    closed = ClosedForm(backbone, model.executor, known=model.derived_copy())
    yield _Entry("closed form only", closed, 0, features, closed.fit(data.train).seconds.train)


def _order(model: LMEraser, alike: bool) -> tuple[str, ...]:
    """Return the ids of half of a model's samples in the order in which they leave: at random, or group by group of similar ones."""
    rng, samples = np.random.default_rng(0), model.samples_
    order, half = rng.permutation(len(samples)), len(samples) // 2
    if not alike:
        return tuple(samples.ids[r] for r in order[:half])
    features, left = model.prepare_members().features, dict.fromkeys(order.tolist())
    leaving: list[int] = []
    while len(leaving) < min(half, MOST):
        seed = next(iter(left))
        near = nearest(features, np.array([seed]), len(samples) - 1, samples.ids)
        group = [seed, *(r for r in near if r in left)][:ALIKE]
        leaving += group
        for row in group:
            left.pop(row)
    return tuple(samples.ids[r] for r in leaving[:half])


def _spent(entry: _Entry, order: tuple[str, ...], size: int, most: int, kind: str, progress: ProgressCallback | None) -> list[float]:
    """Forget on a copy until the seconds reach training from scratch, features apart; return the seconds of each request."""
    copy, seconds = entry.method.fork(), []
    starts = range(0, len(order) - size + 1, size)[:most]
    for done, start in enumerate(starts):
        if progress is not None:
            progress(Progress(f"{entry.name} {kind}", done, len(starts)))
        cost: Cost = copy.forget(order[start : start + size])
        seconds.append(cost.seconds.total)
        if sum(seconds) > entry.training:
            break
    return seconds


def _figures(entry: _Entry, seconds: list[float], size: int) -> dict:
    """Return what a row says about the seconds of its requests."""
    summed, mean = np.cumsum(seconds), float(np.mean(seconds))
    return {
        "deletions": int((summed <= entry.training).sum()) * size,
        "exhausted": bool(summed[-1] > entry.training),
        "expected_deletions": entry.training / mean * size,
        "expected_deletions_with_features": (entry.features + entry.training) / mean * size,
        "training_seconds": entry.training,
        "features_seconds": entry.features,
        "request_seconds": spread(seconds),
    }
