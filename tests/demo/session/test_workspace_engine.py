"""A page on a workspace: one model for all visitors, kept on disk, forgotten for good. Real engine, tiny backbone, 60 digits."""

import asyncio
import base64
import json
import re
import time
from types import SimpleNamespace

import numpy as np
import pytest

from core.errors import DataError, InputError, RepairNeeded, StalePlanError, StoreError
from core.lmeraser.eraser import LMEraser
from core.workspace.verify import verify_workspace
from demo import texts
from demo.api import Api
from demo.launch import open_workspace
from demo.selection.numbers import ranges
from demo.session.jobs import Jobs
from demo.tabs.page import Page
from tests.conftest import tiny_config
from tests.core.workspace.old_workspace import make_old
from tests.demo.tabs.test_ledger import everything, forget, merged


def test_what_was_forgotten_stays_forgotten_after_a_restart(opened, few, backbone):
    lab, site = opened()
    updates = forget(site, lab.enter(), 1, 7)
    assert "2 images forgotten" in updates["result"]
    root = lab.base.model.root
    lab, site = opened()
    visitor = lab.enter()
    assert (len(lab.samples), len(visitor.model.samples)) == (60, 58)
    assert visitor.model.root == root == LMEraser(tiny_config(), backbone).fit(few.without([few.ids[1], few.ids[7]])).root_
    assert "1 request, 2 images forgotten" in site.ledger.show(visitor)["ledger"]
    assert not lab.measured.here
    assert texts.CHECK_GOOD in merged(site.ledger.check(visitor.token))["checked"]


def test_every_visitor_sees_the_same_model_and_stale_previews_are_not_carried_out(opened):
    lab, site = opened()
    one, other = lab.enter(), lab.enter()
    assert one.model is other.model
    site.request.select(other.token, [1, 2])
    forget(site, one, 1)
    with pytest.raises(InputError, match=re.escape(texts.MODEL_CHANGED)):
        merged(site.request.forget(other.token))
    assert other.selection == (2,)
    assert other.plan.root == lab.base.model.root
    updates = site.request.select(other.token, [2])
    assert json.loads(updates["map"]["marks"])
    assert other.forgotten == (1,)
    assert "1 request, 1 image forgotten" in site.ledger.show(other)["ledger"]
    merged(site.request.forget(other.token))
    assert other.forgotten == one.forgotten == (1, 2)


def test_a_request_that_waited_behind_another_is_refused_and_its_preview_renewed(opened):
    lab, site = opened()
    one, other = lab.enter(), lab.enter()
    site.request.select(one.token, [1])
    site.request.select(other.token, [2])

    async def both():
        return await asyncio.gather(*(_gathered(site.request.forget(v.token)) for v in (one, other)), return_exceptions=True)

    first, second = asyncio.run(asyncio.wait_for(both(), 60))
    assert "1 image forgotten" in first["result"]
    assert isinstance(second, StalePlanError)
    assert other.plan.root == lab.base.model.root
    assert other.selection == (2,)


async def _gathered(generator):
    return {name: value async for updates in generator for name, value in updates.items()}


def test_a_visitor_with_an_old_page_is_shown_everything_anew(opened):
    lab, site = opened()
    one, other = lab.enter(), lab.enter()
    everything(site, other)
    assert "ledger" not in site.request.select(other.token, [5])
    forget(site, one, 1)
    assert "1 forgotten" in site.request.select(other.token, [5])["status"]
    assert "1 request" in site.opened("ledger", other.token)["ledger"]


def test_one_visitor_leaving_takes_nothing_from_the_others(opened):
    lab, site = opened()
    one, other = lab.enter(), lab.enter()
    forget(site, one, 1)
    lab.leave(one.token)
    assert lab.find(other.token).forgotten == (1,)
    forget(site, other, 2)
    assert len(other.model.receipts()) == 2


def test_the_page_keeps_no_copy_of_what_left_the_model(opened, few):
    lab, site = opened()
    other = lab.enter()
    site.request.select(other.token, [3, 4])
    forget(site, lab.enter(), 3)
    assert not lab.samples.images[3].any()
    assert few.ids[3] not in lab.row_of
    assert not any(few.ids[3] in s.ids for s in (lab.samples, lab.base.model.samples))
    assert other.plan is None
    assert np.fromfile(lab.points, "<f4").reshape(-1, 2)[3].tolist() == [0.5, 0.5]


