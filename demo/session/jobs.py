"""Two queues of long computations that share the machine: requests, and studies, which nobody's request should wait for.

In either queue one job runs at a time, in the order of arrival. A lasting job goes on when nobody follows it any more: only `stop`,
a person's own Cancel, ends it early.

A job is any function of (progress, cancel). Events reach an async handler as they happen; nothing here knows what is computed.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from core.errors import CancelledError, LMEraserError
from core.runtime.progress import Progress, ProgressCallback

Work = Callable[[ProgressCallback, threading.Event], Any]


class QueueFullError(LMEraserError):
    """Too many jobs are waiting."""


@dataclass(frozen=True)
class Waiting:
    """The job has not begun; `ahead` others come first."""

    ahead: int


@dataclass(frozen=True, eq=False)
class Finished:
    """The job is over; `result` is what it returned."""

    result: Any


class Job:
    """One computation, waiting or running."""

    def __init__(self, study: bool = False, lasting: bool = False):
        self.study, self.lasting = study, lasting
        self.cancel = threading.Event()
        self.events: asyncio.Queue = asyncio.Queue()
        self.started = False
        self._over = False
        self._then: list[Callable[[], Any]] = []
        self._lock = threading.Lock()

    def stop(self) -> None:
        """Ask it to end; a job that waits never begins, one that runs stops at its next step."""
        self.cancel.set()

    def abandon(self) -> None:
        """Take note that nobody waits for it any more; a lasting job goes on."""
        if not self.lasting:
            self.stop()

    def when_over(self, call: Callable[[], Any]) -> None:
        """Call a function in the job's thread once it is over, before its last event is sent; at once if it is over already."""
        with self._lock:
            if not self._over:
                self._then.append(call)
                return
        call()

    def end(self) -> None:
        """Take note that it is over."""
        with self._lock:
            self._over, calls, self._then = True, self._then, []
        for call in calls:
            call()


class Jobs:
    """The queues. `limit` is the most jobs that may wait or run at once."""

    def __init__(self, limit: int = 20):
        self.limit = limit
        self._jobs: list[Job] = []
        self._lock = threading.Lock()
        self._requests = ThreadPoolExecutor(1, thread_name_prefix="lmeraser-job")
        self._studies = ThreadPoolExecutor(1, thread_name_prefix="lmeraser-study")

    def submit(self, work: Work, study: bool = False, lasting: bool = False) -> Job:
        """Queue the work, to be called from a running event loop; raises QueueFullError."""
        job, loop = Job(study, lasting), asyncio.get_running_loop()
        with self._lock:
            if len(self._jobs) >= self.limit:
                raise QueueFullError(f"{len(self._jobs)} requests are already waiting, the most this machine takes. Try again in a minute.")
            self._jobs.append(job)
        pool = self._studies if study else self._requests

        def send(event: Any) -> None:
            loop.call_soon_threadsafe(job.events.put_nowait, event)

        pool.submit(self._run, job, work, send)
        return job

    @property
    def idle(self) -> bool:
        """Whether nobody's request waits or runs; what only brings a page up to date does not count."""
        with self._lock:
            return not any(job.lasting for job in self._jobs)

    def ahead(self, job: Job) -> int:
        """Return how many jobs of the same queue come before this one."""
        with self._lock:
            return sum(other.study == job.study for other in self._jobs[: self._jobs.index(job)]) if job in self._jobs else 0

    async def follow(self, job: Job) -> AsyncIterator[Waiting | Progress | Finished]:
        """Yield what happens to the job until it is over, then raise its error, if any. Leaving early ends it, unless it is lasting."""
        over = False
        try:
            while not over:
                event = await self._next(job)
                over = isinstance(event, (Finished, BaseException))
                if isinstance(event, BaseException):
                    raise event
                yield event
        finally:
            job.abandon()

    async def _next(self, job: Job):
        try:
            return await asyncio.wait_for(job.events.get(), 0.5 if not job.started else None)
        except TimeoutError:
            return Waiting(self.ahead(job))

    def _run(self, job: Job, work: Work, send: Callable[[Any], None]) -> None:
        try:
            if job.cancel.is_set():
                raise CancelledError("Cancelled before it began; nothing was changed.")
            job.started = True
            outcome: Any = Finished(work(send, job.cancel))
        except BaseException as error:  # handed to the waiting handler, which raises it
            outcome = error
        with self._lock:
            self._jobs.remove(job)
        job.end()
        _quietly(send, outcome)


def _quietly(send: Callable[[Any], None], event: Any) -> None:
    try:
        send(event)
    except RuntimeError:  # the page and its event loop are gone; nobody waits for this
        return
