"""How many deletions cost as much as training from scratch: forgotten for real, one after another, on a copy of the model."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import gradio as gr
import numpy as np

from core.errors import CancelledError, InputError
from demo import texts
from demo.panels.common import Context, Parts, Updates, html, plot, runner
from demo.session.jobs import Waiting
from demo.session.protocol import Model
from demo.session.requests import Spent
from demo.session.visitor import Visitor
from demo.session.work import Work, carry, stop_study
from demo.view import charts, markup

MOST_SECONDS = 90.0  # of one measurement
TOLD = 0.5  # seconds between two pictures of it


class CapacityPart:
    """The part of the Compare tab, its events and contents, for one lab."""

    def __init__(self, context: Context):
        self.context, self.lab = context, context.lab

    def components(self) -> Parts:
        """Create the part."""
        html(markup.part(texts.CAPACITY_TITLE, texts.LEAD_CAPACITY))
        parts = runner("capacity", texts.RUN_CAPACITY, texts.CAPACITY_INFO)
        parts["capacity_chart"] = plot()
        return parts

    def show(self, visitor: Visitor) -> Updates:
        """Return the part at rest, or as it is while a study runs."""
        busy = visitor.study is not None
        possible = visitor.model is not None and self.lab.measured is not None and not self.lab.shared
        spent = visitor.spent if visitor.model is not None and visitor.spent and visitor.spent.root == visitor.model.root else None
        words = texts.capacity(spent) if spent else texts.NO_COPY if self.lab.shared else texts.CAPACITY_INFO
        return {
            "capacity_run": gr.update(interactive=possible and not busy),
            "capacity_stop": gr.update(interactive=busy),
            "capacity_note": markup.note(words),
            "capacity_chart": _chart(spent),
        }

    async def run(self, token: str | None) -> AsyncIterator[Updates]:
        """Forget one random image after another on a copy, until they cost more than full retraining or time is up."""
        visitor = self.lab.free(token)
        if visitor.study:
            raise InputError(texts.STUDY_BUSY)
        if self.lab.measured is None or self.lab.shared:
            raise InputError(texts.NO_COPY if self.lab.shared else texts.NO_FULL_TIME)
        model = self.lab.model(visitor)
        full = self.lab.measured.scaled_to(len(model.samples)) * model.pace
        work = Work(
            run=lambda send, cancel: _measure(model, full, send, cancel),
            busy=lambda job: self._busy(),
            event=lambda event, job: self._happened(visitor, event),
            done=lambda _: self.show(visitor),
            stopped=lambda error: self.show(visitor),
        )
        job = self.context.jobs.submit(work.run, study=True)
        visitor.begin_study(job)
        async for updates in carry(self.context.jobs, visitor, job, work):
            yield updates

    def stop(self, token: str | None) -> Updates:
        """Ask the measurement to end; what was measured stays."""
        stop_study(self.lab, token)
        return {"capacity_stop": gr.update(interactive=False)}

    def _busy(self) -> Updates:
        return {
            "capacity_run": gr.update(interactive=False),
            "capacity_stop": gr.update(interactive=True),
            "capacity_note": markup.running(texts.CAPACITY_BEGINS, None),
        }

    def _happened(self, visitor: Visitor, event: Any) -> Updates:
        if isinstance(event, Waiting):
            return {"capacity_note": markup.running(texts.waiting(event.ahead) if event.ahead else texts.CAPACITY_BEGINS, None)}
        visitor.spent = event
        share = min(1.0, sum(event.seconds) / event.full)
        return {"capacity_note": markup.running(texts.capacity(event), share), "capacity_chart": _chart(event)}


def _measure(model: Model, full: float, send: Callable[[Any], None], cancel: threading.Event) -> None:
    """Forget on copies, in a fixed random order, at most half of the images; say twice a second what was spent."""
    ids, root, seconds = model.samples.ids, model.root, []
    order = np.random.default_rng(0).permutation(len(ids))[: max(1, len(ids) // 2)].tolist()
    began = told = time.monotonic()
    copy = model
    for row in order:
        try:
            copy = copy.without((ids[row],), cancel=cancel)
        except CancelledError:  # what was measured stays
            break
        seconds.append(copy.outcome.seconds.total)
        now, spent = time.monotonic(), Spent(root, tuple(seconds), full)
        if spent.exhausted or now - began > MOST_SECONDS:
            break
        if now - told > TOLD:
            told = now
            send(spent)
    if seconds:
        send(Spent(root, tuple(seconds), full, over=True))


def _chart(spent: Spent | None) -> dict[str, Any]:
    return gr.update(value=charts.capacity(spent.seconds, spent.full), visible=True) if spent else gr.update(visible=False)
