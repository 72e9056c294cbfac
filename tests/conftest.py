"""Shared fixtures: a tiny random backbone and a few real digits, so that the exactness tests take seconds."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from xdist.scheduler import LoadScopeScheduling

from core.backbone.model import BackboneSpec, load_backbone
from core.backbone.vit_config import ViTConfig
from core.config import preset, prompt_of_kind
from core.data.datasets import load_dataset

TINY = BackboneSpec("random", ViTConfig(image_size=16, dim=32, depth=2, heads=2, stem_widths=(8, 16, 32)))
ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"


def need(condition: bool, reason: str) -> None:
    """Skip with a reason, or fail where everything is required."""
    if not condition:
        (pytest.fail if os.environ.get("LMERASER_REQUIRE_ALL") == "1" else pytest.skip)(reason)


class WholeFiles(LoadScopeScheduling):
    """Gives a process the tests of whole files, and all browser tests to one process, which starts the apps that they share.

    xdist's own groups are void with pytest 9.2, which no longer lets it add them to a test's name.
    """

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return "browser" if path.startswith("tests/browser/") else path


def pytest_xdist_make_scheduler(config, log):
    return WholeFiles(config, log)


def pytest_collection_modifyitems(config, items):
    """Leave out what takes many minutes unless -m long asks for it, and put the files that take longest first.

    They are the browser tests, most of whose time is waiting for the app's process, then those with slow tests.
    """
    if "long" not in config.option.markexpr.split():
        left_out = [item for item in items if item.get_closest_marker("long")]
        items[:] = [item for item in items if not item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=left_out)
    slow, browser = ({item.path for item in items if item.get_closest_marker(name)} for name in ("slow", "browser"))
    items.sort(key=lambda item: (item.path not in browser, item.path not in slow))


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory) -> Path:
    """A folder that all processes of this test run share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(autouse=True)
def _alone_when_time_is_measured(request, shared_folder) -> Iterator[None]:
    """Hold a lock that tests share, except those marked `alone`: they wait until no other test runs, and none begins before them."""
    with (shared_folder / "running.lock").open("w") as lock:
        with (shared_folder / "waiting.lock").open("w") as turnstile:
            fcntl.flock(turnstile, fcntl.LOCK_EX)
            fcntl.flock(lock, fcntl.LOCK_EX if request.node.get_closest_marker("alone") else fcntl.LOCK_SH)
        yield


@pytest.fixture(scope="session")
def backbone():
    return load_backbone(TINY)


@pytest.fixture(scope="session")
def digits():
    return load_dataset("digits")


@pytest.fixture(scope="session")
def cache(shared_folder) -> Path:
    """Where digits are fitted once for all apps and labs of this test run."""
    folder = shared_folder / "cache"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def samples(digits):
    """120 real digits."""
    return digits.train.take(np.arange(120))


@pytest.fixture
def config():
    return tiny_config()


def tiny_config(partition: str = "hierarchical", prompt: str = "tokens", **changes):
    """The fast preset, cut down: few anchors and clusters, three steps, a prompt that fits 16 px."""
    base = preset("fast")
    kind = prompt_of_kind(prompt)
    kind = kind if prompt == "tokens" else replace(kind, size=2)
    where = {"method": partition, "clusters": 8, "anchor_share": 0.25, **changes}
    return replace(base, partition=replace(base.partition, **where), prompt=kind, train=replace(base.train, steps=3, batch_size=8))


@pytest.fixture
def lab(tmp_path):
    """The page's lab on the fake engine, fitted."""
    from demo.session.lab import Lab
    from tests.demo.fake import FakeEngine, fake_samples

    samples = fake_samples()
    lab = Lab(FakeEngine(samples), samples, tmp_path)
    lab.start().join()
    yield lab
    lab.close()


@pytest.fixture
def site(lab):
    """The page's events on that lab."""
    from demo.session.jobs import Jobs
    from demo.tabs.page import Page

    return Page(lab, Jobs())
