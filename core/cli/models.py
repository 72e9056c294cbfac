"""Loads the data and fits the model that the options describe, with its states and features cached between runs."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from core.cli.options import import_options
from core.cli.output import ProgressBar
from core.runtime.cache_folder import cache_folder, usable
from core.runtime.progress import Progress

if TYPE_CHECKING:
    from core.backbone.model import Backbone
    from core.config import EraserConfig
    from core.data.datasets import Dataset
    from core.data.samples import Samples
    from core.lmeraser.eraser import LMEraser
    from core.lmeraser.records import Seconds


def configuration(args: argparse.Namespace) -> EraserConfig:
    """Return the preset with the command line's changes."""
    from core.config import preset, prompt_of_kind

    config = preset(args.preset)
    changes = {k: v for k, v in (("method", args.partition), ("clusters", args.clusters), ("cap", args.cap)) if v is not None}
    config = replace(config, partition=replace(config.partition, **changes))
    if args.prompt is not None and args.prompt != config.prompt.kind:
        config = replace(config, prompt=prompt_of_kind(args.prompt))
    if args.steps is not None:
        config = replace(config, train=replace(config.train, steps=args.steps))
    return config


def load_data(args: argparse.Namespace, bar: ProgressBar | None = None) -> Dataset:
    """Return the data set that the options name, its images no smaller than the backbone's input."""
    from core.backbone.model import input_size
    from core.data.datasets import load_dataset

    options = import_options(args, input_size(args.backbone))
    tell = None if bar is None else lambda done, total: bar(Progress("images", done, total))
    data = load_dataset(args.dataset, args.data_dir, args.limit, options, tell)
    if bar is not None:
        bar.close()
    if data.report is not None and (data.report.skipped or data.report.warnings) and not args.json:
        print(data.report.text(), file=sys.stderr)
    return data


def frozen_backbone(args: argparse.Namespace) -> Backbone:
    """Return the backbone that the options name, on their device."""
    from core.backbone.model import load_backbone
    from core.runtime.determinism import default_device

    return load_backbone(args.backbone, args.device or str(default_device()))


def unfitted(args: argparse.Namespace) -> LMEraser:
    """Return the eraser that the options describe; `fit` keeps its states in the cache."""
    from core.lmeraser.eraser import LMEraser
    from core.lmeraser.state_store import DirectoryStore
    from core.runtime.executors import LocalExecutor

    return LMEraser(configuration(args), frozen_backbone(args), DirectoryStore(_cache(args) / "states"), LocalExecutor(args.workers))


def _cache(args: argparse.Namespace) -> Path:
    return usable(args.cache) if args.cache else cache_folder()


def fitted(args: argparse.Namespace, data: Dataset, bar: ProgressBar) -> LMEraser:
    """Return an eraser fitted on the data; states and features that are in the cache are reused."""
    from core.backbone.feature_cache import features_file

    eraser = unfitted(args)
    features = features_file(_cache(args), data.train)
    eraser.load_features(features)
    eraser.fit(data.train, progress=bar)
    if eraser.derived_images_:
        eraser.save_features(features)
    bar.close()
    return eraser


def selected(args: argparse.Namespace, samples: Samples, default_count: int | None = None) -> tuple[str, ...]:
    """Return the ids that the options choose, or `default_count` random ones when no option does; raises InputError for none."""
    from core.data.selection import select

    count = args.count if chooses_samples(args) else default_count
    return select(samples, args.ids, args.subject, args.label, count, args.seed)


def chooses_samples(args: argparse.Namespace) -> bool:
    """Return whether any option says which samples to forget."""
    return any(value is not None for value in (args.ids, args.subject, args.label, args.count))


def request_on_private_copy(args: argparse.Namespace, bar: ProgressBar) -> tuple[Dataset, LMEraser, tuple[str, ...]]:
    """Return (data set, private copy of the fitted model, ids to forget); without options the request is one random sample."""
    data = load_data(args, bar)
    ids = selected(args, data.train, default_count=1)
    return data, fitted(args, data, bar).fork(), ids


def seconds_json(seconds: Seconds, evaluate: float) -> dict[str, float]:
    """Return wall time by part, with the time of the evaluation; the total leaves the evaluation out."""
    return {**asdict(seconds), "evaluate": evaluate, "total": seconds.total}
