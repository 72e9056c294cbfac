"""Benchmarks of one model: cost of a request, accuracy, ways of mixing predictions, and frozen features.

Each returns a record of plain values with hardware, numbers of runs, medians and ranges. `core.benchmarks.compare_methods` compares
LMEraser with other methods.
"""

from __future__ import annotations

import hashlib
import itertools
import time
import warnings
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from scipy.stats import binomtest
from sklearn.exceptions import ConvergenceWarning

from core.backbone.feature_cache import Derived, DeriveJob, derive_job
from core.backbone.model import CHUNK, Backbone, BackboneSpec, load_backbone, read_manifest
from core.backbone.vit_config import ViTConfig
from core.benchmarks.baselines import PARTS, eraser_flops, one_prompt
from core.benchmarks.metrics import majority_share
from core.config import EraserConfig, PartitionConfig, ServeConfig, with_prompts
from core.data.datasets import Dataset, load_dataset
from core.data.samples import Samples
from core.errors import InputError
from core.lmeraser.eraser import LMEraser
from core.lmeraser.global_head import expand
from core.lmeraser.partition import make_partition
from core.lmeraser.prediction import ClusterCache, Serving, log_proba
from core.runtime.determinism import hardware
from core.runtime.executors import Executor, LocalExecutor
from core.runtime.progress import ProgressCallback


def spread(values) -> dict[str, float]:
    """Return median, mean, 95th percentile, smallest, largest and count of some numbers."""
    return {
        "median": float(np.median(values)),
        "mean": float(np.mean(values)),
        "p95": float(np.quantile(values, 0.95)),
        "min": float(np.min(values)),
        "max": float(np.max(values)),
        "n": len(values),
    }


def warm_up(backbone: Backbone, executor: Executor) -> None:
    """Let every process of an executor load the backbone, so that no measured time includes that."""
    empty = np.zeros((CHUNK, backbone.size, backbone.size, 3), np.uint8)
    list(executor.map(derive_job, [DeriveJob(backbone.spec, str(backbone.device), empty, None)] * executor.workers))


def bench_forget(data: Dataset, eraser: LMEraser, requests: int, progress: ProgressCallback | None = None) -> dict:
    """Forget one random sample in each of `requests` private copies of a model, then retrain fully once, all in one run.

    Evaluation is left out of both; no request reuses states that another one trained.
    """
    rng = np.random.default_rng(0)
    chosen = rng.choice(len(data.train), requests, replace=False)
    outcomes, trained, flops, held = [], [], [], []
    for row in chosen:
        copy = eraser.fork()
        plan = copy.plan([data.train.ids[row]])
        outcome = copy.forget(plan)
        held.append(plan.predicted_range[0] <= outcome.seconds.total <= plan.predicted_range[1])
        outcomes.append(outcome.seconds.total)
        trained.append(len(outcome.trained))
        flops.append(eraser_flops(copy, outcome.trained, copy.derived_images_))
    control, full = copy.full_retraining(progress=progress)
    return {
        "dataset": data.name,
        "samples": len(data.train),
        "clusters": eraser.partition_.clusters,
        "request_seconds": spread(outcomes),
        "request_flops": spread(flops),
        "clusters_retrained": spread(trained),
        "forecasts_that_held": float(np.mean(held)),
        "full_seconds": {"setup": full.seconds.setup, "plan": full.seconds.plan, "train": full.seconds.train, "total": full.seconds.total},
        "full_flops": eraser_flops(control, full.trained, control.derived_images_),
        "speedup": full.seconds.total / float(np.median(outcomes)),
        "mean_speedup": full.seconds.total / float(np.mean(outcomes)),
        "roots_equal": full.root_after == copy.root_,
        "hardware": hardware(),
    }


ONE_PROMPT = "one prompt on all data"


def bench_accuracy(data: Dataset, eraser: LMEraser, seeds: int = 1, progress: ProgressCallback | None = None) -> dict:
    """Test accuracy of a fitted model, of its parts, of other ways to use the same clusters, and of one prompt on all data.

    Every row has the accuracy with its 95 % interval (Wilson) and how far it lies above `closed form only`, with the 95 % interval of
    that difference on the same images (normal approximation): means over models trained with so many seeds, the given model's first.
    `by_seed` are the accuracies one by one; what draws no random numbers has one. `seconds` are those of answering 10,000 images whose
    features are known, scaled from the test images; `features_seconds` come before them otherwise.
    """
    began = time.perf_counter()
    eraser.prepare_public(data.test)  # once for all models
    scale = 10_000 / max(1, len(data.test))
    features = (time.perf_counter() - began) * scale
    answers: dict[str, list[_Answers]] = defaultdict(list)
    for seed in range(seeds):
        model = _reseeded(eraser, seed, data, progress) if seed else eraser
        if not seed or _draws(model.config_):
            answers["LMEraser"].append(_answers(model, data.test))
        for name, part in _parts(model.config_, eraser.partition_.clusters).items():
            if not seed or _draws(part):
                answers[name].append(_answers(model.reconfigured(part).fit(data.train, progress=progress), data.test))
    rows = []
    for name, found in answers.items():
        clusters = 1 if name == ONE_PROMPT else eraser.partition_.clusters
        row = _accuracy_row(name, clusters, [a.hits for a in found], answers["closed form only"][0].hits)
        rows.append(row | {"seconds": float(np.mean([a.seconds for a in found])) * scale})
    return {
        "dataset": data.name,
        "train": len(data.train),
        "test": len(data.test),
        "seeds": seeds,
        "features_seconds": features,
        "rows": rows,
        "hardware": hardware(),
    }


