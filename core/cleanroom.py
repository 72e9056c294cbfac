"""Trains a model from scratch in a separate process with an empty store: the control that every proof compares with."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from core.backbone import BackboneSpec, load_backbone
from core.eraser import LMEraser
from core.executors import InlineExecutor, LocalExecutor
from core.types import EraserConfig, Samples, Seconds


@dataclass(frozen=True, eq=False)
class CleanRoomJob:
    """What the clean room is given: the samples that remain, the configuration, and a backbone's name. No state, no store."""

    samples: Samples
    config: EraserConfig
    backbone: BackboneSpec
    device: str
    workers: int


@dataclass(frozen=True)
class CleanRoomResult:
    """The clean room's root, each cluster state's digest by key, and the time it took."""

    root: str
    digests: dict[str, str]
    seconds: Seconds


def train_from_scratch(job: CleanRoomJob) -> CleanRoomResult:
    """Fit in this process and return root, digests and time."""
    executor = LocalExecutor(job.workers) if job.workers > 1 else InlineExecutor()
    try:
        eraser = LMEraser(job.config, load_backbone(job.backbone, job.device), executor=executor).fit(job.samples)
    finally:
        executor.close()
    return CleanRoomResult(eraser.root_, {k: s.digest for k, s in eraser.states_.items()}, eraser.outcome_.seconds)


def clean_room(eraser: LMEraser, workers: int = 1) -> CleanRoomResult:
    """Fit a model's configuration on its present samples in a fresh process; raises what the fit raises."""
    backbone = eraser.backbone_
    job = CleanRoomJob(eraser.samples_, eraser.config_, backbone.spec, str(backbone.device), workers)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(train_from_scratch, job).result()


def untouched_equal(eraser: LMEraser, untouched: tuple[str, ...], control: CleanRoomResult) -> bool:
    """Return whether every cluster that a request left alone has, in the clean room, the very same digest."""
    return all(control.digests.get(key) == eraser.states_[key].digest for key in untouched)
