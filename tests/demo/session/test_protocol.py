"""The protocol between page and model, run against the real engine and against the tests' fake."""

import inspect
import threading

import numpy as np
import pytest

from core import config as presets
from core.backbone.model import load_backbone
from core.data.datasets import Dataset
from core.errors import CancelledError
from core.runtime.executors import InlineExecutor
from demo.session.engine import CoreEngine, CoreModel
from demo.session.protocol import Engine, Model
from tests.conftest import TINY, tiny_config
from tests.demo.fake import FakeEngine, FakeModel, fake_samples

IDLE = threading.Event()


class Inline(InlineExecutor):
    def warm_up(self, *modules):
        pass


def real(tmp_path, digits, monkeypatch, prompt="tokens"):
    monkeypatch.setitem(presets.PRESETS, "fast", tiny_config(clusters=4, prompt=prompt))
    monkeypatch.setattr("core.backbone.model.load_backbone", lambda name, device=None: load_backbone(TINY))
    data = Dataset("digits", digits.train.take(np.arange(60)), digits.test.take(np.arange(30)))
    return CoreEngine(data, "fast", tmp_path / "states", Inline())


@pytest.fixture(params=["fake", "real"])
def engine(request, tmp_path, digits, monkeypatch):
    return FakeEngine(fake_samples()) if request.param == "fake" else real(tmp_path, digits, monkeypatch)


def members(protocol) -> set[str]:
    return {name for name in vars(protocol) if not name.startswith("_")}


@pytest.mark.parametrize(("kind", "protocol"), [(CoreModel, Model), (FakeModel, Model), (CoreEngine, Engine), (FakeEngine, Engine)])
def test_everything_in_the_protocol_is_there_with_the_same_parameters(kind, protocol):
    for name in members(protocol):
        wanted = inspect.getattr_static(protocol, name)
        if inspect.isfunction(wanted):
            assert list(inspect.signature(getattr(kind, name)).parameters) == list(inspect.signature(wanted).parameters), name
        else:
            assert name in {*dir(kind), *getattr(kind, "__annotations__", {})}, name


def test_a_model_answers_and_forgets(engine, tmp_path):
    model = engine.fitted(lambda progress: None)
    n, ids = len(model.samples), model.samples.ids[:3]
    model.prepare()
    plan, root = model.plan(ids), model.root
    assert plan.root == root and set(plan.untouched) < set(model.keys())
    assert model.assignment.shape == (n,) and model.clusters == len(model.keys())
    facts = model.cluster(0)
    assert facts.key == model.keys()[0] and len(facts.labels) == (model.assignment == 0).sum() and len(facts.losses)
    assert set(model.digests(plan.untouched)) == set(plan.untouched)
    assert len(model.similar(ids, 4)) == 4 and not set(model.similar(ids, 4)) & set(ids)
    assert set(model.origins(plan)) == set(plan.retrain)
    assert model.reach(plan).images == 3
    assert {p.ndim for p in model.prompts(model.keys()).values()} == {2}
    assert model.correct().shape == (n,)
    drop = model.memorized()
    assert drop.shape == (n,) and ((drop >= 0) & (drop <= 1)).all()
    forget_set = model.samples.take(np.arange(3))
    inside = model.probabilities(forget_set)
    assert model.receipts() == () and model.withdrawn() == 0

    model.open_ledger(tmp_path)
    receipt = model.forget(plan, progress=lambda progress: None, cancel=IDLE)
    assert (receipt.root_before, receipt.root_after) == (root, model.root) and receipt.root_after != root
    assert model.receipts() == (receipt,)
    assert len(model.samples) == n - 3 and model.outcome.root_after == model.root and model.sample_passes > 0
    assert model.probabilities(forget_set).shape == inside.shape
    assert model.evaluate(forget_set).forgotten.n >= 0
    assert model.verify()["problems"] == []
    model.close()


def test_a_fork_and_a_copy_without_samples_leave_the_model_alone(engine):
    model = engine.fitted(lambda progress: None)
    root, ids = model.root, model.samples.ids[:2]
    copy = model.without(ids)
    assert copy.root != root == model.root == model.fork().root == model.without(()).root
    assert copy.receipts() == () and not set(ids) & set(copy.samples.ids)


def test_a_cancelled_request_is_withdrawn(engine, tmp_path):
    model, cancelled = engine.fitted(lambda progress: None), threading.Event()
    root = model.root
    model.open_ledger(tmp_path)
    cancelled.set()
    with pytest.raises(CancelledError):
        model.forget(model.plan(model.samples.ids[:1]), progress=lambda progress: None, cancel=cancelled)
    assert model.root == root and model.receipts() == ()
    model.close()


def test_a_model_without_prompts_forgets_and_has_none_to_draw(tmp_path, digits, monkeypatch):
    model = real(tmp_path, digits, monkeypatch, prompt="none").fitted(lambda progress: None)
    assert model.prompts(model.keys()) == {} and model.cluster(0).losses == ()
    model.open_ledger(tmp_path)
    plan = model.plan(model.samples.ids[:2])
    receipt = model.forget(plan, progress=lambda progress: None, cancel=IDLE)
    assert receipt.root_after == model.root and model.verify()["problems"] == []
    model.close()


def test_a_start_with_another_preset_keeps_the_saved_activations(tmp_path, digits, monkeypatch):
    start = lambda prompt: real(tmp_path, digits, monkeypatch, prompt).fitted(lambda progress: None)  # noqa: E731
    start("none")
    assert start("tokens").eraser.derived_images_ == 60  # the file held features only
    start("none")
    again = start("tokens").without(digits.train.ids[:1])
    assert again.eraser.outcome_.trained
    assert again.eraser.derived_images_ == 0
