"""The membership test's handlers on a fake engine, and the scores that the movable threshold needs."""

import html
import json
import re

import pytest

from core.errors import LMEraserError
from demo import texts
from tests.test_demo_comparisons import forgotten
from tests.test_demo_handlers import last


def test_three_models_two_attacks_and_every_score_reach_the_page(lab, handlers):
    visitor = forgotten(lab, handlers, [1, 7])
    shown = last(handlers.membership.run(visitor.token))[-1]
    assert shown["audit"].count('<th scope="row"') == 6
    assert "2 forgotten pictures are too few to conclude." in shown["audit"]
    sent = json.loads(html.unescape(re.search(r'data-scores="([^"]*)"', shown["audit"])[1]))
    assert sent == visitor.requests[-1].audit["scores"]
    assert texts.AUDIT_CAVEAT in shown["audit"]
    assert "could not even tell" in shown["audit"]
    assert shown["audit_run"]["interactive"]
    assert visitor.study is None


def test_the_test_is_hidden_before_a_request_and_gone_after_start_over(lab, handlers):
    visitor = lab.enter()
    assert not handlers.membership.show(visitor)["audit_row"]["visible"]
    visitor = forgotten(lab, handlers, [1])
    last(handlers.membership.run(visitor.token))
    shown = handlers.start_over(visitor.token)
    assert shown["audit"] == ""
    assert not shown["audit_row"]["visible"]


def test_a_test_of_another_model_is_refused(lab, handlers, monkeypatch):
    visitor = forgotten(lab, handlers, [1])
    audit = lab.engine.audit
    monkeypatch.setattr(lab.engine, "audit", lambda *a: audit(*a) | {"root": {"after": "0" * 64}})
    with pytest.raises(LMEraserError, match="another root"):
        last(handlers.membership.run(visitor.token))
    assert visitor.requests[-1].audit is None
    assert visitor.study is None
