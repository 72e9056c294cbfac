"""The public API for programs (`gradio_client`): open a session, list images, plan, forget, read the result. Nothing else is public.

It serves the same visitors as the page, under a session key that only its opener knows.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from core.errors import CancelledError, InputError, LMEraserError
from demo import exports, texts
from demo.handlers import Handlers
from demo.limits import Rate
from demo.session import Visitor

MOST_LISTED = 1000
MOST_OPENED = 120  # sessions in a minute, over all clients


class Api:
    """Five calls; rows are sample numbers on the map."""

    def __init__(self, handlers: Handlers):
        self.handlers, self.lab = handlers, handlers.lab
        self._opened = Rate(MOST_OPENED)

    def open(self) -> dict[str, Any]:
        """Open a session on the fitted model: its key, how many images and clusters there are, and the root.

        The session is private, unless the app serves a workspace: then its model is everyone's.
        """
        self._opened.count()
        visitor = self.lab.ready(self.lab.enter())
        eraser = visitor.eraser
        return {"session": visitor.token, "images": len(eraser.samples_), "clusters": eraser.partition_.clusters, "root": eraser.root_}

    def images(self, session: str, first: int = 0, count: int = 100) -> list[dict[str, Any]]:
        """List images still in the model from row `first` on: row, class and cluster of each."""
        home = self.lab.homes(self._visitor(session))
        labels, classes = self.lab.samples.labels, self.lab.samples.classes
        rows = [r for r in range(max(0, first), len(home)) if home[r] >= 0][: max(0, min(count, MOST_LISTED))]
        return [{"row": r, "class": classes[labels[r]], "cluster": int(home[r])} for r in rows]

    def plan(self, session: str, rows: list[int]) -> dict[str, Any]:
        """Say what forgetting these rows would take; nothing is changed."""
        visitor = self._visitor(session)
        return visitor.eraser.plan(self.lab.ids(self._checked(rows))).summary()

    async def forget(self, session: str, rows: list[int]) -> dict[str, Any]:
        """Forget these rows and return the result."""
        visitor = self._visitor(session)
        if visitor.job:
            raise InputError(texts.BUSY)
        visitor.selection = tuple(self._checked(rows))
        visitor.plan = visitor.eraser.plan(self.lab.ids(list(visitor.selection)))
        done = len(visitor.requests)
        async for _ in self.handlers.forget(session):
            pass
        if len(visitor.requests) == done:
            raise CancelledError(texts.CANCELLED)
        return exports.record(visitor.requests[-1], self.lab)

    def result(self, session: str) -> list[dict[str, Any]]:
        """Return the results of all requests of this session."""
        return [exports.record(request, self.lab) for request in self._visitor(session).requests]

    def _visitor(self, session: str) -> Visitor:
        visitor = self.lab.ready(self.lab.find(session))
        visitor.calls.count()
        return visitor

    def _checked(self, rows: list[int]) -> list[int]:
        n = len(self.lab.samples)
        if len(rows) > n:
            raise InputError(texts.TOO_MANY_ROWS.format(len(rows), n))
        wrong = [r for r in rows if isinstance(r, bool) or not isinstance(r, int) or not 0 <= r < n]
        if wrong:
            raise InputError(texts.BAD_NUMBERS.format(str(wrong[0])[:40], n - 1))
        return sorted(set(rows))


def publish(api: Api) -> None:
    """Add the calls to the current Blocks; the engine's own errors reach the client in words."""

    def open_session() -> dict:
        return _worded(api.open)

    def list_images(session: str, first: int = 0, count: int = 100) -> list[dict]:
        return _worded(api.images, session, int(first), int(count))

    def plan(session: str, rows: list[int]) -> dict:
        return _worded(api.plan, session, rows)

    async def forget(session: str, rows: list[int]) -> dict:
        try:
            return await api.forget(session, rows)
        except LMEraserError as error:
            raise gr.Error(str(error), print_exception=False) from error

    def result(session: str) -> list[dict]:
        return _worded(api.result, session)

    calls = {
        "open": (open_session, Api.open),
        "list": (list_images, Api.images),
        "plan": (plan, Api.plan),
        "forget": (forget, Api.forget),
        "result": (result, Api.result),
    }
    for name, (call, documented) in calls.items():
        gr.api(call, api_name=name, api_description=documented.__doc__, concurrency_limit=None if name == "forget" else 8)


def _worded(call, *args):
    try:
        return call(*args)
    except LMEraserError as error:
        raise gr.Error(str(error), print_exception=False) from error


__all__ = ["Api", "publish"]
