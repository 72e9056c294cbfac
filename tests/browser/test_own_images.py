"""Images of one's own: dropped, looked at, a person of them forgotten, proved, and everything deleted."""

from __future__ import annotations

import base64
import io
import zipfile

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from sklearn.datasets import load_digits

from demo import texts
from demo.own import words
from tests.browser.chromium import FIT_MS, WORK_MS, forget, ledger, open_choose

pytestmark = pytest.mark.browser

DROP = """([data, name]) => {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0)), transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name));
  const drop = new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true });
  document.querySelector("[data-testid=drop]").dispatchEvent(drop);
}"""


def people(n: int = 60, each: int = 6) -> bytes:
    """Return a zip of n digits in class folders below a wrapper, by people with `each` of them, and what lies beside images."""
    raw, out = load_digits(), io.BytesIO()
    table = ["file_name;Person"]
    with zipfile.ZipFile(out, "w") as archive:
        for i in range(n):
            path, picture = f"kind {raw.target[i] % 3}/{i}.jpg", io.BytesIO()
            Image.fromarray((raw.images[i] * 15).astype("uint8")).resize((70, 60 + i % 4)).convert("RGB").save(picture, "JPEG")
            archive.writestr(f"mine/{path}", picture.getvalue())
            table.append(f"{path};person {i // each}")
        archive.writestr("mine/metadata.csv", "\n".join(table))
        archive.writestr("mine/README.md", "mine")
        archive.writestr("mine/kind 1/broken.jpg", b"nothing")
        archive.writestr("__MACOSX/mine/._1.jpg", b"nothing")
    return out.getvalue()


def serious(page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{v['id']}: {v['nodes'][0]['html'][:120]}" for v in found if v["impact"] in ("serious", "critical")]


def test_drop_look_forget_a_person_prove_and_delete(visit, server):
    page = visit(ready=False)
    page.get_by_role("link", name="Use your own images").click()
    page.get_by_text(words.PRIVATE).wait_for()
    assert not serious(page)
    page.evaluate(DROP, [base64.b64encode(people()).decode(), "mine.zip"])
    report = page.get_by_test_id("report")
    report.wait_for(timeout=WORK_MS)
    told = report.inner_text()
    assert "60" in told and "48 x 48 px" in told and "not an image of a format that is read here" in told
    report.get_by_text("not an image of a format that is read here").click()
    assert report.get_by_text("kind 1/broken.jpg").is_visible()
    assert report.locator(".gallery div").count() == 3
    assert not serious(page)
    address = page.url
    page.get_by_test_id("open").click()
    page.wait_for_selector(".lm-status.lm-ready", state="attached", timeout=FIT_MS)
    open_choose(page)
    page.wait_for_function(
        "!document.querySelector('.lm-persons tr:nth-child(2) td:last-child').textContent.includes('…')", timeout=WORK_MS
    )
    assert page.locator("[data-person]").count() == 8  # of ten persons, two are in the test split
    page.locator("[data-person]").first.click()
    page.wait_for_function("document.querySelectorAll('.lm-tray li').length >= 5", timeout=WORK_MS)
    count = int(page.locator(".map").get_attribute("data-count") or 0)
    assert count == 6
    forget(page)
    page.wait_for_selector("[data-testid=proof-badge][data-kind=equal]", timeout=FIT_MS)
    assert page.locator("[data-person]").count() == 7
    ledger(page)
    page.get_by_text(texts.all_of(1)).wait_for(timeout=WORK_MS)
    page.get_by_role("link", name="Your images: report and delete").click()
    page.get_by_test_id("delete").click()
    deleted = page.get_by_test_id("deleted")
    deleted.wait_for(timeout=FIT_MS)
    assert "nothing was found" in deleted.inner_text()
    page.goto("about:blank")
    page.goto(address)
    page.get_by_text(words.UNKNOWN).wait_for()
    assert page.get_by_test_id("report").is_hidden()


def test_a_folder_is_sent_file_by_file_and_a_label_can_be_given_to_all(visit, tmp_path):
    for i in range(8):
        Image.new("RGB", (20, 20 + i), (30 * i, 10, 200)).save(tmp_path / f"{i}.png")
    (tmp_path / "reds").mkdir()
    for i in range(4):
        Image.new("RGB", (20, 20), (255, i, 0)).save(tmp_path / "reds" / f"{i}.png")
    page = visit(ready=False, map_shown=False, address="own", viewport={"width": 390, "height": 844}, color_scheme="dark")
    page.get_by_test_id("pick-folder").set_input_files(tmp_path)
    page.get_by_test_id("report").wait_for(timeout=WORK_MS)
    assert page.locator(".gallery b").all_inner_texts() == ["reds"]
    page.get_by_test_id("pick-files").set_input_files([tmp_path / f"{i}.png" for i in range(8)])
    page.locator(".error").wait_for(timeout=WORK_MS)
    assert "label" in page.locator(".error").inner_text()
    page.get_by_label(words.LABEL_ALL).fill("colors")
    page.get_by_test_id("check").click()
    page.get_by_test_id("report").wait_for(timeout=WORK_MS)
    assert page.locator(".gallery b").all_inner_texts() == ["colors"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert not serious(page)
    page.get_by_test_id("delete").click()
    page.get_by_test_id("deleted").wait_for(timeout=WORK_MS)
    assert page.get_by_test_id("deleted").inner_text() == words.DELETED_BEFORE
