"""The routes of the page for one's own images, on an app of their own."""

from __future__ import annotations

import gc
import tempfile

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from demo.own import site
from demo.session.jobs import Jobs

HEADERS = {"x-lmeraser": "1"}


@pytest.fixture
def own(tmp_path, monkeypatch):
    """The page's routes, with temporary files in a folder that must be empty in the end."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    sets = site.OwnImages(Jobs())
    yield sets
    sets.close()
    gc.collect()
    assert [path.name for path in tmp_path.iterdir()] == []


@pytest.fixture
def client(own):
    app = FastAPI()
    app.get("/{page}")(lambda page: {"caught": page})  # as Gradio's own: the routes must come before it
    own.attach(app)
    with TestClient(app, headers=HEADERS) as client:
        yield client


@pytest.fixture
def token(client) -> str:
    return client.post("/own/new").json()["token"]
