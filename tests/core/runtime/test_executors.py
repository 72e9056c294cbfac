import operator
import threading

import pytest

from core.errors import CancelledError, InputError
from core.runtime.executors import InlineExecutor, LocalExecutor


def test_results_name_their_jobs():
    assert dict(InlineExecutor().map(abs, [-1, -2])) == {0: 1, 1: 2}
    assert [i for i, _ in InlineExecutor(backwards=True).map(abs, [-1, -2])] == [1, 0]


def test_processes_give_the_same_and_a_job_s_error_comes_back():
    executor = LocalExecutor(2)
    try:
        assert dict(executor.map(abs, [-3, -4, -5])) == {0: 3, 1: 4, 2: 5}
        with pytest.raises(TypeError):
            dict(executor.map(operator.neg, ["a", "b", "c"]))
        event = threading.Event()
        event.set()
        with pytest.raises(CancelledError):
            list(executor.map(abs, [1, 2, 3], event))
        assert dict(executor.map(abs, [-6, -7])) == {0: 6, 1: 7}
    finally:
        executor.close()


def test_a_set_event_cancels():
    event = threading.Event()
    results = InlineExecutor().map(abs, [1, 2], event)
    next(results)
    event.set()
    with pytest.raises(CancelledError, match="as it was before"):
        next(results)


def test_zero_workers_are_refused():
    with pytest.raises(InputError, match="at least 1"):
        LocalExecutor(0)
