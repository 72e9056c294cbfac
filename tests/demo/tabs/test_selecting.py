"""Similar images, groups, drawing at random, files and links on a fake engine; and more than one lab on one site."""

import asyncio
import json
import re
import threading
import time
from dataclasses import replace
from html import unescape
from types import SimpleNamespace

import numpy as np
import pytest

from core.data.samples import Samples
from core.errors import InputError, NotFittedError
from demo import texts
from demo.api import Api
from demo.build import build_demo
from demo.selection.numbering import Numbering, of_samples
from demo.session.available import Offers
from demo.session.jobs import Jobs
from demo.session.lab import Lab
from demo.session.suggestions import MOST_LIKENED
from demo.tabs.page import Page
from tests.demo.fake import FakeEngine, fake_samples
from tests.demo.tabs.test_page import last


def event(**data):
    return SimpleNamespace(_data=data)


def fitted(tmp_path, samples=None, **engine):
    samples = samples or fake_samples()
    lab = Lab(FakeEngine(samples, **engine), samples, tmp_path)
    lab.start().join()
    return lab


@pytest.fixture
def lab(tmp_path):
    return fitted(tmp_path)


@pytest.fixture
def site(lab):
    return Page(lab, Jobs())


@pytest.fixture
def selecting(site):
    return site.selecting


def offered(updates) -> list[str]:
    return re.findall(r'data-add="(\w+)"', updates["actions"]["value"])


def test_the_ten_most_similar_are_added(selecting, site, lab):
    visitor = lab.enter()
    site.request.select(visitor.token, [5])
    updates = selecting.add(visitor.token, event(add="similar"))
    assert updates["map"]["value"] == [*range(5), 5, *range(6, 11)]
    assert "11 images" in updates["plan"]


@pytest.mark.parametrize(("what", "step"), [("class", 3), ("cluster", 6)])
def test_the_rest_of_a_group_is_added(selecting, site, lab, what, step):
    visitor = lab.enter()
    site.request.select(visitor.token, [1])
    rows = selecting.add(visitor.token, event(add=what))["map"]["value"]
    assert rows == [r for r in range(60) if r % step == 1 and not (what == "class" and r == 59)]


def test_subjects_are_offered_only_where_there_are_some(tmp_path, selecting, site, lab):
    visitor = lab.enter()
    assert offered(site.request.select(visitor.token, [1])) == ["similar", "class", "cluster"]
    samples = fake_samples()
    samples = Samples.build(samples.images, samples.labels, samples.classes, ["ann" if r < 4 else "bob" for r in range(60)])
    named = fitted(tmp_path / "named", samples)
    (tmp_path / "named").mkdir(exist_ok=True)
    guest, rooms = named.enter(), Page(named, Jobs())
    updates = rooms.request.select(guest.token, [1])
    assert offered(updates) == ["similar", "class", "cluster", "subject"]
    assert "subject ann (+3)" in updates["actions"]["value"]
    assert rooms.selecting.add(guest.token, event(add="subject"))["map"]["value"] == [0, 1, 2, 3]


def test_actions_that_would_add_nothing_are_not_offered_and_refused(selecting, site, lab):
    visitor = lab.enter()
    assert offered(site.request.select(visitor.token, [])) == []
    assert offered(site.request.select(visitor.token, list(range(60)))) == []
    for what in ("similar", "class", "subject", "<b>", None):
        with pytest.raises(InputError, match=texts.NONE_LIKE_IT):
            selecting.add(visitor.token, event(add=what))


def test_a_large_selection_is_not_compared(tmp_path):
    samples = fake_samples(2 * MOST_LIKENED)
    lab = fitted(tmp_path, samples)
    visitor = lab.enter()
    assert "similar" not in offered(Page(lab, Jobs()).request.select(visitor.token, list(range(MOST_LIKENED + 1))))


def test_what_is_gone_is_never_added(selecting, site, lab):
    visitor = lab.enter()
    site.request.select(visitor.token, [4])
    last(site.request.forget(visitor.token))
    site.request.select(visitor.token, [1])
    assert 4 not in selecting.add(visitor.token, event(add="class"))["map"]["value"]


