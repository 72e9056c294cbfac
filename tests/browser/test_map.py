"""The map in a browser: what is drawn is read from its pixels, and fingers are real touch events. Most tests use the map alone."""

from __future__ import annotations

import json

import pytest

from demo import texts
from tests.browser.bare_map import FILED, SELECTED
from tests.browser.chromium import WORK_MS, lasso
from tests.browser.conftest import running
from tests.browser.test_accessibility import violations

pytestmark = pytest.mark.browser

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
POSITION = "i => document.querySelector('.map').lmeraser.position(i)"
PAINTED = """([layer, x, y, r]) => {
  const map = document.querySelector(layer), q = map.width / map.clientWidth;
  const data = map.getContext("2d").getImageData((x - r) * q, (y - r) * q, 2 * r * q, 2 * r * q).data;
  return data.reduce((count, value, i) => count + (i % 4 === 3 && value > 0), 0);
}"""  # how many pixels of a layer are painted around a place


@pytest.fixture(scope="module")
def bare_server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("bare"), "tests/browser/bare_map.py", "{port}", "{cache}") as (url, _):
        yield url


@pytest.fixture
def bare(visit, bare_server):
    return lambda **kwargs: visit(site=bare_server, ready=False, **kwargs)


def selected(page) -> int:
    return int(page.locator(".map").get_attribute("data-count") or 0)


def rows(page) -> list[int]:
    """Return the rows that the server was told last."""
    return json.loads(page.locator("#rows textarea").input_value() or "[]")


def wait_rows(page, expected: list[int]) -> None:
    page.wait_for_function("text => document.querySelector('#rows textarea').value === text", arg=json.dumps(expected), timeout=WORK_MS)


def send(page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()
    page.evaluate("scrollTo(0, 0)")


def place(page, row: int) -> tuple[float, float]:
    """Return where a row lies on the page."""
    box = page.locator(".stage").bounding_box()
    x, y = page.evaluate(POSITION, row)
    return box["x"] + x, box["y"] + y


def painted(page, layer: str, row: int, reach: float = 4) -> int:
    return page.evaluate(PAINTED, [layer, *page.evaluate(POSITION, row), reach])


def wait_painted(page, layer: str, row: int, some: bool = True) -> None:
    at = page.evaluate(POSITION, row)
    page.wait_for_function(f"([some, ...at]) => (({PAINTED})(at) > 0) === some", arg=[some, layer, *at, 4], timeout=WORK_MS)


def group(page, name: str):
    """Return the legend's button that selects a group, and the one that shows or hides it."""
    return page.locator(f".legend .entry[data-name='{name.lower()}'] .pick"), page.locator(
        f".legend .entry[data-name='{name.lower()}'] .eye"
    )


def around(page, row: int, reach: float = 14) -> None:
    """Draw around a row with the mouse."""
    x, y = place(page, row)
    page.mouse.move(x - reach, y - reach)
    page.mouse.down()
    for dx, dy in ((1, -1), (1, 1), (-1, 1), (-1, -1)):
        page.mouse.move(x + dx * reach, y + dy * reach, steps=4)
    page.mouse.up()


def test_spare_rows_come_and_go_without_a_new_map(bare):
    page = bare()
    counts = lambda: page.locator(".legend .pick small").all_inner_texts()  # noqa: E731
    assert page.get_by_test_id("map").count() == 1
    assert page.evaluate("document.querySelector('.map').lmeraser.size()") == FILED + 3
    assert counts() == ["150", "150"]
    send(page, "own-two")
    page.wait_for_function("document.querySelector('.legend .pick small').textContent === '152'", timeout=WORK_MS)
    wait_painted(page, ".front", 300)
    around(page, 300)
    wait_rows(page, [300])
    send(page, "own-one")
    page.wait_for_function("document.querySelector('.legend .pick small').textContent.endsWith('151')", timeout=WORK_MS)
    send(page, "own-none")
    page.wait_for_function("document.querySelector('.legend .pick small').textContent === '150'", timeout=WORK_MS)
    assert selected(page) == 0  # what is gone is not selected
    wait_painted(page, ".front", 300, some=False)
    page.mouse.move(*place(page, 300))
    assert page.locator(".card").is_hidden()


def test_a_legend_entry_selects_its_group_shift_adds_and_the_eye_hides(bare):
    page = bare()
    (even, hide_even), (odd, _) = group(page, "even"), group(page, "odd")
    even.click()
    wait_rows(page, list(range(0, FILED, 2)))
    assert even.locator("small").inner_text() == "150 of 150" and odd.locator("small").inner_text() == "150"
    odd.click(modifiers=["Shift"])
    wait_rows(page, list(range(FILED)))
    odd.click()
    wait_rows(page, list(range(1, FILED, 2)))
    hide_even.click()
    assert hide_even.get_attribute("aria-pressed") == "false"
    page.get_by_role("button", name="Box: drag a rectangle").click()
    box = page.locator(".stage").bounding_box()
    page.mouse.move(box["x"] + 3, box["y"] + 3)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 3, box["y"] + box["height"] - 3, steps=4)
    page.mouse.up()
    wait_rows(page, list(range(1, FILED, 2)))  # the hidden ones are not caught
    page.get_by_role("button", name=texts.MAP["show_all"]).click()
    assert hide_even.get_attribute("aria-pressed") == "true"


