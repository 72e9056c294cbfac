"""Takes the README's pictures of the running page: `python -m tests.screenshots URL FOLDER` (needs Chromium)."""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.browser.chromium import choose, started


def request(page: Page, url: str) -> None:
    """Open the page and select a few images by number, with the preview shown."""
    page.goto(url)
    page.wait_for_selector(".lm-status.lm-ready", timeout=120_000)
    choose(page, "3, 17, 42")
    page.wait_for_selector(".lm-facts")
    page.get_by_role("button", name="Choose without the map").click()


def picture(page: Page, path: Path) -> None:
    """Take what a visitor sees without scrolling, once all is still."""
    page.evaluate("() => { document.activeElement.blur(); window.scrollTo(0, 0); }")
    page.wait_for_timeout(1500)
    page.screenshot(path=path)


def main(url: str, folder: Path) -> None:
    """Write page-light.png (before the request) and page-dark.png (the proof)."""
    with sync_playwright() as playwright:
        browser = started(playwright)
        page = browser.new_page(viewport={"width": 1280, "height": 860}, color_scheme="light")
        request(page, url)
        picture(page, folder / "page-light.png")
        page = browser.new_page(viewport={"width": 1280, "height": 1180}, color_scheme="dark")
        request(page, url)
        page.locator("#lm-forget").click()
        page.wait_for_selector(".lm-result", timeout=60_000)
        page.get_by_role("tab", name="Proof").click()
        page.locator("#lm-full-proof").click()
        page.wait_for_selector(".lm-verdict.lm-equal", timeout=120_000)
        picture(page, folder / "page-dark.png")
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
