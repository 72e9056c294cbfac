"""Journeys around links and the lesson: permalinks, selection files, small actions, other pages, the worksheet."""

from __future__ import annotations

import json
import re
from urllib.parse import parse_qs, urlsplit

import pytest

from demo import texts
from tests.browser.chromium import FIT_MS, WORK_MS, choose, fill, fixed_words, forget, open_choose

pytestmark = pytest.mark.browser

CLIPBOARD = ["clipboard-read", "clipboard-write"]


def selected(page) -> int:
    return int(page.locator(".map").get_attribute("data-count") or 0)


def wait_selected(page, count: int) -> None:
    page.wait_for_function("n => document.querySelector('.map').dataset.count == n", arg=count, timeout=WORK_MS)


def test_a_permalink_is_copied_and_restores_the_whole_state(visit):
    page = visit(address="?hide=choose", permissions=CLIPBOARD)
    assert not page.get_by_role("button", name="Choose without the map").is_visible()
    page.locator(".lm-tools").get_by_role("button", name="Learn").click()
    page.locator("#lesson-3 input").first.check()
    page.get_by_role("button", name="Copy link").click()
    page.get_by_role("button", name="Link copied").wait_for(timeout=WORK_MS)
    address = page.evaluate("navigator.clipboard.readText()")
    assert address == page.url
    query = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    assert query == {"dataset": "digits", "preset": "fast", "seed": "0", "step": "3", "hide": "choose"}


def test_random_images_of_a_link_are_selected_again_with_the_open_tab(visit):
    page = visit(address="?select=random-10&seed=3&tab=learn&hide=map,request")
    wait_selected(page, 10)
    assert page.get_by_role("tab", name="Learn").get_attribute("aria-selected") == "true"
    assert not page.locator(".stage").is_visible()
    open_choose(page)
    page.wait_for_function("document.querySelector('#lm-seed input').value === '3'")
    tray = page.locator(".lm-tray li").evaluate_all("all => all.map((li) => li.title)")
    other = visit()
    open_choose(other)
    fill(other.locator("#lm-seed input"), "3")
    other.locator("#lm-draw").click()
    wait_selected(other, 10)
    assert other.locator(".lm-tray li").evaluate_all("all => all.map((li) => li.title)") == tray


@pytest.mark.parametrize(("old", "new"), [("methods", "Compare"), ("how-it-works", "Learn"), ("how", "Learn"), ("lesson", "Learn")])
def test_an_older_link_opens_the_tab_that_took_the_place(visit, old, new):
    page = visit(address=f"?tab={old}", ready=False)
    page.locator("[role=tab][aria-selected=true]").get_by_text(new).wait_for(timeout=WORK_MS)


def test_what_an_address_hides_leaves_no_hole(visit):
    width = lambda part: page.locator(part).bounding_box()["width"]  # noqa: E731
    page = visit(address="?hide=request", ready=False)
    assert width(".lm-hero") == width(".lm-main")
    page = visit(address="?hide=map,choose", ready=False)
    assert width(".lm-request") == width(".lm-main") and not page.locator(".lm-hero").is_visible()
    page = visit(address="?hide=map,choose,request", ready=False)
    assert not page.locator(".lm-main").is_visible() and page.locator(".lm-after").is_visible()


def test_an_address_that_hides_everything_hides_nothing(visit):
    page = visit(address="?hide=map,choose,request,results", ready=False)
    page.get_by_text(texts.LINK_HIDES_ALL).wait_for(timeout=WORK_MS)
    assert page.locator(".stage").is_visible() and page.locator(".lm-after").is_visible()


def test_a_link_to_a_step_opens_it_and_a_wrong_link_is_answered_in_words(visit):
    page = visit(address="?step=4&select=3,99999&seed=x", ready=False)  # by the end of a fit the messages are gone
    page.locator("#lesson-4").wait_for(timeout=WORK_MS)
    page.wait_for_function("document.body.dataset.step === '4'")
    page.get_by_text(fixed_words(texts.BAD_RANGE)).wait_for(timeout=WORK_MS)
    page.get_by_text("seed=x, which is not a whole number").wait_for(timeout=WORK_MS)
    assert selected(page) == 0


