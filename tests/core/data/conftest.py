"""What every test of imports is held to."""

from __future__ import annotations

import tempfile

import pytest


@pytest.fixture(autouse=True)
def nothing_left_behind(tmp_path_factory, monkeypatch):
    """Every test's temporary files go to a folder that must be empty afterwards, and nothing asks the network."""
    from huggingface_hub import constants

    scratch = tmp_path_factory.mktemp("scratch")
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.delenv("LMERASER_DATA", raising=False)
    yield
    assert list(scratch.rglob("*")) == []
