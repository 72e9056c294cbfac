"""Three ways in, and the card that each of them ends in."""

import asyncio
from types import SimpleNamespace

import numpy as np
import pytest

from core.errors import InputError
from demo import texts
from demo.request.ways import memorable
from demo.session.jobs import Jobs
from demo.session.requests import Probabilities
from tests.demo.request.test_teach import merged


def way(site, visitor, name):
    return site.request.way(visitor.token, SimpleNamespace(_data={"way": name}))


def test_a_class_is_selected_whole_and_the_next_one_is_offered_when_it_is_gone(lab, site):
    visitor = lab.enter()
    updates = way(site, visitor, "class")
    assert {lab.samples.labels[r] for r in visitor.selection} == {2}
    assert len(visitor.selection) == (lab.samples.labels == 2).sum()
    assert 'data-at="pick"' in updates["at"] and updates["forget"]["value"].startswith("Forget 19 images")
    merged(site.request.forget(visitor.token))
    updates = site.request.clear(visitor.token)
    assert 'data-at="start"' in updates["at"] and texts.way_class("a", 21)[0] in updates["ways"]


def test_only_pictures_whose_loss_changes_the_answer_are_offered(lab, site, monkeypatch):
    labels, ids = lab.samples.labels, lab.samples.ids
    changed = {ids[5], ids[7]}

    def probabilities(self, samples):
        right = np.eye(3)[samples.labels]
        lost = [i in changed and i not in self.samples.ids for i in samples.ids]
        return np.where(np.array(lost)[:, None], np.roll(right, 1, axis=1), right)

    monkeypatch.setattr(type(lab.base.model), "probabilities", probabilities)
    with monkeypatch.context() as few:
        few.setattr("demo.request.ways.MOST_TRIED", 7)
        few.setattr(type(lab.base.model), "memorized", lambda self: np.arange(len(labels)) % 8 / 8)
        assert set(memorable(lab)) == {7}, "of those that rest most on having been seen"
    monkeypatch.setattr(type(lab.base.model), "memorized", lambda self: np.isin(ids, list(changed)).astype(float))
    assert set(memorable(lab)) == {5, 7}
    monkeypatch.setattr(type(lab.base.model), "memorized", lambda self: None)
    assert memorable(lab) == ()


def test_the_way_to_one_picture_selects_what_was_found(lab, site):
    visitor = lab.enter()
    assert "disabled" in site.request.ways.show(visitor)["ways"] and texts.WAY_ONE_SEARCHING[1].replace("'", "&#39;") in str(
        site.request.ways.show(visitor)["ways"]
    )
    site.request.ways.found = (4, 6)
    way(site, visitor, "one")
    assert visitor.selection == (4,)
    merged(site.request.forget(visitor.token))
    way(site, visitor, "one")
    assert visitor.selection == (6,)
    site.request.ways.found = ()
    with pytest.raises(InputError, match="No single picture"):
        way(site, visitor, "one")


def test_the_page_looks_once_and_shows_what_it_found(lab, site, monkeypatch):
    calls = []
    monkeypatch.setattr("demo.request.ways.memorable", lambda lab: calls.append(1) or (9,))
    visitor, other = lab.enter(), lab.enter()
    assert "No. 9" in merged(site.request.ways.look(visitor.token))["ways"]
    assert merged(site.request.ways.look(other.token)) == {} and calls == [1]


def test_the_card_stays_until_the_next_selection(lab, site):
    visitor = lab.enter()
    site.request.select(visitor.token, [1, 7])
    updates = merged(site.request.forget(visitor.token))
    assert 'data-testid="speedup"' in updates["card"] and "fresh" in updates["card"]
    assert 'data-testid="proof-badge"' in updates["badge"] and 'data-kind="unchecked"' in updates["badge"]
    assert site.request.select(visitor.token, []) == {}
    assert 'data-at="result"' in site.everything(visitor)["at"]
    assert 'data-at="pick"' in site.request.select(visitor.token, [2])["at"]


def test_the_proof_runs_by_itself_and_the_badge_follows(lab, site):
    visitor = lab.enter()
    site.request.select(visitor.token, [1])
    merged(site.request.forget(visitor.token))

    visitor.model.pause = 0.02

    async def seen():
        return [updates async for updates in site.request.card.prove(visitor.token)]

    badges = [str(u["badge"]) for u in asyncio.run(seen()) if "badge" in u]
    assert 'data-kind="running"' in badges[0] and 'data-kind="equal"' in badges[-1]
    assert visitor.check is None and visitor.proving == 0
    assert merged(site.request.card.prove(visitor.token)) == {}, "once is enough"


def test_another_request_ends_the_proof_of_the_one_before(lab, site):
    visitor = lab.enter()
    site.request.select(visitor.token, [1])
    merged(site.request.forget(visitor.token))

    async def journey():
        visitor.model.pause = 0.1
        proving = site.request.card.prove(visitor.token)
        await anext(proving)
        assert visitor.proving == 1
        site.request.select(visitor.token, [2])
        async for _ in site.request.forget(visitor.token):
            pass
        return [updates async for updates in proving]

    left = asyncio.run(asyncio.wait_for(journey(), 30))
    assert all("equal" not in str(u.get("badge", "")) for u in left)
    assert lab.verdict(visitor, 1).kind == "unchecked" and len(visitor.requests) == 2


def test_where_full_retraining_takes_long_or_someone_waits_the_proof_waits_for_its_button(lab, site, monkeypatch):
    visitor = lab.enter()
    site.request.select(visitor.token, [1])
    merged(site.request.forget(visitor.token))
    monkeypatch.setattr(Jobs, "idle", False)
    assert merged(site.request.card.prove(visitor.token)) == {}
    assert site.request.card.show(visitor)["prove"]["visible"]


def test_a_reload_finds_the_visitor_again_and_a_second_page_does_not(lab, site):
    async def arrive(kept, page):
        request = SimpleNamespace(session_hash=page, query_params={})
        return [u async for u in site.arrive(kept, request)][0]

    first = asyncio.run(arrive(None, "one"))
    visitor = lab.find(first["visitor"])
    site.request.select(visitor.token, [1])
    merged(site.request.forget(visitor.token))
    kept = site.everything(visitor)["kept"]
    second = asyncio.run(arrive(kept, "two"))
    assert second["visitor"] != visitor.token, "the first page is still open"
    site.depart(SimpleNamespace(session_hash="one"))
    again = asyncio.run(arrive(kept, "three"))
    assert again["visitor"] == visitor.token and 'data-at="result"' in again["at"] and "1 image forgotten" in again["card"]
    assert lab.find(visitor.token).requests


def test_what_was_lost_with_a_session_is_said(lab, site, monkeypatch):
    said = []
    monkeypatch.setattr("gradio.Info", said.append)
    request = SimpleNamespace(session_hash="x", query_params={})

    async def arrive(kept):
        return [u async for u in site.arrive(kept, request)][0]

    for kept in ("junk", {"token": 5}, {"token": "gone", "work": 0}, {"token": "gone"}):
        assert asyncio.run(arrive(kept))["visitor"]
    assert said == []
    asyncio.run(arrive({"token": "gone", "work": 3}))
    assert said == [texts.session_lost(3)] and "3 requests and lessons" in said[0]


def test_the_answer_that_changed_most_is_told():
    before = np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4]])
    after = np.array([[0.5, 0.5], [0.1, 0.9], [0.6, 0.4]])
    assert Probabilities((3, 4, 5), np.zeros(3, int), before, after).telling == 1
