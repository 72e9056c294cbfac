import asyncio

import pytest

from core.errors import InputError
from demo import texts
from demo.session.jobs import Jobs
from demo.session.lab import Lab
from demo.tabs.page import Page
from demo.tabs.residue import named
from demo.view import markup_methods
from tests.demo.fake import FakeEngine, fake_samples


@pytest.fixture
def site(tmp_path):
    samples = fake_samples()
    lab = Lab(FakeEngine(samples), samples, tmp_path)
    lab.start().join()
    yield Page(lab, Jobs())
    lab.close()


def scanned(site, forget: bool = True):
    async def main():
        visitor = site.lab.enter()
        if forget:
            site.request.select(visitor.token, [1, 2])
            [u async for u in site.request.forget(visitor.token)]
        return visitor, [u async for u in site.proof.residue.run(visitor.token)]

    return asyncio.run(main())


def test_a_scan_looks_for_all_that_was_forgotten_and_says_where(site):
    visitor, updates = scanned(site)
    assert visitor.requests[-1].residue["samples"] == 2
    shown = updates[-1]["residue"]
    assert texts.RESIDUE_CLEAN in shown
    assert "2 forgotten pictures" in shown
    assert visitor.study is None


def test_nothing_forgotten_is_answered_in_words(site):
    with pytest.raises(InputError, match="Forget something first"):
        scanned(site, forget=False)


def test_what_is_left_is_named_and_escaped():
    record = {
        "clean": False,
        "samples": 1,
        "sought": {"pixels": 8},
        "searched": [{"place": "<folder>", "items": 1, "bytes": 5}],
        "found": [{"kind": "pixels", "place": "<folder>/x", "samples": 1}],
        "unread": [],
        "spared": 0,
        "plain": {},
        "seconds": 0.5,
    }
    shown = markup_methods.residue(record)
    assert texts.RESIDUE_FOUND in shown
    assert "pixels of 1 picture in &lt;folder&gt;/x" in shown
    assert "<folder>" not in shown


def test_places_are_said_in_words_and_never_as_paths():
    folders = {"/tmp/lmeraser-a/tmpb": "your ledger", "tmpb": "your ledger"}
    searched = ["/tmp/lmeraser-a/tmpb", "/tmp/lmeraser-a", "/tmp/lmeraser-c", "model", "modules", "worker queues", "/srv/secret"]
    record = {
        "searched": [{"place": place, "items": 1, "bytes": 10} for place in searched],
        "found": [
            {"kind": "id", "place": place, "samples": 1} for place in ("tmpb/ledger.sqlite", "lmeraser-a/tmpb/x.bin!part", "model.a[]")
        ],
        "unread": ["/srv/secret: it does not exist", "tmpb/link: a link or a special file"],
    }
    said = named(record, folders)
    assert [s["place"] for s in said["searched"]] == [
        "your ledger",
        "temporary files",
        texts.RESIDUE_PLACES["model"],
        texts.RESIDUE_PLACES["modules"],
        texts.RESIDUE_PLACES["worker queues"],
        "another folder",
    ]
    assert said["searched"][1]["items"] == 2
    assert [f["place"] for f in said["found"]] == ["your ledger (ledger.sqlite)", "temporary files (x.bin!part)", "your model in memory"]
    assert said["unread"] == ["another folder: it does not exist", "your ledger (link): a link or a special file"]
