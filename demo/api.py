"""The public API for programs (`gradio_client`): open a session, list images, plan, forget, read the result. Nothing else is public.

It serves the same visitors as the page, under a session key that only its opener knows.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable
from typing import Any

import gradio as gr

from core.errors import CancelledError, InputError, LMEraserError
from demo import texts
from demo.reports import exports
from demo.request.drawing import decode_picture
from demo.selection.numbers import ranges
from demo.session.lab import Lab
from demo.session.limits import Rate
from demo.session.requests import Request
from demo.session.visitor import Visitor
from demo.tabs.page import Page

MOST_LISTED = 1000
MOST_NAMED = 100  # forgotten rows in one message
MOST_OPENED = 120  # sessions in a minute, over all clients


class Api:
    """Nine calls; rows are sample numbers on the map. Every data set and preset has its own page; a session belongs to one."""

    def __init__(self, *pages: Page):
        self.pages = pages
        self._opened = Rate(MOST_OPENED)

    def open(self, dataset: str = "", preset: str = "") -> dict[str, Any]:
        """Open a session, by default with the first model: its key, how many images and clusters there are, the root, and
        `data`, which says which images the row numbers count: give it back with `plan` and `forget`, and rows kept from another time
        never mean other images.

        The session is private, unless the app serves a workspace: then its model is everyone's.
        """
        self._opened.count()
        here = self.pages[0].lab.engine.pair
        wanted, labs = (dataset or here[0], preset or here[1]), {page.lab.engine.pair: page.lab for page in self.pages}
        if wanted not in labs:
            raise InputError(texts.API_NOT_AVAILABLE.format(" · ".join(wanted)[:60], ", ".join(" · ".join(pair) for pair in labs)))
        lab = labs[wanted]
        lab.start()
        visitor = lab.ready(lab.enter())
        model = lab.model(visitor)
        facts = {"images": len(model.samples), "clusters": model.clusters, "root": model.root}
        return {"session": visitor.token, **facts, "data": lab.numbering.data}

    def images(self, session: str, first: int = 0, count: int = 100) -> list[dict[str, Any]]:
        """List images still in the model from row `first` on: row, class and cluster of each."""
        for name, value in (("first", first), ("count", count)):
            if isinstance(value, bool) or not isinstance(value, int):
                raise InputError(texts.BAD_NUMBER.format(name, str(value)[:40], "a whole number"))
            if value < 0:
                raise InputError(texts.BAD_NUMBER.format(name, value, "a whole number of at least 0"))
        page = self._page(session)
        clusters = page.lab.row_clusters(self._visitor(session))
        labels, classes = page.lab.rows(self._visitor(session)).labels(), page.lab.samples.classes
        rows = [r for r in range(first, len(clusters)) if clusters[r] >= 0][: min(count, MOST_LISTED)]
        return [{"row": r, "class": classes[labels[r]], "cluster": int(clusters[r])} for r in rows]

    def plan(self, session: str, rows: list[int], data: str = "") -> dict[str, Any]:
        """Say what forgetting these rows would take; nothing is changed. With `data`, rows of other images are refused."""
        visitor, page = self._visitor(session), self._page(session)
        page.lab.numbering.check(data)
        return page.lab.model(visitor).plan(page.lab.rows(visitor).ids(_checked(rows, page.lab, visitor))).summary()

    async def forget(self, session: str, rows: list[int], data: str = "") -> dict[str, Any]:
        """Forget these rows and return the result. With `data`, rows of other images are refused."""
        visitor, page = self._visitor(session), self._page(session)
        page.lab.numbering.check(data)
        if visitor.job:
            raise InputError(texts.BUSY)
        visitor.selection = tuple(_checked(rows, page.lab, visitor))
        visitor.plan = page.lab.model(visitor).plan(page.lab.rows(visitor).ids(visitor.selection))
        done = len(visitor.requests)
        async for _ in page.request.forget(session):
            pass
        if len(visitor.requests) == done:
            raise CancelledError(texts.CANCELLED)
        if page.lab.shared:
            page.map.catch_up(visitor)
        return self._result(visitor, visitor.requests[-1], page.lab)

    async def learn(self, session: str, picture: str, label: int) -> dict[str, Any]:
        """Teach the model a picture (PNG, JPEG, WebP or BMP in base64) under the class with this number; return its row, and
        the root and the class probabilities before and after.

        The picture is this session's alone; forget its row, and the root is the one before.
        """
        visitor, page = self._visitor(session), self._page(session)
        if page.lab.shared:
            raise InputError(texts.NO_TEACHING)
        try:
            data = decode_picture(picture)
        except ValueError as error:
            raise InputError(str(error)) from error
        known = set(visitor.taught)
        async for _ in page.request.teach.teach(session, data, label):
            pass
        (row,) = set(visitor.taught) - known
        taught, model = visitor.taught[row], page.lab.model(visitor)
        after = await asyncio.to_thread(model.probabilities, taught.sample)
        return {
            "row": row,
            "root": {"before": taught.root, "after": model.root},
            "probabilities": {"before": taught.answers.tolist(), "after": after[0].tolist()},
        }

    async def retrain(self, session: str) -> dict[str, Any]:
        """Train from scratch on what remains, in another process, and return the last request's result with its proof."""
        visitor, page = self._visitor(session), self._page(session)
        async for _ in page.proof.full(session):
            pass
        return self._last(visitor, page.lab)

    def proof(self, session: str) -> dict[str, Any]:
        """Return what may be said of the last request: the verdict and its problems, both roots, and the clean room's seconds."""
        visitor, lab = self._visitor(session), self._page(session).lab
        found = self._last(visitor, lab)
        return {name: found[name] for name in ("request", "root", "proof", "full", "untouched_clusters")}

    async def audit(self, session: str) -> dict[str, Any]:
        """Attack the model before and after the last request, and beside retrained ones; return what the attacks found."""
        visitor, page = self._visitor(session), self._page(session)
        async for _ in page.proof.membership.run(session):
            pass
        return self._last(visitor, page.lab)["membership"]

    def _last(self, visitor: Visitor, lab: Lab) -> dict[str, Any]:
        if visitor.last is None:
            raise InputError(texts.NOTHING_FORGOTTEN)
        return self._result(visitor, visitor.last, lab)

    def result(self, session: str) -> list[dict[str, Any]]:
        """Return the results of all requests of this session."""
        visitor, lab = self._visitor(session), self._page(session).lab
        return [self._result(visitor, request, lab) for request in visitor.requests]

    def _result(self, visitor: Visitor, request: Request, lab: Lab) -> dict[str, Any]:
        return exports.record(request, lab, lab.verdict(visitor, request.number))

    def _page(self, session: str) -> Page:
        """Return the page whose lab knows the session; the first for one that is unknown."""
        return next((page for page in self.pages if page.lab.find(session)), self.pages[0])

    def _visitor(self, session: str) -> Visitor:
        lab = self._page(session).lab
        found = lab.find(session)
        if found is None or found.closed:
            raise InputError(texts.API_SESSION_OVER)
        visitor = lab.ready(found)
        visitor.calls.count()
        return visitor


