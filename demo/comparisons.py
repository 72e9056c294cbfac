"""Handlers of the Methods tab: the last request put to other methods, and its reach under other clusterings.

Figures come from `core.bench_unlearn` and `core.reach`; every one of them is measured here, now, or computed from sizes.
"""

from __future__ import annotations

import datetime
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from core.errors import CancelledError
from core.types import Progress
from demo import charts, markup, markup_methods, texts
from demo.jobs import Finished, Jobs, Waiting
from demo.session import Lab, Request, Visitor, progress_of
from demo.studies import begin, stop, study

Updates = dict[str, Any]
ALWAYS = "LMEraser"


@dataclass(frozen=True, eq=False)
class Answered:
    """All rows so far, sent when a method has answered."""

    rows: tuple[dict, ...]


class Comparisons:
    """The Methods tab's events, for one lab."""

    def __init__(self, lab: Lab, jobs: Jobs):
        self.lab, self.jobs = lab, jobs

    async def run(self, token: str | None, chosen: Sequence[str]) -> AsyncIterator[Updates]:
        """Put the last request to the chosen methods; a row appears as each finishes."""
        visitor, request = begin(self.lab, token)
        names = [name for name in texts.METHODS if name == ALWAYS or name in chosen]
        visitor.amend(request, compared=())
        yield self._busy(names)
        try:
            async for event in study(self.jobs, visitor, lambda send, cancel: self._answers(visitor, request, names, send, cancel)):
                if visitor.at(request) and not isinstance(event, Finished):
                    yield self._happened(visitor, request, names, event)
            yield self.show(visitor)
        except Exception as error:  # whatever it was, the tab comes to rest first
            yield self.show(visitor) | ({"methods_note": markup.note(texts.COMPARE_STOPPED)} if visitor.at(request) else {})
            if not isinstance(error, CancelledError):
                raise

    def _happened(self, visitor: Visitor, request: Request, names: list[str], event: Any) -> Updates:
        if not isinstance(event, Answered):
            return {"methods_note": _said(event, names)}
        visitor.amend(request, compared=event.rows, compared_at=f"{datetime.datetime.now().astimezone():%d %B %Y, %H:%M %Z}")
        return {"methods_table": self._table(visitor, names[len(event.rows) :]), **self._chart(event.rows)}

    def _answers(self, visitor: Visitor, request: Request, names: list[str], send: Callable, cancel: threading.Event) -> None:
        report = progress_of(send)
        bench = self.lab.bench(visitor, request, report, cancel)
        for rows in bench.answers(names, self.lab.ids(list(request.rows)), progress=report, cancel=cancel):
            send(Answered(tuple(rows)))

    def stop(self, token: str | None) -> Updates:
        """Ask the comparison to end; the rows that are there stay."""
        stop(self.lab, token)
        return {"methods_stop": gr.update(interactive=False)}

    def opened(self, token: str | None) -> Updates:
        """Show how far the selection, or else the last request, reaches under other clusterings; trains nothing."""
        visitor = self.lab.find(token)
        if visitor is None or visitor.eraser is None or visitor.job:
            return {}
        visitor.curious = True
        return self._reach(visitor)

    def follow(self, token: str | None) -> Updates:
        """As `opened`, after the selection has changed, for those who have opened the tab."""
        visitor = self.lab.find(token)
        return self.opened(token) if visitor is not None and visitor.curious else {}

    def show(self, visitor: Visitor) -> Updates:
        """Return the tab at rest, or as it is while a comparison runs."""
        request, busy = visitor.requests[-1] if visitor.requests else None, visitor.study is not None
        rows = request.compared if request else ()
        info = texts.FORGOTTEN_FOR_GOOD if self.lab.shared else texts.COMPARE_INFO if request else texts.COMPARE_NONE
        return {
            "methods_run": gr.update(interactive=request is not None and not busy and not self.lab.shared),
            "methods_stop": gr.update(interactive=busy),
            "methods_pick": gr.update(interactive=not busy),
            "methods_note": markup.note(info),
            "methods_table": self._table(visitor, ()) if rows else markup.empty(texts.EMPTY_METHODS),
            **self._chart(rows),
            **self._reach(visitor),
        }

    def _busy(self, names: list[str]) -> Updates:
        return {
            "methods_run": gr.update(interactive=False),
            "methods_stop": gr.update(interactive=True),
            "methods_pick": gr.update(interactive=False),
            "methods_note": _said(Waiting(0), names),
            "methods_table": markup_methods.comparison((), names, ""),
            "methods_chart": gr.update(visible=False),
        }

    def _table(self, visitor: Visitor, waiting: Sequence[str]) -> str:
        request = visitor.requests[-1]
        return markup_methods.comparison(request.compared, waiting, texts.compare_badge(self.lab.engine.facts(), request.compared_at))

    def _chart(self, rows: Sequence[dict]) -> Updates:
        return {"methods_chart": gr.update(value=charts.methods(rows), visible=True) if len(rows) > 1 else gr.update(visible=False)}

    def _reach(self, visitor: Visitor) -> Updates:
        planned = visitor.plan is not None and visitor.eraser is not None and visitor.plan.root == visitor.eraser.root_
        last = visitor.requests[-1] if visitor.requests else None
        found = self.lab.engine.reach(visitor.eraser, visitor.plan) if planned else last and last.reach
        if found is None:
            return {"reach": markup.empty(texts.EMPTY_REACH), "reach_chart": gr.update(visible=False)}
        chart = gr.update(value=charts.growth(found.grown), visible=True) if found.images > 1 else gr.update(visible=False)
        return {"reach": markup_methods.reaches(found, texts.reach_of(found.images, planned)), "reach_chart": chart}


def _said(event: Any, names: Sequence[str]) -> str:
    """Return the progress line of a comparison."""
    if isinstance(event, Waiting):
        return markup.running(texts.waiting(event.ahead) if event.ahead else texts.COMPARE_PREPARING, None)
    if isinstance(event, Progress):
        return markup.running(texts.COMPARE_PREPARING, markup.share_of(event.done, event.total))
    words = texts.comparing(event.method, names.index(event.method) + 1, len(names), event.stage)
    return markup.running(texts.stepped(words, event.done, event.total), markup.share_of(event.done, event.total))
