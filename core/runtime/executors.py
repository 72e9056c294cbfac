"""Runs a pure function over many jobs: in this process (`InlineExecutor`) or in worker processes (`LocalExecutor`).

Results do not depend on the executor, because each job pins its threads and brings its own seed.
"""

from __future__ import annotations

import atexit
import importlib
import multiprocessing
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

from core.errors import InputError
from core.runtime import progress
from core.runtime.progress import check

Job = TypeVar("Job")
Job_co = TypeVar("Job_co", covariant=True)
Result = TypeVar("Result")


class Jobs(Protocol[Job_co]):
    """What `map` reads its jobs from: a list, or `Lazy`."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Job_co: ...


class Lazy(Generic[Job]):
    """A sequence of n jobs, each made only when it is read, so that their arrays never exist all at once."""

    def __init__(self, make: Callable[[int], Job], n: int):
        self._make, self._n = make, n

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, index: int, /) -> Job:
        if not 0 <= index < self._n:
            raise IndexError(index)
        return self._make(index)


class Executor(ABC):
    """Where jobs run."""

    workers: int = 1

    @abstractmethod
    def map(
        self, function: Callable[[Job], Result], jobs: Jobs[Job], cancel: threading.Event | None = None
    ) -> Iterator[tuple[int, Result]]:
        """Yield (index of the job, its result) as jobs finish, in any order; raises CancelledError once `cancel` is set."""

    def close(self) -> None:  # noqa: B027 (most executors hold nothing)
        """Release worker processes, if any."""


class InlineExecutor(Executor):
    """Runs jobs one after the other in the calling thread; `backwards` is for tests of independence from order."""

    def __init__(self, backwards: bool = False):
        self.backwards = backwards

    def map(
        self, function: Callable[[Job], Result], jobs: Jobs[Job], cancel: threading.Event | None = None
    ) -> Iterator[tuple[int, Result]]:
        order = reversed(range(len(jobs))) if self.backwards else range(len(jobs))
        for done, i in enumerate(order):
            check(cancel)
            with progress.job(done, len(jobs)):
                result = function(jobs[i])
            yield i, result


class LocalExecutor(Executor):
    """Runs jobs in worker processes that stay alive between calls; a single job runs in the calling thread.

    `workers` None: one for each core this process may use. Jobs on an accelerator run in the calling thread, one by one.
    """

    def __init__(self, workers: int | None = None):
        if workers is not None and workers < 1:
            raise InputError(f"workers is {workers}; give at least 1, or leave it out for one per core.")
        self.workers = workers or cores()
        self._pool: ProcessPoolExecutor | None = None
        self._lock = threading.Lock()
        atexit.register(self.close)

    def map(
        self, function: Callable[[Job], Result], jobs: Jobs[Job], cancel: threading.Event | None = None
    ) -> Iterator[tuple[int, Result]]:
        if self.workers == 1 or len(jobs) <= 1 or getattr(jobs[0], "device", "cpu") != "cpu":
            yield from InlineExecutor().map(function, jobs, cancel)
            return
        yield from self._in_processes(function, jobs, cancel)

    def warm_up(self, *modules: str) -> None:
        """Start the worker processes and import the named modules there, so that the first request does not wait for that."""
        if self.workers > 1:
            wait([self._processes().submit(_import, modules) for _ in range(self.workers)])

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

    def _in_processes(
        self, function: Callable[[Job], Result], jobs: Jobs[Job], cancel: threading.Event | None
    ) -> Iterator[tuple[int, Result]]:
        todo = list(reversed(range(len(jobs))))
        running: dict[Future[Result], int] = {}
        try:
            while todo or running:
                check(cancel)
                progress.step(len(jobs) - len(todo) - len(running), len(jobs))
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
        with suppress(BrokenProcessPool, RuntimeError):  # the pool has ended, and the thread with it
            future = self._pool.submit(_import, ()) if self._pool else None
            if future and wait:
                future.result()


def _end_with_parent() -> None:
    """Let a worker process end as soon as the process that started it is gone, even if that was killed."""

    def wait_and_end() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait_and_end, daemon=True).start()


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _import(modules: tuple[str, ...]) -> None:
    for module in modules:
        importlib.import_module(module)