def test_starting_over_is_not_offered(opened):
    lab, site = opened()
    visitor = lab.enter()
    updates = forget(site, visitor, 1)
    assert not updates["start_over"]["visible"]
    with pytest.raises(InputError, match=re.escape(texts.FOR_GOOD)):
        site.request.start_over(visitor.token)


def test_a_workspace_outlives_the_data_it_was_made_of(opened, monkeypatch):
    root = opened()[0].base.model.root

    def missing(name, data_dir=None, options=None):
        raise DataError(f"{name!r} is no data set and no path here.")

    monkeypatch.setattr("demo.session.workspace_engine.load_dataset", missing)
    lab, site = opened()
    assert lab.base.model.root == root
    visitor = lab.enter()
    updates = forget(site, visitor, 1, 7)
    assert "2 images forgotten" in updates["result"]
    assert "Retained images" in updates["result"]
    assert "Test images" not in updates["result"]
    assert not updates["changes"]["visible"]
    with pytest.raises(DataError):
        opened("digits")


def test_an_unfinished_request_is_completed_at_the_next_start(opened, few, tmp_path):
    lab, site = opened()
    ledger = lab.base.model.recorder.ledger
    ledger.accept(few.ids[:2], bytes(32))
    lab, site = opened()
    assert lab.enter().forgotten == (0, 1)
    assert [r.resumed for r in lab.base.model.receipts()] == [True]
    lab.close()
    assert verify_workspace(tmp_path / "w")["problems"] == []


def test_a_folder_in_use_another_data_set_and_another_preset_are_refused(opened, tmp_path, few):
    opened()
    folder = str(tmp_path / "w")
    with pytest.raises(StoreError, match="in use by process"):
        open_workspace(folder)
    opened()[0].close()
    with pytest.raises(InputError, match="preset fast, not paper"):
        open_workspace(folder, (), ["paper"])
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter").write_text("mine")
    lab = open_workspace(str(tmp_path / "other"))
    lab.start().join()
    assert "letter" in lab.fit.error
    lab.close()


def test_the_api_forgets_in_the_workspace(opened):
    lab, site = opened()
    api = Api(site)
    session = api.open()["session"]
    result = asyncio.run(api.forget(session, [4]))
    assert result["root"]["after"] == lab.base.model.root
    assert result["receipt"] == lab.base.model.receipts()[0].hash
    assert len(api.images(session)) == 59
    for _ in range(200):  # what colors every page's map follows by itself
        if lab.base.correct_root == lab.base.model.root:
            break
        time.sleep(0.05)
    visitor = lab.enter()
    assert visitor.correct.tolist() == lab.base.model.correct().tolist()
    assert {"correct", "memorized"} <= set(json.loads(site.map.paint(visitor))["schemes"])


# --- numbers, links, files and scripts, before and after a restart ----------------------------------------------------


def visit(lab, site, **query):
    """Open a page with an address; return its visitor and everything that it shows."""
    updates = merged(site.arrive(None, SimpleNamespace(session_hash="p", query_params=query)))
    return lab.find(updates["visitor"]), updates


def test_a_number_is_the_same_picture_for_good(opened, few):
    lab, site = opened()
    forget(site, lab.enter(), 1, 7, 8)
    for _ in range(2):
        lab, site = opened()
        visitor = lab.enter()
        left = [r for r in range(60) if r not in (1, 7, 8)]
        assert [lab.samples.ids[r] for r in left] == [few.ids[r] for r in left]
        assert [np.array_equal(lab.samples.images[r], few.images[r]) for r in left] == [True] * 57
        assert not lab.samples.images[[1, 7, 8]].any()
        assert visitor.forgotten == (1, 7, 8)
        assert lab.row_clusters(visitor)[[1, 7, 8]].tolist() == [-1] * 3
        assert np.fromfile(lab.points, "<f4").reshape(-1, 2)[[1, 7, 8]].tolist() == [[0.5, 0.5]] * 3
        codes = np.frombuffer(base64.b64decode(json.loads(site.map.paint(visitor))["schemes"]["class"]["codes"]), "<u2")
        assert codes[[1, 7, 8]].tolist() == [0xFFFF] * 3
        assert site.map.thumbnail({"token": visitor.token, "row": 7}) is None


