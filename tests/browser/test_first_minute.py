"""The first minute, from a cold page to the result's card, at three sizes: teach and erase, forget a class, forget one picture."""

from __future__ import annotations

import pytest

from demo import texts
from tests.browser.chromium import FIT_MS, WORK_MS

pytestmark = pytest.mark.browser

WIDE = {"viewport": {"width": 1440, "height": 900}}
SMALL = {"viewport": {"width": 1024, "height": 768}}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
SIZES = pytest.mark.parametrize("size", [WIDE, SMALL, PHONE], ids=["1440x900", "1024x768", "390x844"])

INSIDE = """names => names.filter((name) => {
  const box = document.querySelector(`[data-testid=${name}]`).getBoundingClientRect();
  return !(box.width > 0 && box.top >= 0 && box.left >= 0 && box.bottom <= innerHeight && box.right <= innerWidth);
})"""


def inside(page, *names: str) -> None:
    """Every named part lies within what is seen, once the page is still."""
    page.wait_for_timeout(700)
    outside = page.evaluate(INSIDE, list(names))
    boxes = {name: page.locator(f"[data-testid={name}]").bounding_box() for name in outside}
    assert not outside, f"{boxes} in {page.viewport_size}"


def press(page, selector: str) -> None:
    """Click, or tap on a phone."""
    page.wait_for_selector(f"{selector}:not([disabled])", timeout=FIT_MS)
    box = page.locator(selector)
    box.tap() if page.evaluate("navigator.maxTouchPoints") else box.click()


def check_card(page, size: dict, proved: bool) -> None:
    """The card is there, with number, answers and badge in view, and the map beside it where there is room; in the end, it is `proved`."""
    page.wait_for_selector("[data-testid=result]", timeout=WORK_MS)
    inside(page, "speedup", "answers", "proof-badge", *(["map"] if size is not PHONE else []))
    page.wait_for_selector("[data-testid=proof-badge][data-kind=running], [data-testid=proof-badge][data-kind=equal]", timeout=WORK_MS)
    if not proved:  # it takes a full training: once for each way is enough
        return
    page.wait_for_selector("[data-testid=proof-badge][data-kind=equal]", timeout=FIT_MS)
    inside(page, "speedup", "answers", "proof-badge", *(["map"] if size is not PHONE else []))


def answers(page) -> list[str]:
    return page.locator("[data-testid=answers] strong").all_inner_texts()


@SIZES
def test_the_three_ways_are_in_view_at_first(visit, size):
    page = visit(**size)
    page.wait_for_selector("[data-testid=way-one]:not([disabled])", timeout=FIT_MS)
    inside(page, "way-teach", "way-class", "way-one")


@SIZES
def test_forgetting_a_class(visit, size):
    page = visit(**size)
    press(page, "[data-testid=way-class]")
    page.wait_for_selector("[data-testid=forget]:not([disabled])", timeout=WORK_MS)
    inside(page, "forget")
    press(page, "[data-testid=forget]")
    check_card(page, size, proved=size is SMALL)
    before, after = answers(page)
    assert before == "4" != after
    assert "145 images forgotten" in page.locator("[data-testid=result]").inner_text()
    assert "100 → 0.0 %" in page.locator(".lm-shares").inner_text()


@SIZES
def test_forgetting_one_picture_changes_the_answer(visit, size):
    page = visit(**size)
    press(page, "[data-testid=way-one]")
    press(page, "[data-testid=forget]")
    check_card(page, size, proved=size is WIDE)
    before, after = answers(page)
    assert before != after


@SIZES
def test_what_was_taught_and_forgotten_leaves_no_trace(visit, size):
    page = visit(**size)
    press(page, "[data-testid=way-teach]")
    sheet = page.locator(".sheet")
    sheet.wait_for(state="visible")
    sheet.scroll_into_view_if_needed()
    box = sheet.bounding_box()
    at = lambda x, y: (box["x"] + x * box["width"], box["y"] + y * box["height"])  # noqa: E731
    page.mouse.move(*at(0.25, 0.2))
    page.mouse.down()
    page.mouse.move(*at(0.72, 0.2), steps=6)
    page.mouse.move(*at(0.45, 0.85), steps=8)
    page.mouse.up()
    press(page, "#lm-ask")
    page.wait_for_selector(".lm-saying", timeout=WORK_MS)
    asked = page.locator(".lm-saying li span").first.inner_text()
    name = "8" if asked != "8" else "3"
    page.locator("#lm-teach-label label", has_text=name).click()
    press(page, "#lm-teach")
    page.wait_for_function("document.querySelectorAll('.lm-saying section').length === 2", timeout=WORK_MS)
    assert page.locator(".lm-saying").is_visible() and sheet.is_visible()
    assert page.locator(".lm-saying section").nth(1).locator("span").first.inner_text() == name
    assert page.locator("[data-testid=forget]").inner_text().startswith("Forget my picture")
    press(page, "[data-testid=forget]")
    check_card(page, size, proved=size is PHONE)
    assert answers(page) == [asked, name, asked]
    assert texts.SAME_AGAIN in page.locator("[data-testid=answers]").inner_text()
    prints = page.locator("[data-testid=answers] .lm-print").evaluate_all("all => all.map((print) => print.title)")
    assert prints[0] == prints[2] != prints[1]
    assert page.locator("[data-testid=answers] img").evaluate("image => image.naturalWidth") == 8


def test_an_example_is_laid_on_the_sheet_and_an_empty_sheet_is_answered_in_words(visit):
    page = visit()
    press(page, "[data-testid=way-teach]")
    press(page, "[data-do=example]")
    page.wait_for_selector(".drawing[data-inked]")
    press(page, "#lm-ask")
    page.wait_for_selector(".lm-saying", timeout=WORK_MS)
    press(page, "[data-do=clear]")
    press(page, "#lm-ask")
    page.get_by_text(texts.NO_PICTURE).first.wait_for(timeout=10_000)


def test_a_reload_keeps_the_work(visit):
    page = visit(**WIDE)
    press(page, "[data-testid=way-one]")
    press(page, "[data-testid=forget]")
    page.wait_for_selector("[data-testid=result]", timeout=WORK_MS)
    page.wait_for_function("document.querySelector('.lm-status').innerText.includes('1 forgotten')")
    page.reload()
    page.wait_for_selector("[data-testid=result]", timeout=WORK_MS)
    assert "1 forgotten" in page.locator(".lm-status").inner_text()
