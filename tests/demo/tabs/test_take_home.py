"""The model to take home: written for its visitor alone, and gone with the next request."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from core.errors import NotFittedError
from demo.session.carrying_out import carry_out


def forget(lab, visitor, rows: tuple[int, ...]) -> None:
    plan = lab.model(visitor).plan(list(lab.rows(visitor).ids(rows)))
    carry_out(lab, visitor, plan, rows, lambda progress: None, threading.Event())


def test_it_is_of_the_model_as_it_is_and_vanishes_with_the_next_request(site, lab):
    visitor = lab.enter()
    path = Path(site.result.make_export(visitor.token)["report_file"])
    assert path.name == "lmeraser-model.zip" and path.read_text() == f"{visitor.model.root} 0"
    forget(lab, visitor, (3,))
    assert not path.parent.exists()
    again = Path(site.result.make_export(visitor.token)["report_file"])
    assert again.read_text() == f"{visitor.model.root} 1"
    lab.leave(visitor.token)
    assert not again.parent.exists()


def test_a_stranger_gets_none(site):
    with pytest.raises(NotFittedError):
        site.result.make_export("nobody")
