"""A reload or a lost connection after Forget: the request completes; only Cancel withdraws it. Studies and checks stop."""

import asyncio
import json
import threading
import time
from types import SimpleNamespace

import pytest

from core.errors import CancelledError
from core.runtime.progress import Progress
from demo.session.jobs import Jobs
from demo.session.lab import Lab
from demo.session.work import InterruptedRequestError, progress_of
from demo.tabs.page import Page
from tests.demo.fake import FakeEngine, fake_samples
from tests.demo.tabs.test_page import page


class Kept(FakeEngine):
    """One model for all visitors."""

    def numbering(self, samples):
        return "0123456789abcdef"


@pytest.fixture
def shared(tmp_path):
    samples = fake_samples()
    lab = Lab(Kept(samples), samples, tmp_path, shared="kept")
    lab.start().join()
    yield lab
    lab.close()


async def until(condition) -> None:
    for _ in range(400):
        if condition():
            return
        await asyncio.sleep(0.02)
    pytest.fail("it never came to that")


async def lost(generator, after: int = 1) -> None:
    """Follow an event for a while, then lose the connection."""
    for _ in range(after):
        await anext(generator)
    await generator.aclose()


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 30))


def press(lab, site, *rows, pause=0.3):
    visitor = lab.enter()
    visitor.page = "p"
    visitor.model.pause = pause
    site.request.select(visitor.token, list(rows))
    return visitor


@pytest.mark.parametrize("after", [1, 2])
def test_a_lost_connection_does_not_withdraw_a_request(lab, site, after):
    visitor = press(lab, site, 1, 2, 9)

    async def journey():
        await lost(site.request.forget(visitor.token), after)
        assert visitor.job is not None
        await until(lambda: visitor.job is None)

    run(journey())
    assert visitor.forgotten == (1, 2, 9)
    assert visitor.requests[0].receipt in visitor.model.receipts()
    assert (visitor.selection, visitor.plan) == ((), None)
    assert site.jobs._jobs == []


def test_a_request_that_still_waits_for_its_turn_completes_as_well(lab, site):
    gate = threading.Event()
    visitor = press(lab, site, 1, pause=0)

    async def journey():
        site.jobs.submit(lambda send, cancel: gate.wait(10))
        await lost(site.request.forget(visitor.token))
        gate.set()
        await until(lambda: visitor.job is None)

    run(journey())
    assert visitor.forgotten == (1,)


def test_only_cancel_withdraws(lab, site):
    visitor = press(lab, site, 1, pause=5)
    root = visitor.model.root

    async def journey():
        await lost(site.request.forget(visitor.token))
        site.request.cancel(visitor.token)
        await until(lambda: visitor.job is None)

    run(journey())
    assert visitor.forgotten == ()
    assert visitor.model.root == root


def test_the_next_page_of_a_kept_model_shows_the_request(shared):
    site = Page(shared, Jobs())
    visitor = press(shared, site, 1, 7, pause=0.8)

    async def journey():
        await lost(site.request.forget(visitor.token))
        site.depart(SimpleNamespace(session_hash="p"))
        seen = [updates async for updates in site.arrive(None, page("1, 2", shared.numbering.data))]  # while the request runs
        late = [updates async for updates in site.arrive(None, page())]
        return seen, late

    seen, late = run(journey())
    assert "A request is being completed" in seen[0]["status"]
    for updates in (seen[-1], late[-1]):
        assert "2 images forgotten" in updates["result"]
        assert "2 forgotten" in updates["status"] and "being completed" not in updates["status"]
    assert seen[-1]["map"]["value"] == [2]
    assert shared.under_way is None
    assert len(shared.base.model.receipts()) == 1


def test_a_request_that_ends_while_the_next_page_is_being_filled_is_shown(shared, monkeypatch):
    site = Page(shared, Jobs())
    visitor = press(shared, site, 1, 7, pause=0)
    everything = site.everything

    def meanwhile(arriving):
        shown = everything(arriving)
        if not visitor.requests:
            run(finished(site.request.forget(visitor.token)))
        return shown

    async def finished(generator):
        return [updates async for updates in generator]

    monkeypatch.setattr(site, "everything", meanwhile)
    assert "2 images forgotten" in run(finished(site.arrive(None, page())))[-1]["result"]


def test_a_request_that_is_noted_while_the_next_page_is_being_filled_is_shown(shared, monkeypatch):
    """The model had changed before, so its root says nothing."""
    site, model = Page(shared, Jobs()), shared.base.model
    visitor = press(shared, site, 1, 7, pause=0)
    changed, filled = threading.Event(), threading.Event()
    evaluate, everything, before = model.evaluate, site.everything, len(model.samples)

    def slowly(samples):
        if len(model.samples) < before:
            changed.set()
            filled.wait(10)
        return evaluate(samples)

    def meanwhile(arriving):
        shown = everything(arriving)
        if not filled.is_set():
            filled.set()
            for _ in range(400):
                if shared.under_way is None:
                    break
                time.sleep(0.02)
        return shown

    async def journey():
        await lost(site.request.forget(visitor.token))
        await asyncio.to_thread(changed.wait, 10)
        return [updates async for updates in site.arrive(None, page())]

    monkeypatch.setattr(model, "evaluate", slowly)
    monkeypatch.setattr(site, "everything", meanwhile)
    assert "2 images forgotten" in run(journey())[-1]["result"]


