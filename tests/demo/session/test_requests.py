"""What a request remembers of its time, and what the next preview makes of it."""

import threading
from dataclasses import replace

import pytest

from demo.session.carrying_out import carry_out, plan_figures


def test_full_retraining_is_told_at_the_present_pace(lab):
    visitor = lab.enter()
    plan = visitor.model.plan(lab.rows(visitor).ids([3]))
    before = plan_figures(lab, visitor, plan, [3])["predicted_full_seconds"]
    visitor.model.pace = 2.5
    assert plan_figures(lab, visitor, plan, [3])["predicted_full_seconds"] == pytest.approx(2.5 * before)
    request = carry_out(lab, visitor, plan, (3,), lambda _: None, threading.Event())
    assert request.full_seconds(lab.measured) == pytest.approx(2.5 * before)


def test_the_next_preview_counts_what_the_person_waited_for(lab):
    visitor = lab.enter()
    plan = visitor.model.plan(lab.rows(visitor).ids([4]))
    assert plan_figures(lab, visitor, plan, [4])["predicted_beside"] is None
    other = lab.enter()
    request = carry_out(lab, other, other.model.plan(lab.rows(visitor).ids([3])), (3,), lambda _: None, threading.Event())
    assert 0 < request.waited < 60
    lab.done(other, replace(request, waited=7.0), other.report, None)
    assert plan_figures(lab, visitor, plan, [4])["predicted_beside"] == pytest.approx(7.0 - request.outcome.seconds.total)
