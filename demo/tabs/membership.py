"""The membership test in the Proof tab: all attacks of `core.audit.membership` on the last request, with every score.

The threshold is moved in the browser (`membership.js`); scores are sent sorted and without names.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from typing import Any

import gradio as gr

from core.errors import LMEraserError
from core.runtime.progress import ProgressCallback
from demo import texts
from demo.panels.common import STATIC, Context, Parts, Updates, html, runner
from demo.session.jobs import Waiting
from demo.session.requests import Request
from demo.session.visitor import Visitor
from demo.session.work import Work, begin_study, carry, progress_of, stop_study
from demo.view import markup, markup_methods

THRESHOLD_JS = (STATIC / "membership.js").read_text()


class Membership:
    """The test's components, events and contents, for one lab."""

    def __init__(self, context: Context):
        self.context, self.lab = context, context.lab

    def components(self) -> Parts:
        """Create the section."""
        parts: Parts = {}
        with gr.Column(visible=False, elem_classes="lm-section") as parts["audit_row"]:
            html(markup.part(texts.AUDIT_TITLE, texts.LEAD_AUDIT))
            parts |= runner("audit", texts.RUN_AUDIT, texts.AUDIT_INFO)
            parts["audit"] = html(js_on_load=THRESHOLD_JS, elem_id="lm-audit")
        return parts

    async def run(self, token: str | None) -> AsyncIterator[Updates]:
        """Attack the model before, after, retrained without the last request's images, and broken on purpose."""
        visitor, request = begin_study(self.lab, token)
        work = Work(
            run=lambda send, cancel: self._audit(visitor, request, progress_of(send), cancel),
            busy=lambda job: self._busy(),
            event=lambda event, job: {"audit_note": _progress(event)} if visitor.at(request) else {},
            done=lambda record: self._done(visitor, request, record),
            stopped=lambda error: self.show(visitor) | self._stopped(visitor, request),
        )
        job = visitor.begin_study(self.context.jobs.submit(work.run, study=True))
        async for updates in carry(self.context.jobs, visitor, job, work):
            yield updates

    def stop(self, token: str | None) -> Updates:
        """Ask the test to end."""
        stop_study(self.lab, token)
        return {"audit_stop": gr.update(interactive=False)}

    def show(self, visitor: Visitor) -> Updates:
        """Return the test at rest, or as it is while it runs."""
        request, busy = visitor.last, visitor.study is not None
        record = request.audit if request else None
        return {
            "audit_row": gr.update(visible=request is not None),
            "audit_run": gr.update(interactive=request is not None and not busy and not self.lab.shared),
            "audit_stop": gr.update(interactive=busy),
            "audit_note": markup.note(texts.FORGOTTEN_FOR_GOOD if self.lab.shared else texts.AUDIT_INFO),
            "audit": markup_methods.audit(record, texts.audit_summary(record)) if record else "",
        }

    def _audit(self, visitor: Visitor, request: Request, progress: ProgressCallback, cancel: threading.Event) -> dict[str, Any]:
        before = self.lab.before(visitor, request, progress, cancel)
        record = before.audit(request.ids, progress, cancel)
        if record["root"]["after"] != request.outcome.root_after:
            raise LMEraserError(texts.AUDIT_OTHER_MODEL)
        return record

    def _done(self, visitor: Visitor, request: Request, record: dict[str, Any]) -> Updates:
        visitor.amend(request, audit=record)
        return self.show(visitor) | self.context.tabs.changed(visitor, "result")  # its downloads contain the record

    def _stopped(self, visitor: Visitor, request: Request) -> Updates:
        return {"audit_note": markup.note(texts.AUDIT_STOPPED)} if visitor.at(request) else {}

    def _busy(self) -> Updates:
        return {
            "audit_run": gr.update(interactive=False),
            "audit_stop": gr.update(interactive=True),
            "audit_note": markup.running(texts.COMPARE_PREPARING, None),
        }


def _progress(event: Any) -> str:
    """Return the progress line of the test."""
    if isinstance(event, Waiting):
        return markup.running(texts.waiting(event.ahead) if event.ahead else texts.COMPARE_PREPARING, None)
    words = texts.AUDIT_STAGES.get(event.stage, texts.COMPARE_PREPARING)
    return markup.running(texts.stepped(words, event.done, event.total), markup.share_of(event.done, event.total))
