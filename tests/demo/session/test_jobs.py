"""The queue of long computations: order, progress, cancel, errors and the limit."""

import asyncio
import threading

import pytest

from core.errors import CancelledError
from core.runtime.progress import Progress
from demo.session.jobs import Finished, Jobs, QueueFullError, Waiting


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 20))


async def events_of(jobs, job):
    return [event async for event in jobs.follow(job)]


def test_progress_arrives_in_order_and_then_the_result():
    def work(progress, cancel):
        for done in range(3):
            progress(Progress("train", done, 3))
        return "done"

    async def main():
        jobs = Jobs()
        return await events_of(jobs, jobs.submit(work))

    *steps, last = run(main())
    assert [s.done for s in steps if isinstance(s, Progress)] == [0, 1, 2]
    assert isinstance(last, Finished)
    assert last.result == "done"


def test_a_second_job_waits_and_says_how_many_are_ahead():
    gate = threading.Event()

    async def main():
        jobs = Jobs()
        first, second = jobs.submit(lambda p, c: gate.wait(10)), jobs.submit(lambda p, c: 2)
        following = jobs.follow(second)
        waiting = await anext(following)
        gate.set()
        return waiting, [e async for e in following][-1].result, await events_of(jobs, first)

    waiting, result, _ = run(main())
    assert isinstance(waiting, Waiting)
    assert waiting.ahead == 1
    assert result == 2


def test_no_request_waits_for_a_study():
    gate = threading.Event()

    async def main():
        jobs = Jobs()
        study, request = jobs.submit(lambda p, c: gate.wait(10), study=True), jobs.submit(lambda p, c: 2)
        assert jobs.ahead(request) == 0
        result = (await events_of(jobs, request))[-1].result
        waiting = jobs.submit(lambda p, c: 3, study=True)
        assert jobs.ahead(waiting) == 1
        gate.set()
        await events_of(jobs, study)
        return result, (await events_of(jobs, waiting))[-1].result

    assert run(main()) == (2, 3)


def test_a_cancelled_job_stops_and_one_that_waits_never_begins():
    began = []

    def slow(progress, cancel):
        if cancel.wait(10):
            raise CancelledError("stopped")

    async def main():
        jobs = Jobs()
        first, second = jobs.submit(slow), jobs.submit(lambda p, c: began.append(1))
        second.stop()
        first.stop()
        for job in (first, second):
            with pytest.raises(CancelledError):
                await events_of(jobs, job)

    run(main())
    assert not began


def test_errors_reach_whoever_waits():
    def broken(progress, cancel):
        raise ZeroDivisionError

    async def main():
        jobs = Jobs()
        with pytest.raises(ZeroDivisionError):
            await events_of(jobs, jobs.submit(broken))

    run(main())


def test_a_full_queue_refuses_in_words():
    gate = threading.Event()

    async def main():
        jobs = Jobs(limit=1)
        job = jobs.submit(lambda p, c: gate.wait(10))
        with pytest.raises(QueueFullError, match="waiting"):
            jobs.submit(lambda p, c: None)
        gate.set()
        await events_of(jobs, job)

    run(main())
