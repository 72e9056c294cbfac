"""One app and one browser for all journeys, and a page of one's own for each visitor.

Skipped with the reason where Playwright or Chromium is missing; with LMERASER_REQUIRE_ALL=1 that is a failure instead.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from core.data.datasets import load_dataset
from tests.browser.chromium import FIT_MS, found, started

ROOT = Path(__file__).resolve().parents[2]
APP = ("app.py", "--port", "{port}", "--cache", "{cache}")


def missing(reason: str):
    if os.environ.get("LMERASER_REQUIRE_ALL") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")  # while it is open, Playwright's event loop counts as running, which tests with their own would not survive
def browser():
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("Playwright is not installed: pip install playwright")
    if found() is None:
        missing("Chromium was not found on the path")
    with sync_playwright() as playwright:
        chromium = started(playwright)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def server(cache):
    (cache / "server").touch(exist_ok=False)  # a second process with browser tests would fit everything again
    with running(cache) as (url, _):
        yield url


@pytest.fixture(scope="session")
def sixty(tmp_path_factory) -> Path:
    """A folder of 60 digits, named so that the shipped layout serves: UMAP takes longer to compile than most tests to run."""
    folder = tmp_path_factory.mktemp("small") / "digits"
    digits = load_dataset("digits").train
    for row in range(60):
        path = folder / digits.classes[digits.labels[row]] / f"{row}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(digits.images[row]).save(path)
    return folder


@pytest.fixture(scope="session")
def small_server(tmp_path_factory, sixty):
    """An app on these, so that both presets are fitted, requests replayed, and other methods trained in seconds."""
    with running(tmp_path_factory.mktemp("small-cache"), *APP, "--dataset", str(sixty)) as (url, _):
        yield url


@contextmanager
def running(cache: Path, *script: str):
    """Start the app, or another script that takes its port and folder; yield its address and process, and end it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, *(part.format(port=port, cache=cache) for part in script or APP)]
    with (cache / f"app-{port}.log").open("w") as log:
        app = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield wait_for(f"http://127.0.0.1:{port}/", app, cache / f"app-{port}.log"), app
    finally:
        app.terminate()
        app.wait(20)


def wait_for(url: str, app: subprocess.Popen, log: Path) -> str:
    """Return the address once the page answers; fail with the log when the app ends or takes longer than a minute."""
    began = time.monotonic()
    while time.monotonic() - began < 60:
        if app.poll() is not None:
            break
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return url
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"the app did not answer:\n{log.read_text()[-2000:]}")


@pytest.fixture
def visit(browser, server):
    """Open a page of one's own, with the map on it; errors of the page's scripts fail the test."""
    contexts, errors = [], []

    def opened(ready: bool = True, address: str = "", site: str = "", map_shown: bool = True, **kwargs):
        context = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | kwargs))
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto((site or server) + address)
        if map_shown:
            page.wait_for_selector(".map[data-ready]", state="attached", timeout=FIT_MS)  # an address may hide it
        if ready:
            page.wait_for_selector(".lm-status.lm-ready", state="attached", timeout=FIT_MS)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not errors