def test_another_preset_has_its_own_page_and_an_address_leads_there(visit, small_server):
    page = visit(site=small_server, address="?hide=choose&select=3")
    page.locator("select[data-pick=preset]").select_option("paper")
    page.wait_for_url(re.compile(r"/digits-paper\?hide=choose$"), timeout=WORK_MS)
    page.wait_for_selector(".lm-status.lm-ready", timeout=FIT_MS)
    assert page.locator("select[data-pick=preset]").input_value() == "paper"
    assert selected(page) == 0
    page = visit(site=small_server, address="?dataset=digits&preset=paper&select=5-7", ready=False)
    page.wait_for_url(re.compile(r"/digits-paper\?"), timeout=WORK_MS)
    wait_selected(page, 3)
    forget(page)
    assert "3 images forgotten" in page.locator("#lm-result").inner_text()


def test_what_is_not_offered_is_named(visit):
    page = visit(address="?dataset=mnist")
    page.get_by_text(texts.NOT_AVAILABLE.partition(".")[0].format("mnist · fast")).wait_for(timeout=WORK_MS)


def test_similar_images_and_whole_clusters_are_added(visit):
    page = visit()
    choose(page, "3")
    page.get_by_role("button", name="10 most similar").click()
    wait_selected(page, 11)
    button = page.locator("[data-add=cluster]")
    more = int(re.search(r"\+([\d,]+)", button.inner_text())[1])
    button.click()
    wait_selected(page, 11 + more)


def test_a_selection_is_saved_and_opened_elsewhere(visit, tmp_path):
    mine, other = visit(), visit()
    choose(mine, "3, 17, 200-240")
    wait_selected(mine, 43)
    with mine.expect_download() as download:
        mine.get_by_role("button", name="Save", exact=True).click()
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    assert json.loads(file.read_text())["dataset"] == "digits"
    other.locator(".lm-actions input").set_input_files(file)
    wait_selected(other, 43)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("no json", "is not a saved selection"),
        ('{"format": "lmeraser-selection", "version": 1, "dataset": "cifar10"}', "made on data set 'cifar10'"),
        (" " * 1_000_001, "has 1,000,001 bytes; a selection has at most 1,000,000"),
    ],
)
def test_a_file_that_is_no_selection_is_answered_in_words(visit, tmp_path, content, words):
    page = visit()
    file = tmp_path / "wrong.json"
    file.write_text(content)
    page.locator(".lm-actions input").set_input_files(file)
    page.get_by_text(words).wait_for(timeout=WORK_MS)
    assert selected(page) == 0


def test_the_lesson_reveals_and_keeps_its_answers_while_a_request_runs(visit):
    page = visit(address="?select=7")
    wait_selected(page, 1)
    page.get_by_role("tab", name="Learn").click()
    page.locator("#lesson-1").wait_for()
    assert not page.locator("#lesson-1 .lm-reveal").is_visible()
    for step in range(1, 6):
        page.locator(f"#lesson-{step} label:has([data-right])").click()
        page.locator(f"#lesson-{step} .lm-reveal .yes").wait_for()
    page.locator("#lesson-1 input").first.check()
    page.locator("#lesson-1 .lm-reveal .no").wait_for()
    forget(page)
    page.get_by_role("tab", name="Learn").click()
    assert page.locator(".lm-step input:checked").count() == 5


def test_the_worksheet_is_one_page_without_answers(visit):
    page = visit()
    page.get_by_role("tab", name="Learn").click()
    page.locator("#lesson-1 label:has([data-right])").click()
    page.emulate_media(media="print")
    assert page.locator("#lesson-5 .lm-write").is_visible()
    assert page.locator(".lm-reveal:visible").count() == 0
    assert not page.locator(".map").is_visible()
    drawn = "input => ['appearance', 'background', 'border', 'boxShadow'].map((name) => getComputedStyle(input)[name])"
    ticked, other = (page.locator(f"#lesson-1 input{which}").first.evaluate(drawn) for which in (":checked", ":not(:checked)"))
    assert ticked == other
    pdf = page.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b(?!s)", pdf)) == 1