def test_drawing_is_repeatable_and_only_from_what_remains(selecting, site, lab):
    visitor, other = lab.enter(), lab.enter()
    rows = selecting.draw(visitor.token, 10, 3)["map"]["value"]
    assert rows == selecting.draw(other.token, 10.0, 3.0)["map"]["value"] != selecting.draw(other.token, 10, 4)["map"]["value"]
    last(site.request.forget(visitor.token))
    assert not set(rows) & set(selecting.draw(visitor.token, 50, 3)["map"]["value"])
    with pytest.raises(InputError, match="50 samples fit"):
        selecting.draw(visitor.token, 51, 3)


@pytest.mark.parametrize(("count", "seed"), [(0, 0), (61, 0), (None, 0), (1.5, 0), (1, -1), (1, None), (1, 2**32), (float("inf"), 0)])
def test_counts_and_seeds_that_cannot_be_are_named(selecting, lab, count, seed):
    with pytest.raises(InputError, match="give a whole number from"):
        selecting.draw(lab.enter().token, count, seed)


def test_a_link_says_how_the_images_were_drawn_until_the_selection_changes(selecting, site, lab):
    visitor = lab.enter()
    selecting.draw(visitor.token, 10, 3)
    assert selecting.linked({"token": visitor.token}) == {
        "dataset": "fake", "preset": "fast", "seed": "3", "select": "random-10", "data": of_samples(lab.samples), "fits": True,
        "forgot": "", "partial": False,
    }  # fmt: skip
    site.request.select(visitor.token, [3, 4, 5])
    assert selecting.linked({"token": visitor.token})["select"] == "3-5"


def test_after_a_request_a_link_names_the_images_for_a_fresh_page_would_draw_others(selecting, site, lab):
    visitor = lab.enter()
    site.request.select(visitor.token, [0])
    last(site.request.forget(visitor.token))
    selecting.draw(visitor.token, 2, 1)
    assert "random" not in selecting.linked({"token": visitor.token})["select"]


def test_a_selection_too_long_for_a_link_says_what_to_do(tmp_path):
    samples = fake_samples(1200)
    lab = fitted(tmp_path, samples)
    site = Page(lab, Jobs())
    selecting, visitor = site.selecting, lab.enter()
    site.request.select(visitor.token, list(range(0, 1200, 2)))
    assert not selecting.linked({"token": visitor.token})["fits"]
    with pytest.raises(InputError, match="at most 1,800.*Save it as a file"):
        selecting.too_long(visitor.token)


def test_a_saved_selection_opens_on_another_page(selecting, site, lab):
    visitor, other = lab.enter(), lab.enter()
    site.request.select(visitor.token, [3, 17])
    file = selecting.saved({"token": visitor.token})
    assert file["name"] == "lmeraser-selection-fake.json"
    assert selecting.opened(other.token, event(text=file["text"]))["map"]["value"] == [3, 17]


def test_strangers_get_neither_link_nor_file(selecting):
    for asked in (None, 3, {}, {"token": "x"}, {"token": []}):
        assert selecting.saved(asked) is None
        assert selecting.linked(asked) is None


def test_a_file_that_was_too_large_to_send_is_named(selecting, lab):
    with pytest.raises(InputError, match="2,000,000 bytes"):
        selecting.opened(lab.enter().token, event(size=2_000_000))
    for wrong in (SimpleNamespace(_data=None), event(text=7)):
        with pytest.raises(InputError, match="at most 1,000,000"):
            selecting.opened(lab.enter().token, wrong)


def test_nothing_is_added_before_the_model_is_there(tmp_path):
    lab = Lab(FakeEngine(fake_samples()), fake_samples(), tmp_path)
    site = Page(lab, Jobs())
    selecting, visitor = site.selecting, lab.enter()
    assert len(selecting.draw(visitor.token, 5, 0)["map"]["value"]) == 5
    with pytest.raises(NotFittedError):
        selecting.add(visitor.token, event(add="similar"))


def test_a_request_that_waits_says_how_many_come_first(site, lab):
    first, second = lab.enter(), lab.enter()
    first.model.pause = 0.5
    for visitor in (first, second):
        site.request.select(visitor.token, [1])

    async def consume(token, seen):
        async for updates in site.request.forget(token):
            seen.append(updates.get("plan", ""))

    async def both():
        seen = []
        await asyncio.gather(consume(first.token, []), consume(second.token, seen))
        return seen

    assert any("Your turn is next" in plan for plan in asyncio.run(asyncio.wait_for(both(), 20)))


