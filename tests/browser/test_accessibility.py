"""axe-core on every state of the page, light and dark: no serious or critical violation."""

from __future__ import annotations

import pytest

from demo import texts
from tests.browser.chromium import choose, forget

pytestmark = pytest.mark.browser

GRAVE = ("serious", "critical")
TABS = ("Result", "Compare", "Proof", "Clusters", "Ledger", "Learn")


# A button that has just been enabled fades into its color; what loops for good is not waited for.
SETTLED = """() => Promise.allSettled(document.getAnimations({subtree: true})
    .filter(a => Number.isFinite(a.effect.getComputedTiming().endTime)).map(a => a.finished))"""

# Gradio shows an empty plot until the code that draws it has been loaded.
DRAWN = "() => ![...document.querySelectorAll('.lm-plot .empty')].some(e => e.offsetParent)"

# What an event still changes (a button enabled, a tab filled) comes in steps: wait until nothing has changed for half a second.
QUIET = """() => new Promise((done) => {
  let timer = setTimeout(done, 500);
  const seen = new MutationObserver(() => { clearTimeout(timer); timer = setTimeout(done, 500); });
  seen.observe(document.body, { subtree: true, childList: true, attributes: true });
  setTimeout(done, 20_000);
})"""


def violations(page) -> list[str]:
    """Return the grave violations on the page once its charts are drawn and its transitions have ended, one line each."""
    from axe_playwright_python.sync_playwright import Axe

    page.evaluate(QUIET)
    page.wait_for_function(DRAWN, timeout=60_000)
    page.evaluate(SETTLED)
    found = [v for v in Axe().run(page).response["violations"] if v["impact"] in GRAVE]
    return [f"{v['id']}: {n['target']} {n['failureSummary'][:160]} {n['html'][:160]}" for v in found for n in v["nodes"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_violation_in_any_state(visit, scheme):
    page = visit(color_scheme=scheme)
    grave = {"at rest": violations(page)}
    choose(page, "3, 17, 42")
    page.wait_for_selector(".lm-facts")
    page.wait_for_selector("#lm-forget:not([disabled])")
    grave["with a preview"] = violations(page)
    forget(page)
    for name in TABS:
        page.get_by_role("tab", name=name).click()
        page.locator("[role=tab][aria-selected=true]").get_by_text(name).wait_for()
        if name == "Clusters":
            page.get_by_label(texts.CLUSTER_PICK).click()
            page.locator(".lm-pick-cluster [role=option]").first.click()
            page.wait_for_selector("#lm-cluster-chosen .lm-cluster")
        for fold in page.locator(".lm-fold > summary, .lm-fold > .label-wrap").all():
            if fold.is_visible():
                fold.click()
        grave[name] = violations(page)
    assert not {state: lines for state, lines in grave.items() if lines}


def test_no_serious_violation_at_phone_width(visit):
    page = visit(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    assert not violations(page)