def test_a_link_forgotten_and_opened_again_after_a_restart_selects_nothing(opened, said):
    lab, site = opened()
    visitor = lab.enter()
    site.request.select(visitor.token, [3, 4, 5])
    link = site.selecting.linked({"token": visitor.token})
    merged(site.request.forget(visitor.token))
    for _ in range(2):
        fresh, updates = visit(lab, site, select=link["select"], data=link["data"])
        assert fresh.selection == ()
        assert "lm-ready" in updates["status"]
        assert not updates["forget"]["interactive"]
        assert said == [texts.forgotten_numbers(3)]
        said.clear()
        lab, site = opened()
    assert lab.enter().forgotten == (3, 4, 5)


def test_a_link_to_some_forgotten_numbers_selects_the_others(opened, few, said):
    lab, site = opened()
    forget(site, lab.enter(), 3)
    lab, site = opened()
    visitor, _ = visit(lab, site, select="2-4", data=lab.numbering.data)
    assert [lab.samples.ids[r] for r in visitor.selection] == [few.ids[2], few.ids[4]]
    assert visitor.plan.ids == (few.ids[2], few.ids[4])
    assert said == [texts.forgotten_numbers(1)]


def test_a_link_of_another_workspace_selects_nothing_and_one_without_a_check_says_so(opened, said):
    lab, site = opened()
    visitor, updates = visit(lab, site, select="2-4", data="0" * 16)
    assert visitor.selection == () and not updates["forget"]["interactive"]
    assert "refers to other pictures" in said.pop()
    visitor, _ = visit(lab, site, select="2-4")
    assert visitor.selection == (2, 3, 4)
    assert said.pop() == texts.LINK_UNCHECKED
    assert said == []


def test_a_link_that_draws_at_random_never_draws_others_than_before(opened, said):
    lab, site = opened()
    visitor, _ = visit(lab, site, select="random-3", seed="1", data=lab.numbering.data)
    rows = visitor.selection
    assert len(rows) == 3
    assert site.selecting.draw(visitor.token, 3, 1)["map"]["value"] == list(rows)
    assert site.selecting.linked({"token": visitor.token})["select"] == ranges(rows)  # numbers, not the draw
    merged(site.request.forget(visitor.token))
    for _ in range(2):
        fresh, _ = visit(lab, site, select="random-3", seed="1")
        assert fresh.selection == ()
        assert "would draw other pictures" in said.pop()
        lab, site = opened()


def test_a_saved_selection_means_the_same_pictures_after_a_restart(opened, few, said):
    lab, site = opened()
    visitor = lab.enter()
    site.request.select(visitor.token, [3, 4, 5])
    file = site.selecting.saved({"token": visitor.token})["text"]
    forget(site, visitor, 0, 4)
    lab, site = opened()
    visitor = lab.enter()
    site.selecting.opened(visitor.token, SimpleNamespace(_data={"text": file}))
    assert [lab.samples.ids[r] for r in visitor.selection] == [few.ids[3], few.ids[5]]
    assert said == [texts.forgotten_numbers(1)]
    other = json.dumps(json.loads(file) | {"data": "0" * 16})
    with pytest.raises(InputError, match="made on other images"):
        site.selecting.opened(visitor.token, SimpleNamespace(_data={"text": other}))


