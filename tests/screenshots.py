"""Takes the README's pictures of the running page: `python -m tests.screenshots URL FOLDER` (needs Chromium)."""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.browser.chromium import started


def opened(page: Page, url: str) -> None:
    """Open the page and wait until all three ways in can be taken."""
    page.goto(url)
    page.wait_for_selector("[data-testid=way-one]:not([disabled])", timeout=240_000)


def unlearned(page: Page) -> None:
    """Draw a 7, teach the model that it is an 8, forget it, and wait for the proof."""
    page.get_by_test_id("way-teach").click()
    page.locator(".sheet").wait_for(state="visible")
    box = page.locator(".sheet").bounding_box()
    at = lambda x, y: (box["x"] + x * box["width"], box["y"] + y * box["height"])  # noqa: E731
    page.mouse.move(*at(0.25, 0.2))
    page.mouse.down()
    for place in ((0.72, 0.2), (0.45, 0.85)):
        page.mouse.move(*at(*place), steps=8)
    page.mouse.up()
    page.locator("#lm-teach-label label", has_text="8").click()
    page.locator("#lm-teach").click()
    page.wait_for_selector("#lm-forget:not([disabled])", timeout=60_000)
    page.locator("#lm-forget").click()
    page.wait_for_selector("[data-testid=proof-badge][data-kind=equal]", timeout=240_000)


def picture(page: Page, path: Path) -> None:
    """Take what a visitor sees without scrolling, once all is still."""
    page.evaluate("() => { document.activeElement.blur(); window.scrollTo(0, 0); }")
    page.wait_for_timeout(1500)
    page.screenshot(path=path)


def main(url: str, folder: Path) -> None:
    """Write page-light.png (three ways in) and page-dark.png (a picture taught and forgotten, with its proof)."""
    with sync_playwright() as playwright:
        browser = started(playwright)
        for name, act in (("light", None), ("dark", unlearned)):
            page = browser.new_page(viewport={"width": 1280, "height": 860}, color_scheme=name)
            opened(page, url)
            if act:
                act(page)
            picture(page, folder / f"page-{name}.png")
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
