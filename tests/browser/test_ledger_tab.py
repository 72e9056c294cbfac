"""Journeys of the ledger: check, replay, a receipt file intact and tampered with, and the report."""

from __future__ import annotations

import json

import pytest

from demo import texts
from tests.browser.chromium import FIT_MS, WORK_MS, choose, forget, ledger

pytestmark = pytest.mark.browser


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
