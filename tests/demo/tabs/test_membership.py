"""The membership test's site on a fake engine, and the scores that the movable threshold needs."""

import html
import json
import re

import pytest

from core.errors import LMEraserError
from demo import texts
from tests.demo.fake import FakeModel
from tests.demo.tabs.test_compare import forgotten
from tests.demo.tabs.test_page import last


def test_three_models_all_attacks_and_every_score_reach_the_page(lab, site):
    visitor = forgotten(lab, site, [1, 7])
    shown = last(site.proof.membership.run(visitor.token))[-1]
    assert shown["audit"].count('<th scope="row"') == 9
    assert "2 forgotten pictures are too few for a conclusion." in shown["audit"]
    sent = json.loads(html.unescape(re.search(r'data-scores="([^"]*)"', shown["audit"])[1]))
    assert sent == visitor.requests[-1].audit["scores"]
    assert texts.AUDIT_CAVEAT in shown["audit"]
    assert "likelihood ratio 0.75 (0.75)" in shown["audit"] and "0.5 = guessing" in shown["audit"]
    assert texts.audit_weak(list(visitor.requests[-1].audit["sensitive"])) in shown["audit"]
    assert "still counts the pictures): noticed by likelihood ratio and" in shown["audit"]
    assert "keeps its old state): not noticed" in shown["audit"]
    assert "within 0.02 of the controls" in html.unescape(shown["audit"])
    assert shown["audit_run"]["interactive"]
    assert visitor.study is None


def test_the_test_is_hidden_before_a_request_and_gone_after_start_over(lab, site):
    visitor = lab.enter()
    assert not site.proof.membership.show(visitor)["audit_row"]["visible"]
    visitor = forgotten(lab, site, [1])
    last(site.proof.membership.run(visitor.token))
    visitor.open_tab = "proof"
    shown = site.request.start_over(visitor.token)
    assert shown["audit"] == ""
    assert not shown["audit_row"]["visible"]


def test_a_test_of_another_model_is_refused(lab, site, monkeypatch):
    visitor = forgotten(lab, site, [1])
    audit = FakeModel.audit
    monkeypatch.setattr(FakeModel, "audit", lambda *a: audit(*a) | {"root": {"after": "0" * 64}})
    with pytest.raises(LMEraserError, match=texts.AUDIT_OTHER_MODEL):
        last(site.proof.membership.run(visitor.token))
    assert visitor.requests[-1].audit is None
    assert visitor.study is None
