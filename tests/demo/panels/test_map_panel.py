"""What the map asks for while it is looked at: small pictures, and colors that take a moment."""

import base64
import json

import numpy as np

from demo import texts
from demo.session.jobs import Job
from tests.demo.fake import FakeModel
from tests.demo.tabs.test_page import last


def test_many_small_pictures_go_out_at_once_but_none_of_what_is_gone(lab, site):
    visitor = lab.enter()
    site.request.select(visitor.token, [3])
    last(site.request.forget(visitor.token))
    sent = site.map.thumbnail({"token": visitor.token, "rows": [2, 3, 4, 99, True, "5", -1, None]})
    assert [row for row, _ in sent["pictures"]] == [2, 4]
    assert all(src.startswith("data:image/png") for _, src in sent["pictures"])
    for rows in (None, "34", 7, {"2": 3}, list(range(60)) * 4):
        assert site.map.thumbnail({"token": visitor.token, "rows": rows}) is None
    assert site.map.thumbnail({"token": "x", "rows": [2]}) is None


def test_what_is_memorized_is_computed_when_it_is_wanted_and_once_for_each_model(lab, site, monkeypatch):
    asked = []
    levels = lambda model: asked.append(model.root) or np.linspace(0, 1, len(model.samples))  # noqa: E731
    monkeypatch.setattr(FakeModel, "memorized", levels)
    visitor, other = lab.enter(), lab.enter()
    scheme = json.loads(site.map.paint(visitor))["schemes"]["memorized"]
    assert scheme["codes"] is None and scheme["names"] == list(texts.MEMORIZED) and not asked
    ask = lambda who, name="memorized": site.map.thumbnail({"token": who.token, "scheme": name})  # noqa: E731
    codes = np.frombuffer(base64.b64decode(ask(visitor)["codes"]), "<u2")
    assert (codes[len(lab.samples) :] == 0xFFFF).all(), "no picture of the visitor's own is there yet"
    codes = codes[: len(lab.samples)]
    assert codes[0] == 0 and codes[-1] == len(texts.MEMORIZED) - 1 and (np.diff(codes.astype(int)) >= 0).all()
    assert ask(other) == ask(visitor) and len(asked) == 1
    site.request.select(visitor.token, [3])
    last(site.request.forget(visitor.token))
    assert len(asked) == 1
    codes = np.frombuffer(base64.b64decode(ask(visitor)["codes"]), "<u2")
    assert codes[3] == 0xFFFF and len(asked) == 2
    visitor.job = Job()
    assert ask(visitor) is None and ask(other, "cluster") is None and ask(other, []) is None
