"""Trains a model from scratch in a separate process with an empty store: the control that every proof compares with."""

from __future__ import annotations

import multiprocessing
import threading
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.connection import Connection

from core.backbone import BackboneSpec, load_backbone
from core.eraser import LMEraser
from core.executors import InlineExecutor, LocalExecutor, check
from core.types import EraserConfig, ProgressCallback, Samples, Seconds


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


def train_from_scratch(job: CleanRoomJob, progress: ProgressCallback | None = None) -> CleanRoomResult:
    """Fit in this process and return root, digests and time."""
    executor = LocalExecutor(job.workers) if job.workers > 1 else InlineExecutor()
    try:
        eraser = LMEraser(job.config, load_backbone(job.backbone, job.device), executor=executor).fit(job.samples, progress=progress)
    finally:
        executor.close()
    return CleanRoomResult(eraser.root_, {k: s.digest for k, s in eraser.states_.items()}, eraser.outcome_.seconds)


def clean_room(
    eraser: LMEraser, workers: int = 1, progress: ProgressCallback | None = None, cancel: threading.Event | None = None
) -> CleanRoomResult:
    """Fit a model's configuration on its present samples in a fresh process; raises what the fit raises.

    Raises CancelledError once `cancel` is set (the process is then ended), BrokenProcessPool when it ends without an answer.
    """
    backbone = eraser.backbone_
    job = CleanRoomJob(eraser.samples_, eraser.config_, backbone.spec, str(backbone.device), workers)
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(job, there), name="lmeraser-clean-room")
    process.start()
    there.close()  # so that the pipe ends with the process
    try:
        result = _followed(here, progress, cancel)
        process.join(10)  # it is over; ended by force, it would leave its semaphores behind
        return result
    finally:
        process.terminate()
        process.join()
        here.close()


def _answer(job: CleanRoomJob, pipe: Connection) -> None:
    """Send progress, then the result or the error that ended the fit."""
    try:
        pipe.send(train_from_scratch(job, pipe.send))
    except Exception as error:
        pipe.send(error)


def _followed(pipe: Connection, progress: ProgressCallback | None, cancel: threading.Event | None) -> CleanRoomResult:
    while True:
        check(cancel)
        if not pipe.poll(0.1):
            continue
        try:
            message = pipe.recv()
        except EOFError as error:
            raise BrokenProcessPool("The clean room's process ended before it had a model; memory may have run out.") from error
        if isinstance(message, Exception):
            raise message
        if isinstance(message, CleanRoomResult):
            return message
        if progress:
            progress(message)


def untouched_equal(eraser: LMEraser, untouched: tuple[str, ...], control: CleanRoomResult) -> bool:
    """Return whether every cluster that a request left alone has, in the clean room, the very same digest."""
    return all(control.digests.get(key) == eraser.states_[key].digest for key in untouched)