def _reseeded(eraser: LMEraser, seed: int, data: Dataset, progress: ProgressCallback | None) -> LMEraser:
    """Return a model like a fitted one, trained so many seeds further on."""
    config = eraser.config_
    train = replace(config.train, seed=config.train.seed + seed)
    return eraser.reconfigured(replace(config, train=train)).fit(data.train, progress=progress)


def _draws(config: EraserConfig) -> bool:
    """Return whether the seed matters to a model's answers: class sums and the closed form draw nothing."""
    return config.has_prompts and config.serve.global_weight < 1


def _parts(config: EraserConfig, clusters: int) -> dict[str, EraserConfig]:
    """Return the configurations that `bench_accuracy` sets beside a model's own, by name."""
    serve = config.serve
    return {
        "closed form only": replace(config, serve=replace(serve, global_weight=1.0)),
        "nearest cluster only": replace(config, serve=replace(serve, mix=1, global_weight=0.0)),
        "mixed clusters only": replace(config, serve=replace(serve, global_weight=0.0)),
        **{name: part(config) for name, part in PARTS.items()},
        ONE_PROMPT: one_prompt(with_prompts(config), clusters),
    }


@dataclass(frozen=True, eq=False)
class _Answers:
    """Which test images (n,) a model classifies correctly, and the seconds that its answers took."""

    hits: np.ndarray
    seconds: float


def _answers(model: LMEraser, test: Samples) -> _Answers:
    inputs, began = model.prepare_public(test), time.perf_counter()
    predicted = model.predict(inputs)
    return _Answers(predicted == test.labels, time.perf_counter() - began)


def _accuracy_row(name: str, clusters: int, by_seed: list[np.ndarray], reference: np.ndarray) -> dict:
    """Return a row of `bench_accuracy` from which test images (n,) the method's models and the reference classify correctly."""
    hits = np.mean(by_seed, axis=0)
    interval = binomtest(round(float(hits.sum())), len(hits)).proportion_ci(method="wilson")
    paired = hits - reference
    above, margin = float(paired.mean()), float(1.96 * paired.std() / len(hits) ** 0.5)
    accuracy = {"test": float(hits.mean()), "low": float(interval.low), "high": float(interval.high)}
    return {
        "method": name,
        "clusters": clusters,
        **accuracy,
        "above_closed_form": above,
        "margin": margin,
        "by_seed": [float(hit.mean()) for hit in by_seed],
    }


MIXES, TEMPERATURES, GLOBAL_WEIGHTS = (1, 4, 8, 16), (0.05, 0.1, 0.2, 0.4), (0.0, 0.25, 0.5, 0.75, 1.0)
GRID = tuple(ServeConfig(*settings) for settings in itertools.product(MIXES, TEMPERATURES, GLOBAL_WEIGHTS))


def bench_settings(data: Dataset, eraser: LMEraser, progress: ProgressCallback | None = None) -> dict:
    """Accuracy of every setting in `GRID` for mixing predictions, on a fifth of the training images or subjects held out from the fit.

    `eraser` brings configuration, backbone and executor, and need not be fitted. Test images are not looked at.
    """
    train = data.train
    held = _held_out(train)
    model = LMEraser(eraser.config, eraser.backbone, executor=eraser.executor).fit(train.take(~held), progress=progress)
    unseen = train.take(held)
    inputs, cache = model.prepare(unseen.images), ClusterCache()
    head = model.model_.head
    solved, expanded = (head.solve(), expand(inputs.features)) if head else (None, None)
    serving = Serving(model.partition_, model.keys_, model.states_, solved, model.backbone_, model.config_, len(train.classes))
    rows = []
    for serve in GRID:
        config = replace(model.config_, serve=serve)
        answers = log_proba(replace(serving, config=config), inputs, cache, expanded)
        rows.append({**asdict(config.serve), "held_out": float((answers.argmax(1) == unseen.labels).mean())})
    chosen = next((row for row in rows if row.items() >= asdict(model.config_.serve).items()), None)
    best = max(rows, key=lambda row: row["held_out"])
    return {"dataset": data.name, "fitted": len(model.samples_), "held_out": len(unseen), "best": best, "chosen": chosen, "rows": rows}


