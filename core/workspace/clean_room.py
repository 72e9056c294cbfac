"""Trains, in a separate process, the model that never saw the requested samples: the control that every proof compares with.

It is given the data before the request and the requested ids, and derives what remains by itself. It uses none of the eraser's code to
delete, no state and no store, so it disagrees with a model that deleted the wrong sample.
"""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.connection import Connection

import numpy as np

from core.backbone.model import Backbone, BackboneSpec, load_backbone
from core.config import EraserConfig
from core.data.samples import Samples, sample_digest
from core.errors import DataError, UnknownSampleError
from core.lmeraser.eraser import LMEraser
from core.lmeraser.records import Seconds
from core.runtime.executors import InlineExecutor, LocalExecutor
from core.runtime.progress import ProgressCallback, check
from core.workspace.merkle import merkle_root

PROBES = 64  # remaining samples whose answers are compared, and as many requested ones


@dataclass(frozen=True, eq=False)
class CleanRoomJob:
    """What the clean room is given: the data before the request, the requested ids, the configuration and a backbone's name."""

    before: Samples
    ids: tuple[str, ...]
    config: EraserConfig
    backbone: BackboneSpec
    device: str
    workers: int


@dataclass(frozen=True, eq=False)
class CleanRoomResult:
    """The clean room's root, each cluster state's digest by key, the samples that it derived, and its answers.

    `retained` is the Merkle root over the ids that remained, `samples` their number. `probes` are the ids of the samples that it
    classified, and `answers` the class probabilities (probes, classes).
    """

    root: str
    digests: dict[str, str]
    seconds: Seconds
    samples: int
    retained: str
    probes: tuple[str, ...]
    answers: np.ndarray


def survivors(before: Samples, ids: Sequence[str]) -> Samples:
    """Return what remains of the data without the requested ids, after checking that every id is that of its pixels and label.

    Raises DataError for a sample that is not what its id says, UnknownSampleError for a requested id that is not there.
    """
    requested = set(ids)
    remaining: list[int] = []
    removed: set[str] = set()
    for row, name in enumerate(before.ids):
        if name.rpartition("-")[0] != sample_digest(before.images[row], int(before.labels[row])):
            raise DataError(f"Sample {name[:16]}... is not the image that its id was made of. Give the data as before the request.")
        if name in requested:
            removed.add(name)
        else:
            remaining.append(row)
    missing = requested - removed
    if missing or len(remaining) + len(requested) != len(before.ids):
        raise UnknownSampleError(
            f"{len(missing)} of {len(requested)} requested ids are not in the data before the request "
            f"(first: {min(missing, default='an id occurs twice')[:16]}...). Give the data as they were before the request."
        )
    subjects = None if before.subjects is None else tuple(before.subjects[row] for row in remaining)
    names = tuple(before.ids[row] for row in remaining)
    return Samples(before.images[remaining], before.labels[remaining], before.classes, names, subjects)


def train_from_scratch(job: CleanRoomJob, progress: ProgressCallback | None = None) -> CleanRoomResult:
    """Fit in this process on what remains and return the result; raises what `survivors` and the fit raise."""
    remaining = survivors(job.before, job.ids)
    executor = LocalExecutor(job.workers) if job.workers > 1 else InlineExecutor()
    try:
        eraser = LMEraser(job.config, load_backbone(job.backbone, job.device), executor=executor).fit(remaining, progress=progress)
        probes = probe_ids(remaining.ids, job.ids)
        row_of = {name: row for row, name in enumerate(job.before.ids)}
        answers = eraser.predict_proba(job.before.images[[row_of[name] for name in probes]])
    finally:
        executor.close()
    digests = {key: state.digest for key, state in eraser.states_.items()}
    retained = merkle_root(remaining.ids)
    return CleanRoomResult(eraser.root_, digests, eraser.outcome_.seconds, len(remaining), retained, probes, answers)


def probe_ids(remaining: Sequence[str], requested: Sequence[str]) -> tuple[str, ...]:
    """Return the ids of the samples that both models classify: up to `PROBES` requested ones, and as many that remain."""
    return (*sorted(requested)[:PROBES], *sorted(remaining)[:PROBES])


def clean_room(
    before: Samples,
    ids: Sequence[str],
    config: EraserConfig,
    backbone: Backbone,
    workers: int = 1,
    progress: ProgressCallback | None = None,
    cancel: threading.Event | None = None,
) -> CleanRoomResult:
    """Train in a fresh process on `before` without `ids`; raises what `survivors` and the fit raise.

    Raises CancelledError once `cancel` is set (the process is then ended), BrokenProcessPool when it ends without an answer.
    """
    job = CleanRoomJob(before, tuple(ids), config, backbone.spec, str(backbone.device), workers)
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(job, there), name="lmeraser-clean-room")
    process.start()
    there.close()  # so that the pipe ends with the process
    try:
        result = _followed(here, progress, cancel)
        process.join(10)  # it has finished; if terminated, it would leave its semaphores behind
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
