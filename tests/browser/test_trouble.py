"""What a person sees when something goes wrong: the server gone, a selection that is none."""

from __future__ import annotations

import pytest

from demo import texts
from tests.browser.chromium import FIT_MS, choose, lasso
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