def test_a_long_legend_is_searched(bare):
    page = bare()
    page.get_by_role("radio", name="Cluster").click()
    entries = page.locator(".legend .entry")
    assert entries.count() == 30
    page.get_by_role("searchbox", name=texts.MAP["find"]).fill("cluster 12")
    assert entries.locator("visible=true").count() == 1
    group(page, "Cluster 12")[0].click()
    wait_rows(page, list(range(12, FILED, 30)))


def test_an_empty_lasso_says_so_and_keeps_the_selection(bare):
    page = bare()
    group(page, "even")[0].click()
    wait_rows(page, list(range(0, FILED, 2)))
    box = page.locator(".stage").bounding_box()
    page.mouse.move(box["x"] + 5, box["y"] + 60)
    page.mouse.down()
    for x, y in ((15, 60), (15, 70), (5, 70), (5, 60)):
        page.mouse.move(box["x"] + x, box["y"] + y, steps=3)
    page.mouse.up()
    page.get_by_text(texts.MAP["empty"]).wait_for(timeout=WORK_MS)
    assert selected(page) == 150


def test_what_is_out_of_sight_is_not_caught(bare):
    page = bare()
    for _ in range(3):
        page.get_by_role("button", name="Zoom in").click()
    box = page.locator(".stage").bounding_box()
    in_view = page.evaluate(
        "([n, w, h]) => [...Array(n).keys()].filter((i) => { const [x, y] = document.querySelector('.map').lmeraser.position(i);"
        " return x >= 0 && y >= 0 && x <= w && y <= h; })",
        [FILED, box["width"], box["height"]],
    )
    page.mouse.move(box["x"] + 2, box["y"] + 2)
    page.mouse.down()
    for x, y in ((1.2, 0.01), (1.2, 0.99), (0.01, 0.99), (0.01, 0.01)):
        page.mouse.move(box["x"] + box["width"] * x, box["y"] + box["height"] * y, steps=5)
    page.mouse.up()
    page.wait_for_function("document.querySelector('#rows textarea').value", timeout=WORK_MS)
    assert rows(page) and set(rows(page)) <= set(in_view)


def test_clusters_light_up_and_crosses_stay_until_the_next_selection(bare):
    page = bare()
    send(page, "select")
    page.locator(".key.on[data-touched]").wait_for(timeout=WORK_MS)
    assert page.locator(".key").inner_text().split("\n") == [texts.MAP[name] for name in ("selected", "retrain", "untouched")]
    send(page, "work")
    page.wait_for_selector(".map[data-working]", timeout=WORK_MS)
    assert group(page, "even")[0].is_disabled() and not painted(page, ".lit", 0)
    send(page, "half done")
    wait_painted(page, ".lit", 0)
    assert not painted(page, ".lit", 1) and painted(page, ".under", 1) and not painted(page, ".under", 0)
    send(page, "forgotten")
    page.wait_for_selector(".map:not([data-working])", timeout=WORK_MS)
    for row in SELECTED:
        wait_painted(page, ".front", row)
    assert group(page, "even")[0].is_enabled()
    around(page, 33)
    page.wait_for_function("document.querySelector('.map').dataset.count > 0", timeout=WORK_MS)
    for row in SELECTED:
        wait_painted(page, ".front", row, some=False)