# --- several labs on one site ---------------------------------------------------------------------------------------


@pytest.fixture
def two(tmp_path):
    samples = fake_samples()
    turn = threading.Lock()
    return [Lab(FakeEngine(samples, pair=("fake", preset)), samples, tmp_path, turn) for preset in ("fast", "paper")]


def test_every_pair_has_its_page_and_the_public_api_is_published_once(two):
    async def site():  # in a running loop, or Gradio makes one and leaves it open
        demo = build_demo(*two)
        return [path for path, *_ in demo.pages], demo.get_api_info()["named_endpoints"]

    pages, endpoints = asyncio.run(site())
    assert pages == ["", "fake-paper"]
    assert set(endpoints) == {"/open", "/list", "/plan", "/forget", "/learn", "/retrain", "/proof", "/audit", "/result"}


def visit(lab, query, offers=None):
    request = SimpleNamespace(session_hash="page", query_params=query)
    return Page(lab, Jobs(), offers).arrive(None, request)


def test_a_lab_starts_when_its_page_is_visited_and_not_for_those_on_their_way_to_another(two):
    offers = Offers(tuple(lab.engine.pair for lab in two))

    async def pass_through():
        return [updates async for updates in visit(two[0], {"preset": "paper"}, offers)]

    assert asyncio.run(pass_through()) == []
    assert two[0].base is None and not two[0]._visitors
    assert "Ready" in last(visit(two[1], {"preset": "paper", "select": "random-3", "seed": "2"}, offers))[-1]["status"]
    assert two[0].base is None


def test_an_address_of_what_is_not_offered_shows_this_page_and_says_so(two, monkeypatch):
    said = []
    monkeypatch.setattr("gradio.Warning", said.append)
    seen = last(visit(two[0], {"preset": "turbo", "select": "99", "seed": "x"}))
    assert "Ready" in seen[-1]["status"]
    assert [words.split(" ")[0] for words in said] == ["“fake", "This", "The"]


def test_a_link_restores_selection_and_seed(two):
    first = last(visit(two[0], {"select": "random-3", "seed": "7"}))[0]
    assert first["seed"] == 7
    assert len(first["map"]["value"]) == 3
    assert first["top"]["token"] == first["visitor"]


def test_fits_take_turns(two):
    two[0].engine.pause = two[1].engine.pause = 0.03
    running = []
    for lab in two:
        fit = lab.engine.fitted

        def noted(progress, fit=fit):
            running.append(1)
            assert len(running) == 1
            eraser = fit(progress)
            running.pop()
            return eraser

        lab.engine.fitted = noted
    threads = [lab.start() for lab in two]
    assert two[0].start() is threads[0]
    for thread in threads:
        thread.join()
    assert [lab.fit.state for lab in two] == ["ready", "ready"]


def test_the_api_opens_the_pair_that_is_asked_for(two):
    api = Api(*[Page(lab, Jobs(), Offers(tuple(lab.engine.pair for lab in two))) for lab in two])
    with two[1].turn, pytest.raises(NotFittedError, match="not ready"):
        api.open("fake", "paper")
    while two[1].base is None:
        time.sleep(0.02)
    session = api.open(preset="paper")["session"]
    assert two[1].find(session) and not two[0].find(session)
    assert api.plan(session, [1])["images"] == 1
    with pytest.raises(InputError, match="fake · turbo"):
        api.open(preset="turbo")


def test_saved_files_of_all_rows_stay_below_the_limit():
    from demo.selection.selection_file import MOST_BYTES, write

    numbering = Numbering(of_samples(fake_samples()))
    assert len(write(np.arange(60_000).tolist(), ("madbase", "fast"), numbering)) < MOST_BYTES // 2
    assert json.loads(write([], ("a", "b"), numbering))["rows"] == []


