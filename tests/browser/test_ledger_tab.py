"""Journeys of the ledger: check, replay, a receipt file intact and tampered with, the report; and a page on a workspace, restarted."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from core.workspace.verify import verify_workspace
from demo import texts
from tests.browser.chromium import FIT_MS, WORK_MS, choose, forget
from tests.browser.conftest import ROOT, running

pytestmark = pytest.mark.browser


def ledger(page) -> None:
    page.get_by_role("tab", name="Ledger").click()
    page.wait_for_selector(".lm-ledger tbody tr")


def upload(page, name: str, content: str) -> str:
    """Give the page a receipt file; return what it says."""
    file = {"name": name, "mimeType": "application/json", "buffer": content.encode()}
    page.locator(".lm-file input").set_input_files(file)
    page.wait_for_selector("#lm-examined .lm-outcome", timeout=WORK_MS)
    return page.locator("#lm-examined").inner_text()


def test_receipts_are_downloaded_checked_and_replayed(visit, small_server):
    page = visit(site=small_server)
    choose(page, "7")
    forget(page)
    ledger(page)
    with page.expect_download() as download:
        page.get_by_text(texts.all_receipts(1)).click()
    text = download.value.path().read_text()
    page.locator("#lm-check").click()
    page.get_by_text(texts.CHECK_GOOD).wait_for(timeout=WORK_MS)
    assert "every digest recomputed" in page.locator("#lm-checked").inner_text()
    page.locator("#lm-replay").click()
    page.get_by_text("Request 1 replayed: equal, bit for bit").wait_for(timeout=FIT_MS)
    assert texts.file_known(1, 1) in upload(page, "receipts.json", text)
    entries = json.loads(text)
    entries[0]["samples"] += 1
    page.evaluate("document.querySelector('#lm-examined .lm-outcome').remove()")
    assert texts.FILE_BROKEN in upload(page, "tampered.json", json.dumps(entries))


def test_the_report_is_downloaded_and_opens_from_disk(visit, browser, tmp_path):
    page = visit()
    choose(page, "11")
    forget(page)
    with page.expect_download(timeout=WORK_MS) as download:
        page.locator("#lm-report").click()
    file = tmp_path / "report.html"
    file.write_bytes(download.value.path().read_bytes())
    asked = []
    report = browser.new_page()
    report.on("request", lambda request: asked.append(request.url))
    report.goto(file.as_uri())
    report.wait_for_selector(".js-plotly-plot .bars path", state="attached", timeout=WORK_MS)
    assert "1 image forgotten" in report.locator("h1").inner_text()
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    report.close()


def opened(browser, url: str):
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.goto(url)
    page.wait_for_selector(".lm-status.lm-ready", timeout=FIT_MS)
    return page


def test_a_workspace_remembers_what_was_forgotten(browser, tmp_path, sixty):
    folder = tmp_path / "w"
    command = ("app.py", "--port", "{port}", "--workspace", str(folder), "--dataset", str(sixty))
    with running(tmp_path, *command) as (url, _):
        mine, other = opened(browser, url), opened(browser, url)
        images = int(re.search(r"(\d+) private images", mine.locator(".lm-status").inner_text())[1])
        assert "Forgetting is permanent" in mine.locator(".lm-kept p").inner_text()
        assert mine.get_by_role("button", name="Start over").count() == 0
        choose(mine, "3, 17")
        forget(mine)
        choose(other, "20")
        ledger(other)
        second = subprocess.run([sys.executable, "app.py", "--workspace", str(folder)], cwd=ROOT, capture_output=True, text=True)
        assert second.returncode == 2
        assert "is in use by process" in second.stderr
    with running(tmp_path, *command) as (url, _):
        page = opened(browser, url)
        assert f"{images - 2} private images" in page.locator(".lm-status").inner_text()
        ledger(page)
        page.locator("#lm-check").click()
        page.get_by_text(texts.CHECK_GOOD).wait_for(timeout=WORK_MS)
    report = verify_workspace(folder)
    assert (report["problems"], report["receipts"], report["samples"]) == ([], 1, images - 2)
