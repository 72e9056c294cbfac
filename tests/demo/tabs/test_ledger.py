"""The ledger's tab on a fake engine: receipts to download, the chain checked, a replay, and a receipt file examined."""

import asyncio
import base64
import json
import re
from types import SimpleNamespace

import pytest
from markupsafe import escape

from core.errors import InputError
from core.workspace.receipts import MOST_BYTES, read_receipts
from demo import texts
from demo.session.limits import TooOftenError
from demo.session.visitor import REQUESTS


def merged(generator) -> dict:
    async def main():
        return {name: value async for updates in generator for name, value in updates.items()}

    return asyncio.run(asyncio.wait_for(main(), 120))


def forget(site, visitor, *rows) -> dict:
    site.request.select(visitor.token, list(rows))
    updates = merged(site.request.forget(visitor.token))
    return everything(site, visitor) | updates


def everything(site, visitor) -> dict:
    """Return what the page shows once every tab was opened."""
    shown = site.everything(visitor)
    for name in site.tabs:
        shown |= site.context.tabs.opened(visitor, name, fill=True)
    visitor.open_tab = ""
    return shown


def linked(html: str, name: str) -> bytes:
    """Return what the link to a file holds."""
    return base64.b64decode(re.search(rf'download="{name}"[^>]*base64,([^"]+)"', html)[1])


def sent(**data):
    return SimpleNamespace(_data=data)


def test_opening_a_page_leaves_nothing_on_disk_until_the_first_request(lab, site):
    visitor = lab.enter()
    assert visitor.folder is None
    assert "No requests yet" in site.ledger.show(visitor)["ledger"]
    forget(site, visitor, 1)
    assert (visitor.folder / "ledger.sqlite").exists()
    folder = visitor.folder
    lab.leave(visitor.token)
    assert not folder.exists()


def test_each_request_has_its_receipt_and_all_are_one_file(lab, site):
    visitor = lab.enter()
    forget(site, visitor, 1)
    html = forget(site, visitor, 2, 8)["ledger"]
    second = read_receipts(linked(html, "lmeraser-receipt-2.json"))
    assert second.problems == ()
    assert len(second.receipts[0].commitments) == 2
    every = read_receipts(linked(html, "lmeraser-receipts.json"))
    assert [r.request for r in every.receipts] == [1, 2]
    assert every.problems == ()
    assert "2 requests, 3 images forgotten" in html


def test_start_over_begins_a_new_chain(lab, site):
    visitor = lab.enter()
    forget(site, visitor, 1)
    old = visitor.folder
    site.request.start_over(visitor.token)
    assert not old.exists()
    assert visitor.folder is None
    updates = forget(site, visitor, 2)
    assert len(read_receipts(linked(updates["ledger"], "lmeraser-receipts.json")).receipts) == 1


def test_the_check_says_what_it_looked_at(lab, site):
    visitor = lab.enter()
    forget(site, visitor, 1)
    updates = merged(site.ledger.check(visitor.token))
    assert texts.CHECK_GOOD in updates["checked"]
    assert "Chain intact: 1 receipt" in updates["checked"]
    assert "Store intact" in updates["checked"]
    assert updates["check"]["interactive"]
    assert visitor.job is None


def test_what_a_check_said_stays_until_the_next_request(lab, site):
    visitor = lab.enter()
    forget(site, visitor, 1)

    async def main():
        return [(updates["checked"], site.ledger.show(visitor)["checked"]) async for updates in site.ledger.replay(visitor.token)]

    seen = asyncio.run(main())
    assert texts.REPLAYING in seen[0][1]  # the proof of the request may end while a replay runs, and fills the tab once more
    assert seen[-1][0] == seen[-1][1]
    assert "equal, bit for bit" in seen[-1][1]
    assert forget(site, visitor, 2)["checked"] == ""
    site.request.start_over(visitor.token)
    assert forget(site, visitor, 1)["checked"] == ""


def test_the_check_says_what_is_wrong(lab, site):
    visitor = lab.enter()
    forget(site, visitor, 1)
    forget(site, visitor, 2)
    visitor.model.given.pop(0)
    updates = merged(site.ledger.check(visitor.token))
    assert "Something was altered" in updates["checked"]
    assert "receipt 2 follows" in updates["checked"]


def test_a_replay_compares_and_can_be_stopped(lab, site):
    visitor = lab.enter()
    forget(site, visitor, 1)
    assert site.ledger.show(visitor)["replay"]["value"] == "Replay request 1"
    updates = merged(site.ledger.replay(visitor.token))
    assert "equal, bit for bit" in updates["checked"]
    visitor.model.pause = 5.0

    async def main():
        seen = []
        async for updates in site.ledger.replay(visitor.token):
            seen.append(updates)
            site.request.cancel(visitor.token)
        return seen[-1]

    updates = asyncio.run(asyncio.wait_for(main(), 20))
    assert "Stopped" in updates["checked"]
    assert not updates["stop_ledger"]["interactive"]


def test_nothing_is_checked_before_the_first_request(lab, site):
    with pytest.raises(InputError, match="Forget something first"):
        merged(site.ledger.check(lab.enter().token))


def test_a_receipt_file_is_intact_known_or_broken(lab, site):
    visitor, other = lab.enter(), lab.enter()
    forget(site, visitor, 1)
    text = linked(forget(site, visitor, 2)["ledger"], "lmeraser-receipts.json").decode()
    examine = lambda who, text: site.ledger.check_file(who.token, sent(size=len(text), text=text))["examined"]  # noqa: E731
    assert escape(texts.file_known(2, 2)) in examine(visitor, text)
    assert "0 of 2 are in this page" in examine(other, text)
    entries = json.loads(text)
    entries[0]["samples"] -= 1
    assert "Broken" in examine(visitor, json.dumps(entries))
    assert "it was altered" in examine(visitor, json.dumps(entries))
    assert "cannot be checked" in examine(visitor, "not JSON")


def test_a_file_that_is_too_large_or_no_file_at_all(lab, site):
    visitor = lab.enter()
    updates = site.ledger.check_file(visitor.token, sent(size=MOST_BYTES + 1, text=""))
    assert "8,388,609 bytes" in updates["examined"]
    for data in ({}, {"text": 3}, {"size": 4}):
        assert site.ledger.check_file(visitor.token, sent(**data)) == {}
    assert site.ledger.check_file(visitor.token, SimpleNamespace(_data=None)) == {}


def test_what_a_file_says_is_escaped(lab, site):
    text = json.dumps({"request": "<script>alert(1)</script>"})
    html = site.ledger.check_file(lab.enter().token, sent(size=10, text=text))["examined"]
    assert "<script>" not in html


def test_one_visitor_cannot_ask_without_end(lab, site):
    visitor = lab.enter()
    forget(site, visitor, 1)
    for _ in range(REQUESTS - 1):
        merged(site.ledger.check(visitor.token))
    with pytest.raises(TooOftenError, match="Try again in"):
        merged(site.ledger.check(visitor.token))
    forget(site, lab.enter(), 1)  # others may