def test_pictures_take_the_place_of_points_when_few_are_in_view(bare):
    page = bare()
    before = painted(page, ".points", 0, 10)
    page.mouse.move(*place(page, 0))
    for _ in range(6):
        page.mouse.wheel(0, -250)
    page.wait_for_function(f"([before, ...at]) => ({PAINTED})(at) > 2 * before", arg=[before, ".points", *page.evaluate(POSITION, 0), 14])
    page.get_by_role("button", name="Show everything").click()
    page.wait_for_function(f"([before, ...at]) => ({PAINTED})(at) <= before", arg=[before, ".points", *page.evaluate(POSITION, 0), 10])


def test_colors_that_take_a_moment_are_asked_for_when_they_are_wanted(bare):
    page = bare()
    page.get_by_role("radio", name="Late").click()
    page.wait_for_selector("[data-scheme=late][aria-checked=true]", timeout=WORK_MS)
    assert [text.split() for text in page.locator(".legend .pick").all_inner_texts()] == [
        ["low", "100"],
        ["middle", "100"],
        ["high", "100"],
    ]
    group(page, "high")[0].click()
    wait_rows(page, list(range(2, FILED, 3)))


def test_every_gesture_finds_a_zoomed_picture_and_its_card(bare):
    page = bare()
    page.mouse.move(*place(page, 0))
    for _ in range(8):
        page.mouse.wheel(0, -250)
    x, y = place(page, 0)
    page.mouse.move(x + 8, y)
    page.locator(".card:not([data-waiting])").wait_for(timeout=WORK_MS)
    assert page.locator(".card b").inner_text() == "Class 0"
    page.mouse.down()
    page.mouse.up()
    wait_rows(page, [0])


def test_a_card_comes_at_once_even_when_its_picture_is_late(bare):
    page = bare()
    page.route("**/component_server**", lambda route: None)  # never answered
    page.mouse.move(*place(page, 3))
    page.locator(".card[data-waiting]").wait_for(timeout=WORK_MS)
    assert page.locator(".card b").inner_text() == "Class odd"


# --- fingers ----------------------------------------------------------------------------------------------------------


class Fingers:
    """Real touch events, as the browser gets them from a screen."""

    def __init__(self, page):
        self.session = page.context.new_cdp_session(page)

    def __call__(self, kind: str, *points: tuple[float, float]) -> None:
        places = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(points)]
        self.session.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": places})

    def drag(self, *points: tuple[float, float], steps: int = 8) -> None:
        self("Start", points[0])
        for (ax, ay), (bx, by) in zip(points, points[1:], strict=False):
            for i in range(1, steps + 1):
                self("Move", (ax + (bx - ax) * i / steps, ay + (by - ay) * i / steps))
        self("End")

    def tap(self, x: float, y: float) -> None:
        self("Start", (x, y))
        self("End")


def test_a_swipe_scrolls_the_page_and_keeps_the_selection(bare):
    page = bare(**PHONE)
    finger = Fingers(page)
    finger.tap(*place(page, 7))
    wait_rows(page, [7])
    box = page.locator(".stage").bounding_box()
    x, y = box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.85
    top = page.evaluate("scrollY")
    finger.drag((x, y), (x, y - 250), steps=12)
    page.wait_for_function("top => scrollY > top + 150", arg=top, timeout=WORK_MS)
    assert selected(page) == 1 and rows(page) == [7]


def test_a_tap_selects_and_a_tap_beside_all_points_does_nothing(bare):
    page = bare(**PHONE)
    finger = Fingers(page)
    finger.tap(*place(page, 7))
    page.wait_for_function("document.querySelector('.map').dataset.count === '1'", timeout=WORK_MS)
    page.locator(".card").wait_for(timeout=WORK_MS)
    box = page.locator(".stage").bounding_box()
    finger.tap(box["x"] + 8, box["y"] + box["height"] * 0.5)
    finger.drag((box["x"] + 60, box["y"] + 200), (box["x"] + 260, box["y"] + 205))  # across: not a scroll, and no lasso
    page.get_by_text(texts.MAP["finger"]).wait_for(timeout=WORK_MS)
    assert selected(page) == 1


