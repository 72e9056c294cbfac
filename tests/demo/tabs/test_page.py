"""Handlers on a fake engine: a visitor's whole journey without a browser, and what goes wrong on the way."""

import asyncio
import base64
import copy
import json
import re
import time
from types import SimpleNamespace

import gradio as gr
import pytest

from core.errors import InputError, NotFittedError
from demo import texts
from demo.build import _wired, build_demo
from demo.selection.numbers import parse_numbers, ranges
from demo.session.jobs import Job, Jobs
from demo.session.lab import Lab
from demo.tabs.page import Page
from tests.demo.fake import FakeEngine, fake_samples


def last(generator):
    async def main():
        seen = [updates async for updates in generator]
        return [*seen, {name: value for updates in seen for name, value in updates.items()}]  # the last: all of them, merged

    return asyncio.run(asyncio.wait_for(main(), 20))


def page(select: str = "", data: str = ""):
    return SimpleNamespace(session_hash="page", query_params={"select": select, "data": data})


def marks(updates):
    return json.loads(updates["map"]["marks"])


def test_a_selection_shows_thumbnails_the_plan_and_what_it_touches(lab, site):
    visitor = lab.enter()
    updates = site.request.select(visitor.token, [1, 7])
    assert updates["tray"].count("data-remove") == 2
    assert "2 images in 1 of 6 clusters" in updates["plan"]
    assert updates["forget"]["interactive"]
    assert marks(updates)["touched"] == [1]


def test_forgetting_counts_shows_and_leaves_the_other_visitor_alone(lab, site):
    visitor, other = lab.enter(), lab.enter()
    root = other.model.root
    site.request.select(visitor.token, [1, 7])
    updates = last(site.request.forget(visitor.token))[-1]
    assert updates["proof_body"] == gr.update(visible="hidden")
    updates |= site.opened("proof", visitor.token)
    assert "2 images forgotten" in updates["result"]
    assert visitor.forgotten == (1, 7)
    assert visitor.job is None
    assert visitor.model.root != root == other.model.root == lab.base.model.root
    assert texts.untouched(5, 5) in updates["proof"]
    assert "not run yet" in updates["proof"]


def test_full_retraining_proves_the_last_request(lab, site):
    visitor = lab.enter()
    site.request.select(visitor.token, [1])
    last(site.request.forget(visitor.token))
    site.opened("proof", visitor.token)
    updates = last(site.proof.full(visitor.token))[-1]
    assert "lm-equal" in updates["proof"]
    assert lab.verdict(visitor, 1).kind == "equal"


def test_requests_add_up_and_start_over_resets(lab, site):
    visitor = lab.enter()
    for row in (1, 2):
        site.request.select(visitor.token, [row])
        updates = last(site.request.forget(visitor.token))[-1]
    assert "ledger" not in updates
    assert "2 requests, 2 images forgotten" in site.opened("ledger", visitor.token)["ledger"]
    assert "ledger" not in site.opened("ledger", visitor.token)
    site.request.start_over(visitor.token)
    assert visitor.forgotten == ()
    assert visitor.model.root == lab.base.model.root


def test_cancel_leaves_the_model_as_it_was(lab, site):
    visitor = lab.enter()
    visitor.model.pause = 5.0
    root = visitor.model.root
    site.request.select(visitor.token, [1])

    async def main():
        seen = []
        async for updates in site.request.forget(visitor.token):
            seen.append(updates)
            site.request.cancel(visitor.token)
        return seen

    updates = asyncio.run(asyncio.wait_for(main(), 20))[-1]
    assert "Cancelled" in updates["plan"]
    assert visitor.model.root == root
    assert visitor.selection == (1,)


def test_the_page_comes_to_rest_even_when_something_breaks(lab, site, monkeypatch):
    visitor, seen = lab.enter(), []
    site.request.select(visitor.token, [1])
    monkeypatch.setattr(visitor.model, "forget", lambda *a, **k: 1 / 0)

    async def main():
        async for updates in site.request.forget(visitor.token):
            seen.append(updates)

    with pytest.raises(ZeroDivisionError):
        asyncio.run(main())
    assert seen[-1]["forget"]["interactive"]
    assert not seen[-1]["cancel"]["interactive"]
    assert visitor.job is None


def test_copies_left_behind_are_named_and_can_be_included(lab, site):
    visitor = lab.enter()
    updates = site.request.select(visitor.token, [0])
    assert "1 identical copy" in updates["plan"]
    assert updates["copies"]["visible"]
    updates = site.request.include_copies(visitor.token)
    assert updates["map"]["value"] == [0, 59]
    assert not updates["copies"]["visible"]


def test_choosing_by_class_and_number(lab, site):
    visitor = lab.enter()
    assert len(site.selecting.choose(visitor.token, [2], None, "")["map"]["value"]) == 19
    assert site.selecting.choose(visitor.token, [], None, "3, 7-9")["map"]["value"] == [3, 7, 8, 9]


