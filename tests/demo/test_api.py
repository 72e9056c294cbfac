"""The public API on a fake engine: a request from plan to result, and what it refuses."""

import asyncio

import pytest

from core.errors import InputError
from demo import texts
from demo.api import Api
from demo.session.limits import TooOftenError


def test_the_api_plans_forgets_and_tells_the_result(lab, site):
    api = Api(site)
    session = api.open()["session"]
    assert api.images(session, first=58) == [{"row": 58, "class": "b", "cluster": 4}, {"row": 59, "class": "a", "cluster": 5}]
    assert api.plan(session, [1, 7])["clusters_touched"] == 1
    result = asyncio.run(api.forget(session, [1, 7]))
    assert result == api.result(session)[0]
    assert result["root"]["before"] != result["root"]["after"]
    assert {r["row"] for r in api.images(session)}.isdisjoint({1, 7})
    for call, words in (
        (lambda: api.plan(session, [60]), texts.BAD_ROW.format(60, 59)),
        (lambda: api.plan(session, [7, 8]), "1 of these rows are already forgotten: 7"),
        (lambda: api.plan("guess", [1]), "Open one with /open"),
        (lambda: api.images(session, first=-5), "at least 0"),
        (lambda: api.open("nope", "x"), "“nope · x” is not available. Available: fake · fast"),
    ):
        with pytest.raises(InputError, match=words):
            call()


def test_the_api_refuses_more_rows_than_there_are_and_calls_without_end(lab, site):
    api = Api(site)
    session = api.open()["session"]
    with pytest.raises(InputError, match="61 rows were given"):
        api.plan(session, [1] * 61)
    lab.find(session).calls.most = 2
    api.result(session)
    with pytest.raises(TooOftenError, match="Try again"):
        api.result(session)
