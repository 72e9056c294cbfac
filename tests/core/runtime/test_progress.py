"""Watching long work: reports from loops in this thread, and an end on request."""

import threading

import pytest

from core.errors import CancelledError
from core.runtime import progress
from core.runtime.executors import InlineExecutor


def steps(job):
    for done in range(job):
        progress.step(done, job)
    return job


def test_nobody_watching_changes_nothing():
    assert steps(3) == 3


def test_a_single_job_reports_its_steps_and_several_report_themselves():
    seen = []
    with progress.watching(lambda *n: seen.append(n)):
        assert list(InlineExecutor().map(steps, [2])) == [(0, 2)]
        assert seen == [(0, 2), (1, 2)]
        seen.clear()
        assert len(list(InlineExecutor().map(steps, [2, 2, 2]))) == 3
        assert seen == [(0, 3), (1, 3), (2, 3)]
    steps(2)
    assert len(seen) == 3


@pytest.mark.parametrize("jobs", [[5], [5, 5]])
def test_work_ends_at_the_next_step_once_asked_to(jobs):
    cancel = threading.Event()
    with progress.watching(lambda done, total: cancel.set(), cancel), pytest.raises(CancelledError):
        list(InlineExecutor().map(steps, jobs))


def test_another_thread_is_not_watched():
    seen = []
    with progress.watching(lambda *n: seen.append(n)):
        thread = threading.Thread(target=steps, args=(3,))
        thread.start()
        thread.join()
    assert seen == []
