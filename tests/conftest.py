"""Shared fixtures: a tiny random backbone and a few real digits, so that the exactness tests take seconds."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.backbone import BackboneSpec, load_backbone
from core.datasets import load_dataset
from core.presets import preset, prompt_of_kind
from core.vit import ViTConfig

TINY = BackboneSpec("random", ViTConfig(image_size=16, dim=32, depth=2, heads=2, stem_widths=(8, 16, 32)))
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def need(condition: bool, reason: str) -> None:
    """Skip with a reason, or fail where everything is required."""
    if not condition:
        (pytest.fail if os.environ.get("LMERASER_REQUIRE_ALL") == "1" else pytest.skip)(reason)


def pytest_collection_modifyitems(config, items):
    """Leave out what takes many minutes, unless it is asked for: -m long."""
    if "long" in config.option.markexpr.split():
        return
    left_out = [item for item in items if item.get_closest_marker("long")]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


@pytest.fixture(scope="session")
def backbone():
    return load_backbone(TINY)


@pytest.fixture(scope="session")
def digits():
    return load_dataset("digits")


@pytest.fixture(scope="session")
def cache(tmp_path_factory) -> Path:
    """Where digits are fitted once for all apps and labs."""
    return tmp_path_factory.mktemp("cache")


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
    from demo.session import Lab  # the engine's tests run without Gradio, too
    from tests.test_demo_fake import FakeEngine, fake_samples

    samples = fake_samples()
    lab = Lab(FakeEngine(samples), samples, tmp_path)
    lab.start().join()
    yield lab
    lab.close()


@pytest.fixture
def handlers(lab):
    """The page's events on that lab."""
    from demo.handlers import Handlers
    from demo.jobs import Jobs

    return Handlers(lab, Jobs())
