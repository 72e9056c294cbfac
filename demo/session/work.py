"""Long work behind a button: it is queued, shown as busy, reported while it runs, can be cancelled, and always comes to rest.

Every button that starts something long describes it as `Work` and hands the rest to `carry`: forgetting, full retraining, checks
and replays of the ledger, comparisons, membership tests, residue scans.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.errors import CancelledError, InputError, LMEraserError
from core.runtime.progress import Progress, ProgressCallback
from demo import texts
from demo.session.jobs import Finished, Job, Jobs
from demo.session.requests import Request
from demo.session.visitor import Visitor

if TYPE_CHECKING:
    from demo.session.lab import Lab

Updates = dict[str, Any]
PAUSE = 0.05  # seconds between two reports of the same stage


@dataclass(frozen=True)
class Work:
    """What runs, and what the page shows of it. All but `run` return updates by component name.

    run: called in the queue's thread with a function that sends events to the page, and the event that cancels.
    busy: shown at once. event: shown for what is sent meanwhile. done: shown for the result. stopped: shown after an error, too.
    """

    run: Callable[[Callable[[Any], None], threading.Event], Any]
    busy: Callable[[Job], Updates]
    event: Callable[[Any, Job], Updates]
    done: Callable[[Any], Updates]
    stopped: Callable[[Exception], Updates]


async def carry(jobs: Jobs, visitor: Visitor, job: Job, work: Work) -> AsyncIterator[Updates]:
    """Yield the page's updates from the first to the last; then raise what the work raised, unless it was cancelled.

    `job` was submitted with `work.run`. When the page goes meanwhile, a job that is not lasting stops.
    """
    try:
        yield work.busy(job)
        async for event in jobs.follow(job):
            if not isinstance(event, Finished):
                shown = work.event(event, job)
            else:
                shown = {} if visitor.closed else await asyncio.to_thread(work.done, event.result)
            if shown:
                yield shown
    except Exception as error:  # whatever it was, the page comes to rest first
        if not visitor.closed:
            yield work.stopped(error)
        if not isinstance(error, CancelledError):
            raise
    finally:
        job.abandon()


def begin_study(lab: Lab, token: str | None) -> tuple[Visitor, Request]:
    """Return the visitor and the request that a study can begin on; raises NotFittedError, InputError saying why none can."""
    visitor = lab.free(token)
    if visitor.study:
        raise InputError(texts.STUDY_BUSY)
    if visitor.last is None:
        raise InputError(texts.NOTHING_FORGOTTEN)
    return visitor, visitor.last


def stop_study(lab: Lab, token: str | None) -> None:
    """Ask the visitor's study to end."""
    visitor = lab.find(token)
    if visitor is not None and visitor.study:
        visitor.study.stop()


class InterruptedRequestError(LMEraserError):
    """The program ends while a request is under way; a recorded one is completed at the next start."""


def progress_of(send: Callable[[Progress], None], lab: Lab | None = None) -> ProgressCallback:
    """Return a callback that passes on at most some 20 reports a second, and every stage's last.

    With a lab, it raises InterruptedRequestError once the lab closes.
    """
    last = [0.0]

    def report(progress: Progress) -> None:
        if lab is not None and lab.closing:
            raise InterruptedRequestError(texts.INTERRUPTED)
        now = time.monotonic()
        if progress.done >= progress.total or now - last[0] > PAUSE:
            last[0] = now
            send(progress)

    return report