def _checked(rows: list[int], lab: Lab, visitor: Visitor) -> list[int]:
    n, known = len(lab.samples), lab.rows(visitor)
    if not isinstance(rows, list):
        raise InputError(texts.BAD_ROWS.format(str(rows)[:40], n - 1))
    if len(rows) > n + len(known.taught):
        raise InputError(texts.TOO_MANY_ROWS.format(len(rows), n))
    wrong = [r for r in rows if isinstance(r, bool) or not isinstance(r, int) or (r not in known and r not in visitor.forgotten)]
    if wrong:
        raise InputError(texts.BAD_ROW.format(str(wrong[0])[:40], n - 1))
    again = sorted(set(rows) & set(visitor.forgotten))
    if again:
        raise InputError(texts.FORGOTTEN_ROWS.format(len(again), ranges(again[:MOST_NAMED]) + (", …" if len(again) > MOST_NAMED else "")))
    return sorted(set(rows))


def publish(api: Api) -> None:
    """Add the calls to the current Blocks; the engine's own errors reach the client in words."""

    def open_session(dataset: str = "", preset: str = "") -> dict:
        return _worded(api.open, dataset, preset)

    def list_images(session: str, first: int = 0, count: int = 100) -> list[dict]:
        return _worded(api.images, session, first, count)

    def plan(session: str, rows: list[int], data: str = "") -> dict:
        return _worded(api.plan, session, rows, data)

    async def forget(session: str, rows: list[int], data: str = "") -> dict:
        return await _awaited(api.forget(session, rows, data))

    async def learn(session: str, picture: str, label: int) -> dict:
        return await _awaited(api.learn(session, picture, label))

    async def retrain(session: str) -> dict:
        return await _awaited(api.retrain(session))

    def proof(session: str) -> dict:
        return _worded(api.proof, session)

    async def audit(session: str) -> dict:
        return await _awaited(api.audit(session))

    def result(session: str) -> list[dict]:
        return _worded(api.result, session)

    calls = {
        "open": (open_session, Api.open),
        "list": (list_images, Api.images),
        "plan": (plan, Api.plan),
        "forget": (forget, Api.forget),
        "result": (result, Api.result),
        "learn": (learn, Api.learn),
        "retrain": (retrain, Api.retrain),
        "proof": (proof, Api.proof),
        "audit": (audit, Api.audit),
    }
    for name, (call, documented) in calls.items():
        gr.api(call, api_name=name, api_description=documented.__doc__, concurrency_limit=None if inspect.iscoroutinefunction(call) else 8)


async def _awaited(call: Awaitable[dict]) -> dict:
    try:
        return await call
    except LMEraserError as error:
        raise gr.Error(str(error), print_exception=False) from error


def _worded(call, *args):
    try:
        return call(*args)
    except LMEraserError as error:
        raise gr.Error(str(error), print_exception=False) from error


__all__ = ["Api", "publish"]
