"""How many deletions pay, on a fake engine: counted on a copy, stopped, and over when the model is another."""

import asyncio

import numpy as np
import pytest

from core.errors import InputError
from demo import texts
from demo.session.jobs import Jobs
from demo.session.lab import Lab
from demo.session.requests import Measurement, Spent
from demo.tabs.page import Page
from demo.view import charts
from tests.demo.fake import FakeEngine, fake_samples
from tests.demo.tabs.test_page import last


def test_deletions_are_counted_on_a_copy_until_they_cost_as_much_as_training_anew(lab, site):
    visitor = lab.enter()
    lab.measured = Measurement(1.0, "today", len(lab.samples))
    root, part = visitor.model.root, site.compare.capacity
    *_, updates = last(part.run(visitor.token))
    spent = visitor.spent
    assert spent.exhausted and spent.over and spent.root == root == visitor.model.root
    assert len(visitor.model.samples) == len(lab.samples) and visitor.requests == []
    cost = np.cumsum(spent.seconds)
    assert cost[spent.deletions - 1] <= spent.full == 1.0 < cost[spent.deletions]
    copy, order = visitor.model, np.random.default_rng(0).permutation(len(lab.samples))
    for row, seconds in zip(order, spent.seconds, strict=False):
        copy = copy.without((lab.samples.ids[row],))
        assert copy.outcome.seconds.total == seconds
    assert texts.capacity(spent) in updates["capacity_note"] and str(spent.deletions) in texts.capacity(spent)
    assert updates["capacity_chart"]["visible"] and updates["capacity_run"]["interactive"]
    assert not updates["capacity_stop"]["interactive"]


def test_a_figure_is_of_one_model_only(lab, site):
    visitor = lab.enter()
    lab.measured = Measurement(1.0, "today", len(lab.samples))
    last(site.compare.capacity.run(visitor.token))
    site.request.select(visitor.token, [1])
    last(site.request.forget(visitor.token))
    updates = site.compare.show(visitor)
    assert not updates["capacity_chart"]["visible"] and texts.CAPACITY_INFO in updates["capacity_note"]


def test_it_can_be_stopped_and_says_what_it_has_so_far(lab, site, monkeypatch):
    monkeypatch.setattr("demo.tabs.capacity.TOLD", 0.0)
    visitor, part = lab.enter(), site.compare.capacity
    lab.measured = Measurement(1e6, "today", len(lab.samples))
    visitor.model.pause = 0.05

    async def main():
        seen = []
        async for updates in part.run(visitor.token):
            seen.append(updates)
            if visitor.spent:
                part.stop(visitor.token)
        return seen

    updates = asyncio.run(asyncio.wait_for(main(), 20))[-1]
    assert 0 < len(visitor.spent.seconds) < len(lab.samples) // 2 and visitor.spent.over and not visitor.spent.exhausted
    assert "At this pace" in updates["capacity_note"] and updates["capacity_run"]["interactive"] and visitor.study is None


def test_it_is_refused_where_it_cannot_be_measured(lab, site, tmp_path):
    visitor = lab.enter()
    lab.measured = None
    with pytest.raises(InputError, match="not measured"):
        last(site.compare.capacity.run(visitor.token))
    assert not site.compare.show(visitor)["capacity_run"]["interactive"]
    shared = Lab(FakeEngine(fake_samples()), fake_samples(), tmp_path / "w", shared="w")
    shared.start().join()
    page, one = Page(shared, Jobs()), shared.enter()
    with pytest.raises(InputError, match="no copies"):
        last(page.compare.capacity.run(one.token))
    assert texts.NO_COPY in page.compare.show(one)["capacity_note"]


def test_the_chart_has_the_sums_and_the_line():
    spent = Spent("r", (1.0, 2.0, 3.0), 4.0)
    figure = charts.capacity(spent.seconds, spent.full)
    assert list(figure.data[0].y) == [0.0, 1.0, 3.0, 6.0]
    assert figure.layout.shapes[0].y0 == 4.0
    assert spent.deletions == 2
    assert "2 images went" in texts.capacity(spent)
