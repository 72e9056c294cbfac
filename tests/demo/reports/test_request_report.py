"""The report stands alone: what it says, what it never says, and where its file lies; in Chromium it draws without a network."""

import re
from html import unescape
from pathlib import Path

import pytest

from core.errors import InputError
from demo import texts
from demo.reports.request_report import report
from demo.tabs import result as report_tab
from tests.browser.chromium import found, started
from tests.conftest import need
from tests.demo.tabs.test_ledger import forget, merged


@pytest.fixture
def visitor(lab, site):
    visitor = lab.enter()
    forget(site, visitor, 1, 7)
    forget(site, visitor, 2)
    return visitor


@pytest.fixture
def uploads(tmp_path, monkeypatch):
    monkeypatch.setattr(report_tab, "get_upload_folder", lambda: str(tmp_path / "uploads"))
    return tmp_path / "uploads"


def written(lab, visitor, **kwargs) -> str:
    return report(tuple(visitor.requests), lab, lambda request: lab.verdict(visitor, request.number), **kwargs)


def words(html: str) -> str:
    return unescape(re.sub(r"<script.*?</script>|<style.*?</style>|<[^>]+>", " ", html, flags=re.S))


def test_it_says_what_was_forgotten_what_it_cost_and_what_it_rests_on(lab, site, visitor):
    merged(site.proof.full(visitor.token))
    text = words(written(lab, visitor))
    receipt = visitor.requests[-1].receipt
    for part in (
        "1 image forgotten", "Test images", "90.0 %", "measured on this machine in this session", "Equal, bit for bit",
        receipt.root_after, receipt.hash, receipt.seed, "Hardware: processor", "Version: torch", "2 requests, 3 images forgotten",
    ):  # fmt: skip
        assert part in text, part


def test_it_holds_what_was_found_out_since(lab, site, visitor):
    before = words(written(lab, visitor))
    assert not any(title in before for title in (texts.REPORT_COMPARE, texts.REPORT_MEMBERSHIP, texts.REPORT_RESIDUE))
    for study in (
        site.compare.run(visitor.token, ["SISA"]),
        site.proof.membership.run(visitor.token),
        site.proof.residue.run(visitor.token),
    ):
        merged(study)
    text = words(written(lab, visitor))
    for part in (
        texts.REPORT_COMPARE, "LMEraser is 2.0x faster", "Measured in this session on this machine (fake)", texts.REPORT_MEMBERSHIP,
        "0.5 = guessing",
        "Never saw them: Likelihood ratio (LiRA)", texts.REPORT_RESIDUE, texts.RESIDUE_CLEAN, texts.RESIDUE_PLACES["model"],
    ):  # fmt: skip
        assert part in text, part


def test_it_holds_no_picture_no_id_and_no_address_to_fetch(lab, visitor):
    html = written(lab, visitor)
    page = re.sub(r"<script>.*?</script></head>", "", html, count=1, flags=re.S)  # plotly.js itself names addresses
    assert "data:image" not in page
    assert not re.search(r"(src|href)=", page)
    assert not any(i.split("-")[0] in html for i in lab.samples.ids)


def test_the_file_is_hard_to_guess_one_at_a_time_and_gone_with_the_visitor(lab, site, visitor, uploads):
    make = lambda: Path(site.result.make_report(visitor.token)["report_file"])  # noqa: E731
    first = make()
    assert len(first.parent.name) == 64
    second = make()
    assert (first.exists(), second.exists()) == (False, True)
    lab.leave(visitor.token)
    assert list(uploads.iterdir()) == []


def test_it_says_why_numbers_are_missing(lab, visitor):
    assert "1 request was cancelled; the numbers skip it." in written(lab, visitor, cancelled=1)
    assert "cancelled" not in words(written(lab, visitor))


def test_there_is_no_report_of_nothing(lab, site, uploads):
    with pytest.raises(InputError, match="Forget something first"):
        site.result.make_report(lab.enter().token)
    assert not uploads.exists()


@pytest.mark.browser
def test_opened_from_disk_it_draws_its_charts_and_asks_no_network(lab, visitor, tmp_path):
    sync_api = pytest.importorskip("playwright.sync_api")
    need(found() is not None, "Chromium was not found on the path")
    file = tmp_path / "report.html"
    file.write_text(written(lab, visitor))
    asked, errors = [], []
    with sync_api.sync_playwright() as playwright:
        browser = started(playwright)
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(file.as_uri())
        page.wait_for_function("document.querySelectorAll('.js-plotly-plot .bars path').length >= 5", timeout=60_000)
        assert page.locator(".js-plotly-plot").count() == 3
        browser.close()
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert errors == []
