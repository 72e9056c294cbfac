"""What a person sees when something goes wrong: the server gone, a selection that is none."""

from __future__ import annotations

import pytest

from demo import texts
from tests.browser.chromium import FIT_MS, PRESS_WHEN_ENABLED, WORK_MS, choose, lasso
from tests.browser.conftest import running

pytestmark = pytest.mark.browser


def test_a_stopped_server_is_said_in_words(browser, cache):
    with running(cache) as (url, app):
        page = browser.new_page()
        page.goto(url)
        page.wait_for_selector(".lm-status.lm-ready", timeout=FIT_MS)
        choose(page, "5")
        page.wait_for_selector("#lm-forget:not([disabled])")
        app.kill()
        app.wait(20)
        page.locator("#lm-forget").click()
        page.wait_for_selector(".lm-offline:not([hidden])", timeout=20_000)
        assert page.locator(".lm-offline").inner_text() == texts.SERVER_UNREACHABLE
        page.close()


def test_a_selection_that_is_too_long_is_refused_and_nothing_changes(visit):
    page = visit()
    page.evaluate("() => { const real = window.btoa; window.btoa = (text) => real(text + text + text); }")
    lasso(page)
    page.get_by_text("The selection is longer than").wait_for(timeout=10_000)
    assert page.locator(".lm-tray li").count() == 0
    assert page.locator("#lm-forget").is_disabled()


def test_a_reload_does_not_withdraw_a_request_and_its_link_then_selects_nothing(browser, tmp_path, sixty):
    command = ("app.py", "--port", "{port}", "--workspace", str(tmp_path / "w"), "--dataset", str(sixty))
    with running(tmp_path, *command) as (url, _):
        page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        page.goto(url)
        page.wait_for_selector(".lm-status.lm-ready", timeout=FIT_MS)
        choose(page, "3, 17, 20-25")
        page.wait_for_selector(".lm-tray li")
        page.get_by_role("button", name="Copy link").click()
        page.wait_for_function("location.search.includes('data=')", timeout=WORK_MS)
        link = page.url
        page.wait_for_function(PRESS_WHEN_ENABLED, arg="#lm-forget", timeout=WORK_MS)
        page.wait_for_selector(".map[data-working]", timeout=WORK_MS)
        page.goto(url)  # at once: the request is under way
        page.wait_for_selector(".lm-result", state="attached", timeout=WORK_MS)
        assert "8 images forgotten" in page.locator("#lm-result").inner_text()
    with running(tmp_path, *command) as (url, _):
        page.goto(url + link.partition("/?")[2].join(("?", "")))
        page.get_by_text(texts.forgotten_numbers(8)).wait_for(timeout=WORK_MS)
        page.wait_for_selector(".lm-status.lm-ready", timeout=FIT_MS)
        page.locator(".lm-status", has_text="8 forgotten").wait_for(timeout=WORK_MS)
        assert page.locator(".lm-tray li").count() == 0
        assert page.locator("#lm-forget").is_disabled()
        page.context.close()