def test_a_finger_draws_once_drawing_is_switched_on(bare):
    page = bare(**PHONE)
    finger = Fingers(page)
    page.get_by_role("button", name=texts.MAP["draw"]).click()
    box = page.locator(".stage").bounding_box()
    at = lambda x, y: (box["x"] + box["width"] * x, box["y"] + box["height"] * y)  # noqa: E731
    top = page.evaluate("scrollY")
    finger.drag(at(0.03, 0.15), at(0.97, 0.15), at(0.97, 0.9), at(0.03, 0.9), at(0.03, 0.16))
    page.wait_for_function("document.querySelector('.map').dataset.count > 200", timeout=WORK_MS)
    assert page.evaluate("scrollY") == top
    page.get_by_role("button", name=texts.MAP["stop"]).click()
    finger.drag(at(0.4, 0.85), at(0.4, 0.3))
    page.wait_for_function("top => scrollY > top + 80", arg=top, timeout=WORK_MS)
    assert selected(page) > 200


@pytest.mark.parametrize("drawing", [False, True])
def test_two_fingers_zoom_and_select_nothing(bare, drawing):
    page = bare(**PHONE)
    if drawing:
        page.get_by_role("button", name=texts.MAP["draw"]).click()
    box = page.locator(".stage").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    distance = "() => { const map = document.querySelector('.map').lmeraser, a = map.position(0), b = map.position(1); return Math.hypot(a[0] - b[0], a[1] - b[1]); }"  # noqa: E501
    before, top, finger = page.evaluate(distance), page.evaluate("scrollY"), Fingers(page)
    finger("Start", (x, y - 30), (x, y + 30))
    for d in (40, 50, 60, 75, 90):
        finger("Move", (x, y - d), (x, y + d))
    finger("End")
    page.wait_for_function(f"before => Math.abs(({distance})() / before - 3) < 0.15", arg=before, timeout=WORK_MS)
    assert selected(page) == 0 and page.evaluate("scrollY") == top


def test_drawing_with_a_finger_leads_to_a_preview_on_the_whole_page(visit):
    page = visit(**PHONE)
    page.locator(".stage").scroll_into_view_if_needed()
    page.get_by_role("button", name=texts.MAP["draw"]).click()
    box = page.locator(".stage").bounding_box()
    at = lambda x, y: (box["x"] + box["width"] * x, box["y"] + box["height"] * y)  # noqa: E731
    Fingers(page).drag(at(0.1, 0.2), at(0.9, 0.2), at(0.9, 0.9), at(0.1, 0.9), at(0.1, 0.2), steps=3)
    page.wait_for_selector(".lm-facts", timeout=WORK_MS)
    assert selected(page) > 10


def test_a_class_is_selected_by_its_legend_entry_and_previewed(visit):
    page = visit()
    group(page, "4")[0].click()
    page.wait_for_selector(".lm-facts", timeout=WORK_MS)
    assert group(page, "4")[0].locator("small").inner_text() == f"{selected(page)} of {selected(page)}"
    assert lasso(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_violation_in_any_state_of_the_map(visit, scheme):
    page = visit(color_scheme=scheme, **PHONE)
    page.get_by_role("button", name=texts.MAP["draw"]).click()
    page.get_by_role("radio", name=texts.SCHEMES["memorized"]).click()
    page.wait_for_selector("[data-scheme=memorized][aria-checked=true]", timeout=WORK_MS)
    grave = {"memorized": violations(page)}
    page.locator(".legend .pick").last.click()
    page.wait_for_selector(".lm-facts", timeout=WORK_MS)
    page.get_by_role("radio", name=texts.SCHEMES["cluster"]).click()
    page.get_by_role("searchbox", name=texts.MAP["find"]).wait_for()
    grave["clusters, with a selection"] = violations(page)
    assert not {state: lines for state, lines in grave.items() if lines}