def test_the_keyboard_cannot_select_what_is_gone(lab, site, monkeypatch):
    monkeypatch.setattr("gradio.Info", lambda text: None)
    visitor = lab.enter()
    site.request.select(visitor.token, [3])
    last(site.request.forget(visitor.token))
    assert site.selecting.choose(visitor.token, [], None, "3-4")["map"]["value"] == [4]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        *((text, "is not a number or a range") for text in ("x", "-1", "1.5", "9" * 30, "<script>")),
        ("60", texts.BAD_RANGE.format("60", 59)),
        ("3-60", texts.BAD_RANGE.format("3-60", 59)),
        ("4-2", "runs backwards"),
    ],
)
def test_numbers_that_are_none_are_named(text, words):
    with pytest.raises(InputError, match=words):
        parse_numbers(text, 60)


def test_a_second_press_of_forget_is_ignored(lab, site):
    visitor = lab.enter()
    site.request.select(visitor.token, [3])
    visitor.job = Job()
    assert last(site.request.forget(visitor.token)) == [{}]
    assert not visitor.requests


def test_full_retraining_is_judged_for_what_remains(lab, site):
    visitor = lab.enter()
    site.request.select(visitor.token, list(range(30)))
    last(site.request.forget(visitor.token))
    request = visitor.requests[-1]
    assert request.full_seconds(lab.measured) == pytest.approx(lab.measured.seconds / 2)
    site.request.select(visitor.token, list(range(30, 60)))
    last(site.request.forget(visitor.token))
    assert visitor.requests[-1].full_seconds(lab.measured) == 0


def test_numbers_are_read_generously():
    assert parse_numbers(" 3,17 5 - 7; ", 60) == [3, 5, 6, 7, 17]


def test_thumbnails_go_only_to_a_known_visitor_and_never_for_what_is_gone(lab, site):
    visitor = lab.enter()
    assert site.map.thumbnail({"token": visitor.token, "row": 3})["src"].startswith("data:image/png")
    for asked in (
        None,
        3,
        {},
        {"token": "x", "row": 3},
        {"token": visitor.token, "row": 99},
        {"token": visitor.token, "row": "3"},
        {"token": [], "row": 3},
    ):
        assert site.map.thumbnail(asked) is None
    site.request.select(visitor.token, [3])
    last(site.request.forget(visitor.token))
    assert site.map.thumbnail({"token": visitor.token, "row": 3}) is None


def test_nothing_runs_without_a_selection_a_model_or_a_session(tmp_path, lab, site):
    with pytest.raises(InputError, match="Select at least one"):
        last(site.request.forget(lab.enter().token))
    with pytest.raises(InputError, match="session has ended"):
        site.request.select(None, [1])
    unfitted = Lab(FakeEngine(lab.samples), lab.samples, tmp_path)
    with pytest.raises(NotFittedError, match="not ready"):
        last(Page(unfitted, Jobs()).request.forget(unfitted.enter().token))


def test_a_visitor_who_leaves_is_forgotten(lab):
    visitor = lab.enter()
    lab.leave(visitor.token)
    assert lab.find(visitor.token) is None
    assert visitor.model is None


def test_the_first_fit_is_the_measured_full_retraining_and_is_remembered(lab, tmp_path):
    assert lab.measured.here
    assert lab.measured.seconds == pytest.approx(0.6)
    assert len(list(tmp_path.glob("measured-*.json"))) == 1


def test_arriving_before_the_fit_shows_the_map_and_then_everything(tmp_path):
    samples = fake_samples()
    lab = Lab(FakeEngine(samples, pause=0.1), samples, tmp_path)
    lab.start()
    seen = last(Page(lab, Jobs()).arrive(None, page("3, 7-8")))
    assert "cluster" not in json.loads(seen[0]["map"]["paint"])["schemes"]
    assert "lm-fitting" in seen[0]["status"]
    assert "cluster" in json.loads(seen[-1]["map"]["paint"])["schemes"]
    assert "Ready" in seen[-1]["status"]
    assert seen[-1]["map"]["value"] == [3, 7, 8]
    assert "3 images in 3 of 6 clusters" in seen[-1]["plan"]


def test_a_map_that_must_be_computed_comes_after_the_page(tmp_path):
    class Slow(FakeEngine):
        def layout(self, folder, compute):
            time.sleep(0.4 if compute else 0)
            return super().layout(folder, compute) if compute else None

    samples = fake_samples()
    lab = Lab(Slow(samples), samples, tmp_path)
    assert lab.points is None
    lab.start()
    seen = last(Page(lab, Jobs()).arrive(None, page()))
    assert seen[0]["map"]["points"] == ""
    assert seen[-1]["map"]["points"] == str(lab.points)


def test_a_page_that_was_closed_is_forgotten_unless_it_comes_back(lab, site, monkeypatch):
    monkeypatch.setattr("demo.session.lab.AWAY", 0.05)
    gone, back = lab.enter(), lab.enter()
    gone.page, back.page = "a", "b"
    for name in ("a", "b"):
        site.depart(SimpleNamespace(session_hash=name))
    site.request.select(back.token, [1])
    time.sleep(0.3)
    assert gone.closed
    assert not back.closed