def test_a_link_carries_what_was_forgotten_and_says_when_it_cannot(lab, site, monkeypatch):
    said = []
    monkeypatch.setattr("gradio.Info", said.append)
    visitor = lab.enter()
    site.request.select(visitor.token, [1, 7])
    last(site.request.forget(visitor.token))
    site.request.select(visitor.token, [4])
    known = site.selecting.linked({"token": visitor.token})
    assert (known["select"], known["forgot"], known["fits"], known["partial"]) == ("4", "1,7", True, False)
    query = {"select": known["select"], "forgot": known["forgot"], "data": known["data"]}
    seen = last(site.arrive(None, SimpleNamespace(session_hash="p", query_params=query)))
    assert lab.find(seen[-1]["visitor"]).selection == (1, 4, 7)
    assert said == [texts.link_forgot(2)]
    visitor.taught_so_far, visitor.selection = 1, (4, len(lab.samples))
    known = site.selecting.linked({"token": visitor.token})
    assert known["partial"] and known["select"] == "4"
    assert '"rows": [4]' in site.selecting.saved({"token": visitor.token})["text"].replace("\n", "")


@pytest.fixture
def crowd(tmp_path):
    """A page over 60 images of 5 persons, `p10` and four others, and a visitor."""
    samples = fake_samples()
    names = ("p1", "p2", "p10", "<b>", "ü")
    lab = fitted(tmp_path, replace(samples, subjects=tuple(names[row % 5] for row in range(60))))
    return Page(lab, Jobs()), lab, lab.enter()


def named(updates) -> list[tuple[str, ...]]:
    """Return name, pictures, clusters and time of each person in the table."""
    row = re.compile(r'">([^>]*)</button></th>\s*<td class=num>(.*?)</td><td class=num>(.*?)</td><td class=num>(.*?)</td>')
    return row.findall(updates["people"])


def test_the_table_of_persons_says_what_forgetting_each_takes(crowd):
    page, lab, visitor = crowd
    people = page.selecting.people
    assert [row[0] for row in named(people.show(visitor))] == ["&lt;b&gt;", "p1", "p2", "p10", "ü"]
    assert {row[1:] for row in named(people.show(visitor))} == {("12", "…", "…")}
    rows = named(last(people.look(visitor.token))[-1])
    for name, pictures, clusters, taken in rows:
        plan = visitor.model.plan([i for i, s in zip(lab.samples.ids, lab.samples.subjects, strict=True) if s == unescape(name)])
        assert (pictures, clusters) == ("12", texts.of(len(plan.touched), plan.clusters_before))
        assert taken == texts.plan_figure(plan.summary())


def test_a_person_is_selected_and_forgotten_and_leaves_the_table(crowd):
    page, lab, visitor = crowd
    people = page.selecting.people
    people.choose(visitor.token, event(person="p10"))
    assert visitor.selection == tuple(range(2, 60, 5))
    known = last(people.look(visitor.token))[-1]
    updates = last(page.request.forget(visitor.token))[-1]
    assert [row[0] for row in named(updates)] == ["&lt;b&gt;", "p1", "p2", "ü"]
    assert {row[2] for row in named(updates)} == {"…"} != {row[2] for row in named(known)}  # forecasts for another model are no more
    assert "…" not in last(people.look(visitor.token))[-1]["people"]
    people.choose(visitor.token, event(person="p10"))
    assert visitor.selection == ()
    for junk in (None, 1, True, "p3", "", ["p10"]):
        with pytest.raises(InputError, match="There is no person"):
            people.choose(visitor.token, event(person=junk))


def test_a_person_whom_a_workspace_has_forgotten_is_not_listed(tmp_path):
    samples = fake_samples()
    lab = fitted(tmp_path, replace(samples, subjects=tuple("" if row < 10 else f"p{row % 2}" for row in range(60))))
    people = Page(lab, Jobs()).selecting.people
    assert list(people.rows) == ["p0", "p1"]
    assert [name for _, name in people.choices()] == ["p0", "p1"]
    emptied = fitted(tmp_path, replace(samples, subjects=("",) * 60))
    page = Page(emptied, Jobs())
    assert not page.selecting.people and "people" not in page.everything(emptied.enter())


def test_many_persons_are_shown_in_part(tmp_path, monkeypatch):
    monkeypatch.setattr("demo.tabs.people.MOST_SHOWN", 3)
    lab = fitted(tmp_path, replace(fake_samples(), subjects=tuple(f"p{row % 9}" for row in range(60))))
    page, visitor = Page(lab, Jobs()), lab.enter()
    updates = last(page.selecting.people.look(visitor.token))[-1]
    assert len(named(updates)) == 3
    assert texts.more_people(6) in updates["people"]


def test_a_set_without_persons_has_no_table(site, lab):
    assert not site.selecting.people
    assert "people" not in site.everything(lab.enter())