def _held_out(samples: Samples) -> np.ndarray:
    """Return which samples (n,) to hold out, about a fifth: whole subjects where there are any, since their images resemble each other."""
    by_subject = (hashlib.sha256(subject.encode()).hexdigest() for subject in samples.subjects or ())
    return np.array([int(digest[:8], 16) % 5 == 0 for digest in (by_subject if samples.subjects else samples.digests)])


SOURCES = ("embedded", "random", "pixels")


def bench_features(names: list[str], sources: list[str], data_dir: Path | None, limit: int | None) -> dict:
    """Score frozen features on each data set: linear probe, 5 nearest neighbors, cluster purity, milliseconds an image.

    `embedded`: the shipped backbone; `random`: a randomly initialized copy of it; `pixels`: the image at 16 x 16 px, as many
    numbers as the embedded features. Accuracies are fractions on the test set. Raises InputError for an unknown source.
    """
    if unknown := set(sources) - set(SOURCES):
        raise InputError(f"features {sorted(unknown)[0]!r} is not one of {', '.join(SOURCES)}.")
    rows = []
    for name in names:
        data = load_dataset(name, data_dir=data_dir, limit=limit)
        for source in sources:
            rows.append({"dataset": name, "features": source, "train": len(data.train), **_score(data.train, data.test, source)})
    return {"rows": rows, "hardware": hardware()}


def _score(train: Samples, test: Samples, source: str) -> dict:
    extract = _pixels if source == "pixels" else _extractor(source)
    began = time.perf_counter()
    x, z = extract(train), extract(test)
    milliseconds = (time.perf_counter() - began) / (len(train) + len(test)) * 1e3
    return {
        "linear_probe": linear_probe(x, train.labels, z, test.labels),
        "knn": nearest_neighbors(x, train.labels, z, test.labels),
        "purity": purity(train, x),
        "ms_per_image": milliseconds,
    }


def _pixels(samples: Samples) -> np.ndarray:
    x = torch.from_numpy(samples.images).permute(0, 3, 1, 2).float() / 255
    return F.interpolate(x, (16, 16), mode="bilinear", antialias=True).flatten(1).numpy()


def _extractor(source: str) -> Callable[[Samples], np.ndarray]:
    """Return samples -> frozen features (n, d), computed in one process a core."""
    shape = read_manifest()["model"]
    config = ViTConfig(**{**shape, "stem_widths": tuple(shape["stem_widths"]), "drop_path": 0.0})
    backbone = load_backbone("embedded" if source == "embedded" else BackboneSpec(random=config))
    executor = LocalExecutor()
    warm_up(backbone, executor)

    def extract(samples: Samples) -> np.ndarray:
        derived = Derived(backbone, None, executor)
        derived.ensure(samples, trunk=False)
        return derived.features(samples.digests)

    return extract


def linear_probe(x: np.ndarray, y: np.ndarray, z: np.ndarray, t: np.ndarray) -> float:
    """Accuracy on (z, t) of a linear classifier on standardized features x with labels y.

    Logistic regression or shrunken linear discriminant analysis, whichever is better on a tenth of x that it was not fitted on;
    the test set chooses nothing.
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probes = [
        make_pipeline(StandardScaler(), LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.01)),
        make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=100)),
    ]
    held = np.random.default_rng(0).random(len(x)) < 0.1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # stopping early only costs the probe accuracy
        best = max(probes, key=lambda probe: probe.fit(x[~held], y[~held]).score(x[held], y[held]))
        return float(best.fit(x, y).score(z, t))


def nearest_neighbors(x: np.ndarray, y: np.ndarray, z: np.ndarray, t: np.ndarray) -> float:
    """Accuracy on (z, t) of 5 nearest neighbors by cosine."""
    from sklearn.neighbors import KNeighborsClassifier

    unit = lambda a: a / np.maximum(np.linalg.norm(a, axis=1, keepdims=True), 1e-12)  # noqa: E731
    return float(KNeighborsClassifier(5, algorithm="brute").fit(unit(x), y).score(unit(z), t))


def purity(samples: Samples, features: np.ndarray) -> float:
    """Share of samples whose class is the most common one of their cluster, under the hierarchical partition, which any features have."""
    partition = make_partition(samples.digests, lambda rows: features[rows], PartitionConfig("hierarchical"))
    return majority_share(partition.assignment, samples.labels)
