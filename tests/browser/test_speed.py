"""How quickly the page answers with 60,000 points; prints what it measures. The targets are for a machine with nothing else to do."""

from __future__ import annotations

import json

import pytest

from tests.bench_page import measure
from tests.browser.conftest import running

pytestmark = [pytest.mark.browser, pytest.mark.slow]

TARGETS_MS = {"map ready": 2000, "lasso to preview": 300, "hover to card": 100}
SLACK = 4  # the suite shares its machine, on some days with more than on others


def test_sixty_thousand_points_answer_quickly(browser, tmp_path, capsys):
    with running(tmp_path, "tests/browser/big_app.py", "{port}", "{cache}") as (url, _):
        found = measure(browser.new_page(viewport={"width": 1280, "height": 900}), url)
    with capsys.disabled():
        print("\n60,000 points, milliseconds:", json.dumps(found))
    assert not {name: wait for name, wait in found.items() if wait["median"] > SLACK * TARGETS_MS[name]}
