"""Chromium as the browser tests and the script of the README's pictures start it, and what a visitor does on the page."""

from __future__ import annotations

import re
import shutil

import pytest

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
FIT_MS = 240_000  # the first fit on a loaded machine
WORK_MS = 120_000

# In one step: between seeing a button enabled and a click from outside, a short request may already be done.
PRESS_WHEN_ENABLED = "id => { const b = document.querySelector(id); if (!b || b.disabled) return false; b.click(); return true; }"


STAYS = """(box, text) => new Promise((done) => {
  let frames = 0;
  const look = () => (box.value !== text ? done(false) : ++frames > 20 ? done(true) : requestAnimationFrame(look));
  look();
})"""


def lasso(page, points=((0.45, 0.40), (0.55, 0.40), (0.55, 0.50), (0.45, 0.50), (0.45, 0.40))):
    """Draw around a part of the map with the mouse, wider until something is caught; return how many are selected."""
    box = page.locator(".stage").bounding_box()
    for grow in (1.0, 2.0, 4.0, 8.0):
        at = [
            (box["x"] + box["width"] * (0.5 + grow * (x - 0.5)), box["y"] + box["height"] * (0.45 + grow * (y - 0.45))) for x, y in points
        ]
        page.mouse.move(*at[0])
        page.mouse.down()
        for x, y in at[1:]:
            page.mouse.move(x, y, steps=5)
        page.mouse.up()
        count = int(page.locator(".map").get_attribute("data-count") or 0)
        if count:
            return count
    pytest.fail("the lasso caught nothing")


def open_choose(page) -> None:
    """Open the part that selects without the map, with the keyboard alone."""
    page.get_by_role("button", name="Choose without the map").press("Enter")
    page.get_by_label("Sample numbers").wait_for()


def fill(box, text: str) -> None:
    """Type into a field until the text stays for twenty frames.

    Gradio mounts the fields of a part when it opens, and sets them once more a moment later, over what a script typed in between.
    """
    box.fill(text)
    while not box.evaluate(STAYS, text):
        box.fill(text)


def fixed_words(text: str) -> str:
    """Return the longest piece of a sentence of the page that holds no placeholder."""
    return max(re.split(r"\{[^}]*\}", text), key=len).strip()


def choose(page, numbers: str) -> None:
    """Select by sample numbers, with the keyboard alone."""
    box = page.get_by_label("Sample numbers")
    if not box.is_visible():
        open_choose(page)
    fill(box, numbers)
    box.press("Enter")


def forget(page) -> None:
    page.wait_for_selector("#lm-forget:not([disabled])", timeout=WORK_MS)
    page.locator("#lm-forget").press("Enter")
    page.wait_for_selector(".lm-card", timeout=WORK_MS)
    if page.locator("[role=tab][aria-selected=true]").get_by_text("Result").count():  # another tab is filled when it is opened
        page.wait_for_selector(".lm-result", state="attached", timeout=WORK_MS)


def ledger(page) -> None:
    """Open the ledger, which must have an entry."""
    page.get_by_role("tab", name="Ledger").click()
    page.wait_for_selector(".lm-ledger tbody tr")


def found() -> str | None:
    """Return where Chromium is, or None; the shell without windows first, which needs less of a small machine."""
    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


def started(playwright):
    """Return a browser; Chromium must be there."""
    return playwright.chromium.launch(executable_path=found(), args=FLAGS, headless=True)