def test_an_old_script_forgets_exactly_what_it_names_and_only_once(opened, few):
    lab, site = opened()
    api = Api(site)
    opened_with = api.open()
    data = opened_with["data"]
    asyncio.run(api.forget(opened_with["session"], [2, 3], data))
    for _ in range(2):
        api = Api(site)
        session = api.open()["session"]
        assert api.open()["data"] == data
        wrong = (([2, 3, 4], data, "2 of these rows are already forgotten: 2-3"), ([4], "0" * 16, "refers to other pictures"))
        for rows, check, words in wrong:
            with pytest.raises(InputError, match=words):
                api.plan(session, rows, check)
            with pytest.raises(InputError, match=words):
                asyncio.run(api.forget(session, rows, check))
        assert [r["row"] for r in api.images(session, first=1, count=2)] == [1, 4]
        lab, site = opened()
    result = asyncio.run(Api(site).forget(Api(site).open()["session"], [4]))
    assert result["rows"] == [4]
    assert set(few.ids) - set(lab.base.model.samples.ids) == {few.ids[r] for r in (2, 3, 4)}


def test_choosing_a_class_says_nothing_of_what_is_gone(opened, few, said):
    lab, site = opened()
    forget(site, lab.enter(), 1, 7)
    lab, site = opened()
    visitor = lab.enter()
    rows = site.selecting.choose(visitor.token, [int(few.labels[0])], None, "")["map"]["value"]
    assert rows == [r for r in range(60) if few.labels[r] == few.labels[0] and r not in (1, 7)]
    assert said == []


@pytest.mark.slow
def test_the_clean_room_of_a_workspace_trains_on_what_is_on_disk(opened):
    lab, site = opened()
    visitor = lab.enter()
    forget(site, visitor, 1, 7)
    assert lab.base.requests[0].ids == ()
    site.opened("proof", visitor.token)
    updates = merged(site.proof.full(visitor.token))
    assert "lm-equal" in updates["proof"], visitor.findings
    other = lab.enter()
    assert lab.verdict(other, 1).kind == "equal"
    assert other.requests[0].clean.seconds > 0


def test_a_failed_replay_after_a_restart_is_seen_by_every_visitor(opened, monkeypatch):
    lab, site = opened()
    forget(site, lab.enter(), 1, 7)
    lab, site = opened()
    visitor, other = lab.enter(), lab.enter()
    report = {"request": 1, "ran": True, "clean_room": "b" * 64, "seconds": {"train": 0.6}, "problems": ["another root"]}
    monkeypatch.setattr("demo.session.engine.CoreModel.replay", lambda *args: report)
    merged(site.ledger.replay(visitor.token))
    for who in (visitor, other):
        shown = everything(site, who)
        assert "Request 1 did not forget exactly" in shown["status"]
        assert "lm-said-different" in shown["ledger"]


# --- repair -----------------------------------------------------------------------------------------------------------


def test_an_older_workspace_is_refused_with_a_remedy_and_put_right_when_asked(opened, few, tmp_path, capsys):
    lab, site = opened()
    forget(site, lab.enter(), 1, 7)
    lab.close()
    make_old(tmp_path / "w")
    with pytest.raises(RepairNeeded, match="of an earlier version, in which images had no permanent numbers"):
        open_workspace(str(tmp_path / "w"))
    lab, site = opened(repair=True)
    assert "Repairing the workspace" in capsys.readouterr().err
    visitor = lab.enter()
    assert len(visitor.model.samples) == 58 and len(visitor.forgotten) == len(lab.samples) - 58
    assert [r.request for r in lab.base.model.receipts()] == [1]
    data = lab.numbering.data
    updates = forget(site, visitor, *[r for r in range(len(lab.samples)) if r not in visitor.forgotten][:2])
    assert "2 images forgotten" in updates["result"]
    lab, _ = opened()  # from now on without repair
    assert lab.numbering.data == data
    assert lab.base.model.verify()["problems"] == []


def test_a_workspace_whose_ledger_disagrees_says_so_on_the_page_and_how_to_go_on(opened, tmp_path, monkeypatch):
    lab, _ = opened()
    lab.close()

    def disagrees(self, *args, **kwargs):
        raise RepairNeeded("The workspace gives a model with another root.", "gives a model with another root")

    monkeypatch.setattr("core.workspace.workspace.Workspace.load", disagrees)
    lab = open_workspace(str(tmp_path / "w"))
    lab.start().join()
    shown = Page(lab, Jobs()).context.status(lab.enter())
    assert "lm-failed" in shown
    assert "gives a model with another root. Start the page with --repair" in shown
    lab.close()
