"""The table of persons: how many pictures the model has of each, and what forgetting all of them will take."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import gradio as gr
import numpy as np

from core.data.imports.names import natural
from core.errors import InputError, LMEraserError
from demo import texts
from demo.panels.common import Parts, Updates, html
from demo.request.panel import RequestPanel
from demo.session.jobs import QueueFullError, Waiting
from demo.session.protocol import Model
from demo.session.visitor import Visitor
from demo.view import toolbar

MOST_SHOWN = 100
MOST_SECONDS = 10.0  # of planning for one look at the table
PEOPLE_JS = """
element.addEventListener("click", (event) => {
  const button = event.target.closest("[data-person]");
  if (button) trigger("click", { person: button.dataset.person });
});
"""


class People:
    """The persons of a data set with subjects, for one lab. Forecasts are plans, made while somebody looks at the table."""

    def __init__(self, request: RequestPanel):
        self.request, self.context, self.lab = request, request.context, request.lab
        names, whose = np.unique(self.lab.samples.subjects or (), return_inverse=True)
        pictures = [np.flatnonzero(whose == place) for place in range(len(names))]
        known = [(name, rows) for name, rows in zip(names.tolist(), pictures, strict=True) if name]  # a forgotten image has no name left
        self.rows = dict(sorted(known, key=lambda pair: natural(pair[0])))
        self._known: tuple[str, dict[str, tuple[str, str]]] = ("", {})  # clusters and time in words, by person, and the root they hold for

    def __bool__(self) -> bool:
        return bool(self.rows)

    def choices(self) -> list[tuple[str, str]]:
        """Return each person's words and name, for a list to choose from."""
        return [(texts.subject(name, len(rows)), name) for name, rows in self.rows.items()]

    def components(self) -> Parts:
        """Create the table, which is filled with the model."""
        return {"people": html("", "lm-people", js_on_load=PEOPLE_JS)}

    def show(self, visitor: Visitor) -> Updates:
        """Return the table with the forecasts known so far."""
        left, known = self._left(visitor), self._of(visitor)
        shown = list(left)[:MOST_SHOWN]
        rows = [(name, f"{len(left[name]):,}", *known.get(name, ("…", "…"))) for name in shown]
        return {"people": toolbar.people(rows, len(left) - len(shown))}

    async def look(self, token: str | None) -> AsyncIterator[Updates]:
        """Show the table, and fill in the forecasts as they are made, beside whatever else runs."""
        visitor = self.lab.find(token)
        if not self or visitor is None or visitor.model is None or visitor.closed:
            return
        yield self.show(visitor)
        model = visitor.model
        try:
            job = self.context.jobs.submit(lambda send, cancel: self._forecast(visitor, model, send, cancel), study=True)
        except QueueFullError:  # a busy machine; the next look goes on
            return
        async for event in self.context.jobs.follow(job):
            if not isinstance(event, Waiting) and not visitor.closed:
                yield self.show(visitor)

    def choose(self, token: str | None, event: gr.EventData) -> Updates:
        """Select what is left of a person; raises InputError for one that is none."""
        visitor = self.context.guest(token)
        name = event._data.get("person") if isinstance(event._data, dict) else None
        if not isinstance(name, str) or name not in self.rows:
            raise InputError(texts.NO_PERSON.format(str(name)[:40], len(self.rows)))
        return self.request.present(visitor, self._left(visitor).get(name, []))

    def _forecast(self, visitor: Visitor, model: Model, send: Callable[[Any], None], cancel: threading.Event) -> None:
        """Plan for one person after the other, and say so twice a second."""
        began = told = time.monotonic()
        known = self._of(visitor)
        for name, rows in list(self._left(visitor).items())[:MOST_SHOWN]:
            now = time.monotonic()
            if cancel.is_set() or visitor.job or self.lab.closing or now - began > MOST_SECONDS:
                return
            if name in known:
                continue
            try:
                plan = model.plan(self.lab.rows(visitor).ids(rows))
            except LMEraserError:  # the model has changed meanwhile
                return
            if self._known[0] != plan.root:
                self._known = (plan.root, {})
            known = self._known[1]
            summary = plan.summary()
            known[name] = (texts.of(summary["clusters_touched"], summary["clusters_total"]), texts.plan_figure(summary))
            if now - told > 0.5:
                told = now
                send(name)

    def _of(self, visitor: Visitor) -> dict[str, tuple[str, str]]:
        root, known = self._known
        return known if visitor.model is not None and visitor.model.root == root else {}

    def _left(self, visitor: Visitor) -> dict[str, list[int]]:
        """Return the rows of each person of whom anything is left."""
        gone = np.zeros(self.lab.size, bool)
        gone[list(visitor.forgotten)] = True
        left = {name: rows[~gone[rows]].tolist() for name, rows in self.rows.items()}
        return {name: rows for name, rows in left.items() if rows}
