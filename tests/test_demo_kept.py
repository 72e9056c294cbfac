"""A page on a workspace: one model for all visitors, kept on disk, forgotten for good. Real engine, tiny backbone, 60 digits."""

import asyncio
import json

import numpy as np
import pytest

from core import presets
from core.backbone import load_backbone
from core.datasets import load_dataset
from core.eraser import LMEraser
from core.errors import DataError, InputError, StalePlanError, StoreError
from core.executors import InlineExecutor
from core.verify import verify_workspace
from demo.engine import open_workspace
from demo.handlers import Handlers
from demo.jobs import Jobs
from tests.conftest import TINY, tiny_config
from tests.test_receipts_tab import forget, merged


class Inline(InlineExecutor):
    def warm_up(self):
        pass


@pytest.fixture
def few(monkeypatch):
    data = load_dataset("digits", limit=60)
    monkeypatch.setitem(presets.PRESETS, "fast", tiny_config())
    monkeypatch.setattr("core.backbone.load_backbone", lambda name, device=None: load_backbone(TINY))
    monkeypatch.setattr("core.executors.LocalExecutor", Inline)
    monkeypatch.setattr("demo.kept.load_dataset", lambda name, data_dir=None: load_dataset(name, limit=60))
    return data.train


@pytest.fixture
def opened(few, tmp_path):
    """Open the page's lab on one folder, as often as asked; only one at a time has it."""
    labs = []

    def opening(dataset=None, preset=None):
        while labs:
            labs.pop().close()
        labs.append(open_workspace(str(tmp_path / "w"), [dataset] if dataset else (), [preset] if preset else ()))
        labs[0].start().join()
        assert labs[0].fit.state == "ready", labs[0].fit.error
        return labs[0], Handlers(labs[0], Jobs())

    yield opening
    for lab in labs:
        lab.close()


def test_what_was_forgotten_stays_forgotten_after_a_restart(opened, few, backbone):
    lab, handlers = opened()
    updates = forget(handlers, lab.enter(), 1, 7)
    assert "2 images forgotten" in updates["result"]
    root = lab.base.eraser.root_
    lab, handlers = opened()
    visitor = lab.enter()
    assert len(lab.samples) == 58
    assert visitor.eraser.root_ == root == LMEraser(tiny_config(), backbone).fit(few.without([few.ids[1], few.ids[7]])).root_
    assert "1 request, 2 images forgotten" in handlers.receipts.shown(visitor)["ledger"]
    assert not lab.measured.here
    assert "Everything holds" in merged(handlers.receipts.check(visitor.token))["checked"]


def test_every_visitor_sees_the_same_model_and_stale_previews_are_not_carried_out(opened):
    lab, handlers = opened()
    one, other = lab.enter(), lab.enter()
    assert one.eraser is other.eraser
    handlers.select(other.token, [1, 2])
    forget(handlers, one, 1)
    with pytest.raises(InputError, match="changed the model meanwhile"):
        merged(handlers.forget(other.token))
    assert other.selection == (2,)
    assert other.plan.root == lab.base.eraser.root_
    updates = handlers.select(other.token, [2])
    assert json.loads(updates["map"]["marks"])
    assert other.gone == (1,)
    assert "1 request, 1 image forgotten" in handlers.receipts.shown(other)["ledger"]
    merged(handlers.forget(other.token))
    assert other.gone == one.gone == (1, 2)


def test_a_request_that_waited_behind_another_is_refused_and_its_preview_renewed(opened):
    lab, handlers = opened()
    one, other = lab.enter(), lab.enter()
    handlers.select(one.token, [1])
    handlers.select(other.token, [2])

    async def both():
        return await asyncio.gather(*(_gathered(handlers.forget(v.token)) for v in (one, other)), return_exceptions=True)

    first, second = asyncio.run(asyncio.wait_for(both(), 60))
    assert "1 image forgotten" in first["result"]
    assert isinstance(second, StalePlanError)
    assert other.plan.root == lab.base.eraser.root_
    assert other.selection == (2,)


async def _gathered(generator):
    return {name: value async for updates in generator for name, value in updates.items()}


def test_a_visitor_with_an_old_page_is_shown_everything_anew(opened):
    lab, handlers = opened()
    one, other = lab.enter(), lab.enter()
    handlers._everything(other)
    assert "ledger" not in handlers.select(other.token, [5])
    forget(handlers, one, 1)
    assert "1 request" in handlers.select(other.token, [5])["ledger"]


def test_one_visitor_leaving_takes_nothing_from_the_others(opened):
    lab, handlers = opened()
    one, other = lab.enter(), lab.enter()
    forget(handlers, one, 1)
    lab.leave(one.token)
    assert lab.find(other.token).gone == (1,)
    forget(handlers, other, 2)
    assert len(other.records.receipts()) == 2


def test_the_page_keeps_no_copy_of_what_left_the_model(opened, few):
    lab, handlers = opened()
    other = lab.enter()
    handlers.select(other.token, [3, 4])
    forget(handlers, lab.enter(), 3)
    assert not lab.samples.images[3].any()
    assert few.ids[3] not in lab.row_of
    assert not any(few.ids[3] in s.ids for s in (lab.samples, lab.base.eraser.samples_))
    assert other.plan is None
    assert np.fromfile(lab.points, "<f4").reshape(-1, 2)[3].tolist() == [0.5, 0.5]


def test_starting_over_is_not_offered(opened):
    lab, handlers = opened()
    visitor = lab.enter()
    updates = forget(handlers, visitor, 1)
    assert not updates["start_over"]["visible"]
    with pytest.raises(InputError, match="for good"):
        handlers.start_over(visitor.token)


def test_a_workspace_outlives_the_data_it_was_made_of(opened, monkeypatch):
    root = opened()[0].base.eraser.root_

    def missing(name, data_dir=None):
        raise DataError(f"{name!r} is no data set and no path here.")

    monkeypatch.setattr("demo.kept.load_dataset", missing)
    lab, handlers = opened()
    assert lab.base.eraser.root_ == root
    visitor = lab.enter()
    updates = forget(handlers, visitor, 1, 7)
    assert "2 images forgotten" in updates["result"]
    assert "Retained images" in updates["result"]
    assert "Test images" not in updates["result"]
    assert not updates["changes"]["visible"]
    with pytest.raises(DataError):
        opened("digits")


def test_an_unfinished_request_is_completed_at_the_next_start(opened, few, tmp_path):
    lab, handlers = opened()
    ledger = lab.base.records._recorder.ledger
    ledger.accept(few.ids[:2], bytes(32))
    lab, handlers = opened()
    assert len(lab.samples) == 58
    assert [r.resumed for r in lab.base.records.receipts()] == [True]
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
    from demo.api import Api

    lab, handlers = opened()
    api = Api(handlers)
    session = api.open()["session"]
    result = asyncio.run(api.forget(session, [4]))
    assert result["root"]["after"] == lab.base.eraser.root_
    assert result["receipt"] == lab.base.records.receipts()[0].hash
    assert len(api.images(session)) == 59
