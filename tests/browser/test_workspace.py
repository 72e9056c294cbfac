"""A journey of a page on a workspace: forget, reload in the middle, restart, open an old link, check the ledger."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from core.workspace.verify import verify_workspace
from demo import texts
from tests.browser.chromium import FIT_MS, PRESS_WHEN_ENABLED, WORK_MS, choose, forget, ledger
from tests.browser.conftest import ROOT, running

pytestmark = pytest.mark.browser


def opened(browser, url: str):
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.goto(url)
    page.wait_for_selector(".lm-status.lm-ready", timeout=FIT_MS)
    return page


def images_of(page) -> int:
    return int(re.search(r"(\d+) private images", page.locator(".lm-status").inner_text())[1])


def link_to_the_selection(page) -> str:
    page.get_by_role("button", name="Copy link").click()
    page.wait_for_function("location.search.includes('data=')", timeout=WORK_MS)
    return page.url.partition("/?")[2]


def test_a_workspace_survives_reload_and_restart_and_remembers_what_was_forgotten(browser, tmp_path, sixty):
    folder = tmp_path / "w"
    command = ("app.py", "--port", "{port}", "--workspace", str(folder), "--dataset", str(sixty))
    with running(tmp_path, *command) as (url, _):
        mine, other = opened(browser, url), opened(browser, url)
        images = images_of(mine)
        assert "Forgetting is permanent" in mine.locator(".lm-kept p").inner_text()
        assert mine.get_by_role("button", name="Start over").count() == 0
        second = subprocess.run([sys.executable, "app.py", "--workspace", str(folder)], cwd=ROOT, capture_output=True, text=True)
        assert second.returncode == 2
        assert "is in use by process" in second.stderr
        choose(other, "20")
        choose(mine, "3, 17")
        forget(mine)
        ledger(other)
        choose(mine, "4, 18, 21-26")
        mine.wait_for_function("document.querySelectorAll('.lm-tray li').length === 8")
        link = link_to_the_selection(mine)
        mine.wait_for_function(PRESS_WHEN_ENABLED, arg="#lm-forget", timeout=WORK_MS)
        mine.wait_for_selector(".map[data-working]", timeout=WORK_MS)
        mine.goto(url)  # at once: a reload does not withdraw the request under way
        mine.locator("#lm-result", has_text="8 images forgotten").wait_for(timeout=WORK_MS)
    with running(tmp_path, *command) as (url, _):
        page = opened(browser, f"{url}?{link}")  # its numbers belong to no other images
        page.get_by_text(texts.forgotten_numbers(8)).wait_for(timeout=WORK_MS)
        page.locator(".lm-status", has_text="10 forgotten").wait_for(timeout=WORK_MS)
        assert images_of(page) == images - 10
        assert page.locator(".lm-tray li").count() == 0
        assert page.locator("#lm-forget").is_disabled()
        ledger(page)
        page.locator("#lm-check").click()
        page.get_by_text(texts.CHECK_GOOD).wait_for(timeout=WORK_MS)
    report = verify_workspace(folder)
    assert (report["problems"], report["receipts"], report["samples"]) == ([], 2, images - 10)
