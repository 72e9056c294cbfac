"""The Compare tab: the last request put to other methods, and its reach under other clusterings.

Figures come from `core.benchmarks.compare_methods` and `core.benchmarks.request_reach`; every one of them is measured here, now, or
computed from sizes.
"""

from __future__ import annotations

import datetime
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from core.errors import UnknownSampleError
from core.runtime.progress import Progress
from demo import texts
from demo.panels.common import Context, Parts, Updates, html, plot, runner
from demo.session.jobs import Waiting
from demo.session.requests import Request
from demo.session.verdict import judge, method_kind
from demo.session.visitor import Visitor
from demo.session.work import Work, begin_study, carry, progress_of, stop_study
from demo.tabs.capacity import CapacityPart
from demo.view import charts, markup, markup_methods

ALWAYS = "LMEraser"


@dataclass(frozen=True, eq=False)
class Answered:
    """All rows so far, sent when a method has answered."""

    rows: tuple[dict, ...]


class CompareTab:
    """The tab's components, events and contents, for one lab."""

    def __init__(self, context: Context):
        self.context, self.lab, self.capacity = context, context.lab, CapacityPart(context)
        context.tabs.add("compare", self.show)

    def components(self) -> Parts:
        """Create the tab's contents."""
        html(markup.lead(texts.LEAD_COMPARE))
        choices = [(title, name) for name, (title, _) in texts.METHODS.items() if name != ALWAYS]
        parts: Parts = {
            "compare_pick": gr.CheckboxGroup(
                choices, value=list(texts.COMPARE_CHOSEN), label=texts.COMPARE_PICK, elem_classes="lm-classes", elem_id="lm-methods"
            )
        }
        parts |= runner("compare", texts.RUN_COMPARISON, texts.COMPARE_NONE)
        parts["compare_table"] = html(markup.empty(texts.EMPTY_COMPARE), elem_id="lm-compared")
        parts["compare_chart"] = plot()
        html(markup.part(texts.REACH_TITLE, texts.LEAD_REACH))
        parts["reach"] = html(markup.empty(texts.EMPTY_REACH), elem_id="lm-reach")
        parts["reach_chart"] = plot()
        return parts | self.capacity.components()

    async def run(self, token: str | None, chosen: Sequence[str]) -> AsyncIterator[Updates]:
        """Put the last request to the chosen methods; a row appears as each finishes."""
        visitor, request = begin_study(self.lab, token)
        names = [name for name in texts.METHODS if name == ALWAYS or name in chosen]
        work = Work(
            run=lambda send, cancel: self._answers(visitor, request, names, send, cancel),
            busy=lambda job: self._busy(names),
            event=lambda event, job: self._happened(visitor, request, names, event) if visitor.at(request) else {},
            done=lambda _: self._ended(visitor),
            stopped=lambda error: self._ended(visitor) | self._stopped(visitor, request),
        )
        job = self.context.jobs.submit(work.run, study=True)
        visitor.amend(request, compared=())
        visitor.begin_study(job)
        async for updates in carry(self.context.jobs, visitor, job, work):
            yield updates

    def _ended(self, visitor: Visitor) -> Updates:
        """Return the tab at rest, and the Result tab, whose downloads contain the comparison."""
        return self.show(visitor) | self.context.tabs.changed(visitor, "result")

    def _stopped(self, visitor: Visitor, request: Request) -> Updates:
        return {"compare_note": markup.note(texts.COMPARE_STOPPED)} if visitor.at(request) else {}

    def _happened(self, visitor: Visitor, request: Request, names: list[str], event: Any) -> Updates:
        if not isinstance(event, Answered):
            return {"compare_note": _progress(event, names)}
        visitor.amend(request, compared=event.rows, compared_at=f"{datetime.datetime.now().astimezone():%d %B %Y, %H:%M %Z}")
        return {"compare_table": self._table(visitor, names[len(event.rows) :]), **self._chart(visitor, event.rows)}

    def _answers(self, visitor: Visitor, request: Request, names: list[str], send: Callable, cancel: threading.Event) -> None:
        report: Callable[[Any], None] = progress_of(send)
        bench = self.lab.bench(visitor, request, report, cancel)
        for rows in bench.answers(names, request.ids, progress=report, cancel=cancel):
            send(Answered(tuple(rows)))

    def stop(self, token: str | None) -> Updates:
        """Ask the comparison to end; the rows that are there stay."""
        stop_study(self.lab, token)
        return {"compare_stop": gr.update(interactive=False)}

    def follow(self, token: str | None) -> Updates:
        """Show how far a new selection reaches under other clusterings, if the tab is open; trains nothing."""
        visitor = self.lab.find(token)
        if visitor is None or visitor.model is None or visitor.job:
            return {}
        return self.context.tabs.part(visitor, "compare", self._reach)

    def show(self, visitor: Visitor) -> Updates:
        """Return the tab at rest, or as it is while a comparison runs."""
        request, busy = visitor.last, visitor.study is not None
        rows = request.compared if request else ()
        info = texts.FORGOTTEN_FOR_GOOD if self.lab.shared else texts.COMPARE_INFO if request else texts.COMPARE_NONE
        return {
            "compare_run": gr.update(interactive=request is not None and not busy and not self.lab.shared),
            "compare_stop": gr.update(interactive=busy),
            "compare_pick": gr.update(interactive=not busy),
            "compare_note": markup.note(info),
            "compare_table": self._table(visitor, ()) if rows else markup.empty(texts.EMPTY_COMPARE),
            **self._chart(visitor, rows),
            **self._reach(visitor),
            **self.capacity.show(visitor),
        }

    def _busy(self, names: list[str]) -> Updates:
        return {
            "compare_run": gr.update(interactive=False),
            "compare_stop": gr.update(interactive=True),
            "compare_pick": gr.update(interactive=False),
            "compare_note": _progress(Waiting(0), names),
            "compare_table": markup_methods.comparison((), names, "", judge(None, None)),
            "compare_chart": gr.update(visible=False),
        }

    def _table(self, visitor: Visitor, waiting: Sequence[str]) -> str:
        request = visitor.requests[-1]
        badge = texts.compare_badge(self.lab.engine.facts(), request.compared_at)
        return markup_methods.comparison(request.compared, waiting, badge, self.lab.verdict(visitor, request.number))

    def _chart(self, visitor: Visitor, rows: Sequence[dict]) -> Updates:
        if len(rows) < 2:
            return {"compare_chart": gr.update(visible=False)}
        verdict = self.lab.verdict(visitor, visitor.requests[-1].number)
        drawn = [row | {"exact": method_kind(row, verdict) == "exact"} for row in rows]
        return {"compare_chart": gr.update(value=charts.methods(drawn), visible=True)}

    def _reach(self, visitor: Visitor) -> Updates:
        """Return how far the selection, or else the last request, reaches."""
        model, plan = visitor.model, visitor.plan
        planned = plan is not None and model is not None and plan.root == model.root
        found = visitor.last.reach if visitor.last else None
        if planned and model and plan:
            try:
                found = model.reach(plan)
            except UnknownSampleError:  # a request has carried the plan out meanwhile
                planned = False
        if not found:
            words = texts.NO_CLUSTERS if model and not model.clusters else texts.EMPTY_REACH
            return {"reach": markup.empty(words), "reach_chart": gr.update(visible=False)}
        chart = gr.update(value=charts.growth(dict(found.grown)), visible=True) if found.images > 1 else gr.update(visible=False)
        return {"reach": markup_methods.reaches(found, texts.reach_of(found.images, planned)), "reach_chart": chart}


def _progress(event: Any, names: Sequence[str]) -> str:
    """Return the progress line of a comparison."""
    if isinstance(event, Waiting):
        return markup.running(texts.waiting(event.ahead) if event.ahead else texts.COMPARE_PREPARING, None)
    if isinstance(event, Progress):
        return markup.running(texts.COMPARE_PREPARING, markup.share_of(event.done, event.total))
    words = texts.comparing(event.method, names.index(event.method) + 1, len(names), event.stage)
    return markup.running(texts.stepped(words, event.done, event.total), markup.share_of(event.done, event.total))