def test_a_page_can_be_filled_after_the_model_has_changed_and_before_the_request_is_done(shared, monkeypatch):
    site, other, model = Page(shared, Jobs()), shared.enter(), shared.base.model
    visitor = press(shared, site, 1, 7, pause=0)
    evaluate, before, seen = model.evaluate, len(model.samples), []

    def meanwhile(samples):
        if len(model.samples) < before and not visitor.requests:
            seen.append(site.everything(other))
        return evaluate(samples)

    async def followed():
        async for _ in site.request.forget(visitor.token):
            pass

    monkeypatch.setattr(model, "evaluate", meanwhile)
    run(followed())
    schemes = json.loads(seen[0]["map"]["paint"])["schemes"]
    assert "cluster" in schemes and "correct" not in schemes
    assert visitor.forgotten == (1, 7)
    assert "correct" in json.loads(site.everything(other)["map"]["paint"])["schemes"]


def test_a_visitor_who_leaves_is_let_go_only_after_the_request(lab, site, monkeypatch):
    visitor = press(lab, site, 1)
    done = []
    monkeypatch.setattr(lab, "done", lambda who, request, *args: (done.append(request.rows), Lab.done(lab, who, request, *args)))

    async def journey():
        await lost(site.request.forget(visitor.token))
        lab.leave(visitor.token)
        assert visitor.closed and visitor.model is not None
        await until(lambda: visitor.model is None and visitor.folder is None)

    run(journey())
    assert done == [(1,)]
    assert (visitor.model, visitor.folder, visitor.job, visitor.requests) == (None, None, None, [])
    assert list(lab.scratch.folder().parent.glob("*/ledger.sqlite")) == []
    assert site.jobs._jobs == []


def test_closing_the_page_ends_a_study_and_a_proof_but_no_request(lab, site):
    visitor = press(lab, site, 1, pause=0)

    async def journey():
        async for _ in site.request.forget(visitor.token):
            pass
        visitor.model.pause = 5
        lab.engine.pause = 5
        comparing, proving = site.compare.run(visitor.token, ["SISA"]), site.proof.full(visitor.token)
        for event in (comparing, proving):
            await anext(event)
        await until(lambda: visitor.study is not None or visitor.job is not None)
        step = asyncio.ensure_future(anext(comparing))
        await until(lambda: visitor.study is not None)
        site.depart(SimpleNamespace(session_hash="p"))
        await until(lambda: not site.jobs._jobs)
        await asyncio.gather(step, return_exceptions=True)
        await proving.aclose()
        await comparing.aclose()

    run(journey())
    assert (visitor.job, visitor.proving, visitor.study) == (None, 0, None)
    assert lab.verdict(visitor, 1).kind == "unchecked"


def test_a_proof_whose_connection_is_lost_stops(lab, site):
    visitor = press(lab, site, 1, pause=0)

    async def journey():
        async for _ in site.request.forget(visitor.token):
            pass
        visitor.model.pause = 5
        await lost(site.proof.full(visitor.token))
        await until(lambda: visitor.job is None)

    run(journey())
    assert site.jobs._jobs == []
    assert lab.verdict(visitor, 1).kind == "unchecked"


def test_a_reload_while_a_request_runs_takes_no_place_for_good(lab, site):
    """The queue has room again as soon as the orphaned requests are done."""
    site.jobs.limit = 3

    async def journey():
        for row in range(9):
            visitor = press(lab, site, row, pause=0.01)
            await lost(site.request.forget(visitor.token))
            site.depart(SimpleNamespace(session_hash="p"))
            lab.leave(visitor.token)
            await until(lambda: len(site.jobs._jobs) < 3)
        await until(lambda: not site.jobs._jobs)

    run(journey())
    assert lab._visitors == {}


def test_when_the_program_ends_a_request_stops_and_stays_recorded(lab):
    report = progress_of(lambda progress: None, lab)
    report(Progress("train", 1, 2))
    lab.close()
    with pytest.raises(InterruptedRequestError, match="completed at the next start"):
        report(Progress("train", 2, 2))
    assert not issubclass(InterruptedRequestError, CancelledError)  # which would withdraw it


def test_a_closed_page_is_forgotten_even_while_its_events_wait_for_the_self_test(tmp_path, monkeypatch):
    monkeypatch.setattr("demo.session.lab.AWAY", 0.1)
    gate = threading.Event()

    class Slow(FakeEngine):
        def selftest(self):
            gate.wait(10)
            return super().selftest()

    samples = fake_samples()
    lab = Lab(Slow(samples), samples, tmp_path)
    lab.start()
    while lab.fit.state != "ready":
        time.sleep(0.01)
    site, visitor = Page(lab, Jobs()), lab.enter()
    visitor.page = "p"

    async def journey():
        following = asyncio.ensure_future(anext(site.proof.examined(visitor.token), None))
        await asyncio.sleep(0.3)
        site.depart(SimpleNamespace(session_hash="p"))
        assert await following is None

    try:
        run(journey())
    finally:
        gate.set()
    assert visitor.closed
    lab.close()


def test_a_program_that_ends_during_its_self_test_ends_quietly(tmp_path, recwarn):
    begun, ended = threading.Event(), threading.Event()

    class Ended(FakeEngine):
        def selftest(self):
            begun.set()
            ended.wait(10)
            raise OSError("a worker process was ended")

        def close(self):
            ended.set()

    samples = fake_samples()
    lab = Lab(Ended(samples), samples, tmp_path)
    thread = lab.start()
    assert begun.wait(10)
    lab.close()
    assert not thread.is_alive()
    assert (lab.selftest, lab.fit.state) == (None, "ready")
