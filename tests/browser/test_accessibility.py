"""axe-core on every state of the page, light and dark: no serious or critical violation."""

from __future__ import annotations

import pytest

from tests.browser.chromium import choose, forget

pytestmark = pytest.mark.browser

GRAVE = ("serious", "critical")
TABS = ("Result", "Methods", "Proof", "Clusters", "Ledger", "How it works", "Lesson")


# A button that has just been enabled fades into its color; what loops for good is not waited for.
SETTLED = """() => Promise.allSettled(document.getAnimations({subtree: true})
    .filter(a => Number.isFinite(a.effect.getComputedTiming().endTime)).map(a => a.finished))"""


def violations(page) -> list[str]:
    """Return the grave violations on the page once its transitions have ended, one line each."""
    from axe_playwright_python.sync_playwright import Axe

    page.evaluate(SETTLED)
    found = Axe().run(page).response["violations"]
    return [f"{v['id']}: {node['target']} {node['failureSummary'][:160]}" for v in found if v["impact"] in GRAVE for node in v["nodes"]]


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
        page.wait_for_timeout(400)
        grave[name] = violations(page)
    assert not {state: lines for state, lines in grave.items() if lines}


def test_no_serious_violation_at_phone_width(visit):
    page = visit(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    assert not violations(page)