def test_a_selection_as_text_reads_back_the_same():
    rows = [3, 17, 200, 201, 202]
    assert ranges(rows) == "3,17,200-202"
    assert parse_numbers(ranges(rows), 300) == rows


def test_gradio_cannot_copy_the_lab_by_way_of_a_component(lab):
    async def config():  # in a running loop, or Gradio makes one and leaves it open
        return build_demo(lab).get_config_file()

    lab.__class__.__deepcopy__ = lambda self, memo: pytest.fail("the lab was copied")
    try:
        copy.deepcopy(asyncio.run(config()))
    finally:
        del lab.__class__.__deepcopy__


def test_results_hold_seed_versions_hardware_and_all_requests(lab, site):
    visitor = lab.enter()
    for row in (1, 2):
        site.request.select(visitor.token, [row])
        html = last(site.request.forget(visitor.token))[-1]["result"]
    read = lambda name: base64.b64decode(re.search(rf'download="{name}" href="[^,]+,([^"]+)"', html)[1]).decode()  # noqa: E731
    one, everything = json.loads(read("lmeraser-result.json")), json.loads(read("lmeraser-results.json"))
    assert [r["request"] for r in everything] == [1, 2]
    assert one == everything[1]
    assert one["seed"] and one["versions"] == {"torch": "0"} and one["machine"] == {"processor": "fake"}
    lines = read("lmeraser-results.csv").splitlines()
    assert lines[0] == "request,measure,before,after,unit"
    for part in ("1,accuracy test", "2,accuracy test", "2,seed,", "2,version torch,,0", "2,hardware processor,,fake"):
        assert any(line.startswith(part) for line in lines), part


def test_a_selection_made_while_a_visitor_is_let_in_is_shown_again_at_the_end(lab, site):
    async def journey():
        arriving = site.arrive(None, page())
        token = (await anext(arriving))["visitor"]
        site.request.select(token, [1, 7])
        async for _ in arriving:
            pass
        return token

    token = asyncio.run(journey())
    updates = site.arrived(token, "result")
    assert updates["map"]["value"] == [1, 7]
    assert updates["tray"].count("data-remove") == 2
    assert updates["forget"]["interactive"]
    lab.find(token).job = Job()
    assert site.arrived(token, "result")["cancel"]["interactive"]
    lab.find(token).job = None
    last(site.request.forget(token))
    assert site.forgotten(token, "result") == site.arrived(token, "result") == {}
    site.request.select(token, [2])
    assert site.forgotten(token, "result")["map"]["value"] == [2]


def test_a_request_that_ends_a_study_says_so(lab, site, monkeypatch):
    said = []
    monkeypatch.setattr("gradio.Info", said.append)
    visitor = lab.enter()
    for row, study in ((1, None), (2, Job(study=True))):
        visitor.study = study
        site.request.select(visitor.token, [row])
        last(site.request.forget(visitor.token))
    assert len(said) == 1
    assert said[0] == texts.STUDY_ENDED
    assert study.cancel.is_set()


def test_stopping_full_retraining_is_said(lab, site):
    visitor = lab.enter()
    site.request.select(visitor.token, [1])
    last(site.request.forget(visitor.token))
    visitor.model.pause = 0.2

    async def stopped():
        seen = []
        async for updates in site.proof.full(visitor.token):
            seen.append(updates)
            site.request.cancel(visitor.token)
        return seen[-1]

    assert "Stopped. Nothing was measured" in asyncio.run(stopped())["note_proof"]
    assert visitor.requests[-1].clean is None


@pytest.mark.parametrize("updates", [[], [{"plan": "half way"}, {"plan": "done"}]])
def test_an_event_that_says_nothing_changes_nothing(updates):
    async def handler():
        for update in updates:
            yield update

    async def sent():
        return [outputs async for outputs in _wired(handler, {"plan": "PLAN"})()]

    assert asyncio.run(sent()) == ([{"PLAN": update["plan"]} for update in updates] or [gr.skip()])


def test_a_tab_opened_as_an_event_ends_is_shown_again(lab, site):
    visitor = lab.enter()
    site.request.select(visitor.token, [1])
    last(site.request.forget(visitor.token))
    assert site.settled(visitor.token, "result") == {}
    assert site.opened("proof", visitor.token)["proof_body"]["visible"] is True
    assert site.settled(visitor.token, "proof")["proof_body"]["visible"] is True
    assert site.settled(visitor.token, "proof") == {}


def test_a_tab_opened_before_the_visitor_was_let_in_is_filled_then(lab, site):
    assert site.opened("ledger", None) == {"tab": "ledger"}
    token = last(site.arrive(None, page()))[0]["visitor"]
    assert "ledger" in site.arrived(token, "ledger")
    assert lab.find(token).open_tab == "ledger"
