"""Times the page: `python -m tests.bench_page URL` prints, for a running app, how long a person waits for map, preview, hover card and
the result of forgetting one image."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable

from playwright.sync_api import Page, sync_playwright

from tests.browser.chromium import choose, started

TURNS = 5

# All clocks run in the page: what the driver adds between calls is not what a person waits for.
WATCH = """
() => {
  window.lmTimes = {};
  const stage = document.querySelector(".stage");
  const until = (name, done) => {
    const look = () => done() ? (window.lmTimes[name] = performance.now()) : requestAnimationFrame(look);
    look();
  };
  const shown = () => (document.querySelector(".lm-plan p") || {}).textContent || "";
  stage.addEventListener("pointerup", () => {
    window.lmTimes.up = performance.now();
    const old = shown();
    until("plan", () => document.querySelector(".lm-facts") && shown() !== old);
  }, true);
  document.querySelector("#lm-forget").addEventListener("click", () => {
    window.lmTimes.press = performance.now();
    until("result", () => document.querySelector('.lm-request[data-at="result"]') && document.querySelector("#lm-result .lm-result"));
  }, true);
  stage.addEventListener("pointermove", () => {
    const card = document.querySelector(".card");
    if (!card.hidden) return;
    window.lmTimes.move = performance.now();
    until("card", () => !card.hidden);
  }, true);
}
"""
READY_MS = "() => performance.now()"


def measure(page: Page, url: str, fit_ms: int = 600_000, forget: bool = True) -> dict[str, dict[str, float]]:
    """Return median, smallest and largest milliseconds of each wait; the model behind the URL may still be fitting."""
    page.goto(url)
    page.wait_for_selector(".lm-status.lm-ready", timeout=fit_ms)
    ready = [_map_ready(page, url) for _ in range(3)]
    page.wait_for_selector(".lm-status.lm-ready", timeout=fit_ms)
    page.evaluate(WATCH)
    acts = {"lasso to preview": _lasso, "hover to card": _hover} | ({"forget to result": _forget} if forget else {})
    return {"map ready": spread(ready), **{name: spread(_turns(page, act)) for name, act in acts.items()}}


def spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "n": len(values)}


def _map_ready(page: Page, url: str) -> float:
    """Milliseconds from opening the page to a map that can be used."""
    page.goto(url, wait_until="commit")
    page.wait_for_selector(".map[data-ready]", timeout=60_000)
    return page.evaluate(READY_MS)


def _turns(page: Page, act: Callable[[Page, int], float]) -> list[float]:
    return [act(page, turn) for turn in range(TURNS)]


def _lasso(page: Page, turn: int) -> float:
    """Draw a small loop around a point, a new place each turn, until something new is selected."""
    box = page.locator(".stage").bounding_box()
    n = page.evaluate("() => document.querySelector('.map').lmeraser.filed()")
    x, y = page.evaluate("i => document.querySelector('.map').lmeraser.position(i)", (turn * 7919 + 13) % n)
    x, y = box["x"] + x, box["y"] + y
    page.evaluate("() => { window.lmTimes = {}; }")
    page.mouse.move(x - 9, y - 9)
    page.mouse.down()
    for dx, dy in ((9, -9), (9, 9), (-9, 9), (-9, -9)):
        page.mouse.move(x + dx, y + dy, steps=3)
    page.mouse.up()
    page.wait_for_function("window.lmTimes.plan", timeout=60_000)
    return page.evaluate("() => window.lmTimes.plan - window.lmTimes.up")


def _hover(page: Page, turn: int) -> float:
    box = page.locator(".stage").bounding_box()
    n = page.evaluate("() => document.querySelector('.map').lmeraser.filed()")
    x, y = page.evaluate("i => document.querySelector('.map').lmeraser.position(i)", (turn * 104_729 + 101) % n)
    page.mouse.move(box["x"] + 2, box["y"] + 2)
    page.wait_for_function("document.querySelector('.card').hidden", timeout=10_000)
    page.evaluate("() => { window.lmTimes = {}; }")
    page.mouse.move(box["x"] + x, box["y"] + y)
    page.wait_for_function("window.lmTimes.card", timeout=10_000)
    time.sleep(0.05)
    return page.evaluate("() => window.lmTimes.card - window.lmTimes.move")


def _forget(page: Page, turn: int) -> float:
    """Select one image, another each turn, and press Forget."""
    rows = page.evaluate("() => document.querySelector('.map').lmeraser.filed()")
    page.wait_for_timeout(800)  # a person's pause after the last result
    choose(page, str((turn * 15_485_863 + 7) % rows))
    page.wait_for_function("document.querySelectorAll('.lm-tray li').length === 1", timeout=60_000)
    page.wait_for_selector(".lm-plan .lm-facts", timeout=60_000)
    page.wait_for_selector("#lm-forget:not([disabled])", timeout=60_000)
    page.evaluate("() => { window.lmTimes = {}; }")
    page.locator("#lm-forget").click()
    page.wait_for_function("window.lmTimes.result", timeout=120_000)
    return page.evaluate("() => window.lmTimes.result - window.lmTimes.press")


def main(url: str) -> None:
    with sync_playwright() as playwright:
        browser = started(playwright)
        print(json.dumps(measure(browser.new_page(viewport={"width": 1280, "height": 900}), url), indent=2))
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1])
