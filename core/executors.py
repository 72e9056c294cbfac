"""Runs pure functions over jobs: in this process, or in worker processes of one thread each. One method, `map`.

Knows nothing of what the jobs are. Results do not depend on the executor: each job pins its threads and brings its own seed.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from typing import Any

from core import watch
from core.errors import CancelledError, InputError


class Lazy(Sequence):
    """A sequence of n jobs, each made only when it is asked for, so that not all of their arrays exist at once."""

    def __init__(self, make: Callable[[int], Any], n: int):
        self._make, self._n = make, n

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, index: int) -> Any:
        if not 0 <= index < self._n:
            raise IndexError(index)
        return self._make(index)


class Executor(ABC):
    """Where jobs run."""

    workers: int = 1

    @abstractmethod
    def map(self, function: Callable, jobs: Sequence, cancel: threading.Event | None = None) -> Iterator[tuple[int, Any]]:
        """Yield (index of the job, its result) as jobs finish, in any order; raises CancelledError once `cancel` is set."""

    def close(self) -> None:  # noqa: B027 (most executors hold nothing)
        """Release worker processes, if any."""


class InlineExecutor(Executor):
    """Runs jobs one after the other in the calling thread; `backwards` is for tests of independence from order."""

    def __init__(self, backwards: bool = False):
        self.backwards = backwards

    def map(self, function: Callable, jobs: Sequence, cancel: threading.Event | None = None) -> Iterator[tuple[int, Any]]:
        order = reversed(range(len(jobs))) if self.backwards else range(len(jobs))
        for done, i in enumerate(order):
            check(cancel)
            with watch.job(done, len(jobs)):
                result = function(jobs[i])
            yield i, result


class LocalExecutor(Executor):
    """Runs jobs in worker processes that stay alive between calls; a single job runs in the calling thread.

    `workers` None: one for each core this process may use. Jobs on an accelerator run in the calling thread, one by one.
    """

    def __init__(self, workers: int | None = None):
        if workers is not None and workers < 1:
            raise InputError(f"workers is {workers}; give at least 1, or leave it out for one a core.")
        self.workers = workers or _cores()
        self._pool: ProcessPoolExecutor | None = None
        self._lock = threading.Lock()
        atexit.register(self.close)

    def map(self, function: Callable, jobs: Sequence, cancel: threading.Event | None = None) -> Iterator[tuple[int, Any]]:
        if self.workers == 1 or len(jobs) <= 1 or getattr(jobs[0], "device", "cpu") != "cpu":
            yield from InlineExecutor().map(function, jobs, cancel)
            return
        yield from self._in_processes(function, jobs, cancel)

    def warm_up(self) -> None:
        """Start the worker processes now, so that the first request does not wait for them."""
        if self.workers > 1:
            wait([self._processes().submit(_import_engine) for _ in range(self.workers)])

    def close(self) -> None:
        with self._lock:
            if self._pool is not None:
                self._pool.shutdown(wait=False, cancel_futures=True)
                self._pool = None

    def _processes(self) -> ProcessPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ProcessPoolExecutor(
                    self.workers, mp_context=multiprocessing.get_context("spawn"), initializer=_end_with_parent
                )
            return self._pool

    def _in_processes(self, function, jobs, cancel) -> Iterator[tuple[int, Any]]:
        todo = list(reversed(range(len(jobs))))
        running = {}
        try:
            while todo or running:
                check(cancel)
                watch.step(len(jobs) - len(todo) - len(running), len(jobs))
                while todo and len(running) < 2 * self.workers:  # a short queue, so that a cancel takes hold soon
                    i = todo.pop()
                    running[self._processes().submit(function, jobs[i])] = i
                done, _ = wait(running, timeout=0.1, return_when=FIRST_COMPLETED)
                for future in done:
                    yield running.pop(future), future.result()
        except BrokenProcessPool:
            self.close()
            raise
        finally:
            for future in running:
                future.cancel()
            self._push_out(wait=not running)

    def _push_out(self, wait: bool) -> None:
        """Send an empty job: the thread that feeds the workers keeps the last job, with its samples, until it sends another."""
        with suppress(BrokenProcessPool, RuntimeError):  # the pool was ended meanwhile, and the thread with it
            future = self._pool.submit(_nothing) if self._pool else None
            if future and wait:
                future.result()


def _end_with_parent() -> None:
    """Let a worker process end as soon as the process that started it is gone, even if that was killed."""

    def wait_and_end() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=wait_and_end, daemon=True).start()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _nothing() -> None:
    """The empty job."""


def _import_engine() -> None:
    import core.train  # noqa: F401


def check(cancel: threading.Event | None) -> None:
    """Raise CancelledError when the event is set."""
    if cancel is not None and cancel.is_set():
        raise CancelledError("Cancelled; the model is as it was before.")
