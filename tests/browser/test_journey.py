"""Journeys on the real app in Chromium: lasso to proof, keyboard only, cancel, two visitors."""

from __future__ import annotations

import pytest

from demo import texts
from tests.browser.chromium import FIT_MS, WORK_MS, choose, fixed_words, forget, lasso

pytestmark = pytest.mark.browser


def test_the_map_is_there_before_the_model_and_progress_is_shown(visit):
    page = visit(ready=False)
    assert page.locator(".lm-status").inner_text()
    page.wait_for_selector(".lm-status.lm-ready", timeout=FIT_MS)
    assert "measured on this machine in this session" in page.locator(".lm-status").inner_text()


def test_lasso_preview_forget_and_result(visit):
    page = visit()
    count = lasso(page)
    page.wait_for_selector(".lm-facts", timeout=WORK_MS)
    preview = page.locator(".lm-plan").inner_text()
    assert f"{count:,} image" in preview
    assert "untouched" in preview
    assert "full retraining about" in preview
    assert page.locator(".lm-tray li").count() == min(count, 60)
    forget(page)
    result = page.locator("#lm-result").inner_text()
    assert f"{count:,} image" in result
    assert "forgotten in" in result
    for group in ("Test images", "Retained images", "Forgotten images"):
        assert group in result
    assert page.locator(".map").get_attribute("data-count") == "0"
    assert page.locator("#lm-report").is_visible() and not page.locator("#lm-report-file").is_visible()


def test_keyboard_only_and_the_other_visitor_sees_nothing_of_it(visit):
    mine, other = visit(), visit()
    choose(other, "3-5")
    other.wait_for_selector(".lm-tray li")
    choose(mine, "7")
    mine.wait_for_selector(".lm-tray li")
    forget(mine)
    assert "1 image forgotten" in mine.locator("#lm-result").inner_text()
    assert texts.EMPTY_RESULT in other.locator("#lm-result").inner_text()
    assert other.locator(".lm-tray li").count() == 3
    choose(other, "7")
    other.wait_for_function("document.querySelectorAll('.lm-tray li').length === 1")


def test_full_retraining_proves_the_request(visit):
    page = visit()
    choose(page, "11")
    forget(page)
    page.get_by_role("tab", name="Proof").click()
    page.locator("#lm-full-proof").click()
    page.wait_for_selector(".lm-verdict.lm-equal", timeout=FIT_MS)
    roots = page.locator(".lm-roots code").evaluate_all("all => all.map((code) => code.title)")
    assert len(roots) == 3
    assert roots[1] == roots[2] != roots[0]


# In the page, as soon as the map shows that work has begun: a short request would be over before two clicks from outside.
SELECT_THEN_CANCEL = """() => new Promise((done) => {
  const look = () => {
    const cancel = document.querySelector("#lm-cancel");
    if (!document.querySelector(".map[data-working]") || !cancel || cancel.disabled) return requestAnimationFrame(look);
    const stage = document.querySelector(".stage"), { left, top, width, height } = stage.getBoundingClientRect();
    const at = { clientX: left + width / 2, clientY: top + height / 2, button: 0, buttons: 1, bubbles: true, pointerId: 1 };
    stage.dispatchEvent(new PointerEvent("pointerdown", at));
    stage.dispatchEvent(new PointerEvent("pointerup", at));
    const hint = document.querySelector(".hint").innerText;
    cancel.click();
    done(hint);
  };
  document.querySelector("#lm-forget").click();
  look();
})"""


def test_cancel_in_the_middle_changes_nothing(visit):
    page = visit()
    choose(page, "0-900")
    page.wait_for_selector("#lm-forget:not([disabled])", timeout=WORK_MS)
    assert page.evaluate(SELECT_THEN_CANCEL) == texts.MAP["busy"]
    page.wait_for_selector(".lm-plan.lm-cancelled", timeout=WORK_MS)
    assert texts.CANCELLED in page.locator(".lm-plan").inner_text()
    page.wait_for_timeout(1500)  # nothing may follow, and nothing cannot be waited for
    assert page.locator(".map").get_attribute("data-count") == "901"


def test_a_wrong_number_is_answered_in_words(visit):
    page = visit()
    choose(page, "3, abc")
    page.get_by_text(fixed_words(texts.BAD_NUMBERS)).wait_for(timeout=10_000)


def test_phone_width_has_no_sideways_scroll(visit):
    page = visit(viewport={"width": 390, "height": 844}, has_touch=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def open_tab(page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()


def test_methods_are_compared_row_by_row_and_the_clusterings_side_by_side(visit, small_server):
    page = visit(site=small_server)
    choose(page, "21-24")
    page.wait_for_selector("#lm-forget:not([disabled])", timeout=WORK_MS)
    open_tab(page, "Compare")
    page.wait_for_selector(".lm-reach", timeout=WORK_MS)
    assert page.locator(".lm-reach .lm-strip").count() == 3
    forget(page)
    for name in ("Full refit", "One prompt on all data", "Fine-tune on retained", "Gradient ascent", "Random labels"):
        page.locator("#lm-methods").get_by_label(name).uncheck()
    page.locator("#lm-run-compare").click()
    page.wait_for_selector(".lm-awaited", timeout=WORK_MS)
    page.wait_for_function("document.querySelectorAll('.lm-compare tbody tr:not(.lm-awaited)').length === 2", timeout=FIT_MS)
    assert "SISA" in page.locator(".lm-compare tbody").inner_text()


def test_the_membership_threshold_moves_and_answers_at_once(visit, small_server):
    page = visit(site=small_server)
    choose(page, "31-33")
    forget(page)
    open_tab(page, "Proof")
    page.locator("#lm-run-audit").click()
    page.get_by_text(texts.AUDIT_DETAILS).click(timeout=FIT_MS)
    page.wait_for_selector(".lm-drawing svg", timeout=WORK_MS)
    slider = page.locator(".lm-threshold input[type=range]")
    slider.press("Home")
    assert "Caught 100 %" in page.locator(".lm-readout").inner_text()
    for _ in range(3):
        slider.press("PageUp")
    said = page.locator(".lm-readout").inner_text()
    assert said == slider.get_attribute("aria-valuetext")
    page.locator(".lm-threshold").get_by_label("Loss threshold").check()
    assert "Caught" in page.locator(".lm-readout").inner_text()
