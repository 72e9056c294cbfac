"""Reports how far long work is, and stops it on request, down to the single training step.

A training loop deep inside a pure function has no callback, and one in its job would have to travel to other processes. So the
thread that waits opens a `watching` block, and loops in that thread call `step`. Nothing that is computed depends on it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from core.errors import CancelledError


@dataclass(frozen=True)
class Progress:
    """One report of work under way: `done` of `total` units of a stage; `keys` names the clusters that have just finished."""

    stage: str  # features, train, evaluate
    done: int
    total: int
    keys: tuple[str, ...] = ()


ProgressCallback = Callable[[Progress], None]

Report = Callable[[int, int], None]  # done, total


@dataclass(eq=False)
class _Watch:
    report: Report
    cancel: threading.Event | None
    counting: bool = False  # whole jobs are being counted, so their steps are not


_watch: ContextVar[_Watch | None] = ContextVar("watch", default=None)


@contextmanager
def watching(report: Report, cancel: threading.Event | None = None) -> Iterator[None]:
    """Within this block, report the steps of loops in this thread, and end them with CancelledError once `cancel` is set."""
    token = _watch.set(_Watch(report, cancel))
    try:
        yield
    finally:
        _watch.reset(token)


def check(cancel: threading.Event | None) -> None:
    """Raise CancelledError when the event is set."""
    if cancel is not None and cancel.is_set():
        raise CancelledError("Cancelled; the model is as it was before.")


def step(done: int, total: int) -> None:
    """Report that a loop in this thread has done so many of its steps; raises CancelledError when the watcher asked to stop."""
    watch = _watch.get()
    if watch is None:
        return
    check(watch.cancel)
    if not watch.counting:
        watch.report(done, total)


@contextmanager
def job(done: int, total: int) -> Iterator[None]:
    """Run one job of `total`; when there are several, whole jobs are reported instead of their steps."""
    watch = _watch.get()
    if watch is None or watch.counting or total <= 1:
        yield
        return
    step(done, total)
    watch.counting = True
    try:
        yield
    finally:
        watch.counting = False
