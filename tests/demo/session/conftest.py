"""A page on a workspace with the real engine: tiny backbone, 60 digits."""

import pytest

from core import config as presets
from core.backbone.model import load_backbone
from core.data.datasets import load_dataset
from core.runtime.executors import InlineExecutor
from demo.launch import open_workspace
from demo.session.jobs import Jobs
from demo.tabs.page import Page
from tests.conftest import TINY, tiny_config
from tests.demo.fake import FakeSelfTest


class Inline(InlineExecutor):
    def warm_up(self, *modules):
        pass


@pytest.fixture
def few(monkeypatch):
    data = load_dataset("digits", limit=60)
    monkeypatch.setitem(presets.PRESETS, "fast", tiny_config())
    monkeypatch.setattr("core.backbone.model.load_backbone", lambda name, device=None: load_backbone(TINY))
    monkeypatch.setattr("core.runtime.executors.LocalExecutor", Inline)
    monkeypatch.setattr("demo.session.workspace_engine.kept_selftest", lambda folder: FakeSelfTest())
    monkeypatch.setattr("demo.session.workspace_engine.load_dataset", lambda name, **given: load_dataset(name, limit=60))
    return data.train


@pytest.fixture
def opened(few, tmp_path):
    """Open the page's lab on one folder, as often as asked; only one at a time has it."""
    labs = []

    def opening(dataset=None, preset=None, repair=False):
        while labs:
            labs.pop().close()
        labs.append(open_workspace(str(tmp_path / "w"), [dataset] if dataset else (), [preset] if preset else (), repair=repair))
        labs[0].start().join()
        assert labs[0].fit.state == "ready", labs[0].fit.error
        return labs[0], Page(labs[0], Jobs())

    yield opening
    for lab in labs:
        lab.close()


@pytest.fixture
def said(monkeypatch):
    words = []
    monkeypatch.setattr("gradio.Warning", words.append)
    monkeypatch.setattr("gradio.Info", words.append)
    return words
