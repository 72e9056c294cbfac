"""Handlers of the membership test in the Proof tab: both attacks of `core.audit` on the last request, with every score at hand.

The movable threshold is the browser's affair (`membership.js`); scores travel sorted and without names.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import gradio as gr

from core.errors import CancelledError, LMEraserError
from demo import markup, markup_methods, texts
from demo.jobs import Finished, Jobs, Waiting
from demo.session import Lab, Request, Visitor, progress_of
from demo.studies import begin, stop, study

Updates = dict[str, Any]


class Membership:
    """The membership test's events, for one lab."""

    def __init__(self, lab: Lab, jobs: Jobs):
        self.lab, self.jobs = lab, jobs

    async def run(self, token: str | None) -> AsyncIterator[Updates]:
        """Attack the model before, after, and retrained without the last request's images."""
        visitor, request = begin(self.lab, token)
        yield self._busy()
        try:
            async for event in study(self.jobs, visitor, lambda send, cancel: self._audit(visitor, request, progress_of(send), cancel)):
                if isinstance(event, Finished):
                    visitor.amend(request, audit=event.result)
                elif visitor.at(request):
                    yield {"audit_note": _said(event)}
            yield self.show(visitor)
        except Exception as error:  # whatever it was, the tab comes to rest first
            yield self.show(visitor) | ({"audit_note": markup.note(texts.AUDIT_STOPPED)} if visitor.at(request) else {})
            if not isinstance(error, CancelledError):
                raise

    def _audit(self, visitor: Visitor, request: Request, progress: Callable, cancel: threading.Event) -> dict[str, Any]:
        before = self.lab.before(visitor, request, progress, cancel)
        record = self.lab.engine.audit(before, self.lab.ids(list(request.rows)), progress, cancel)
        if record["root"]["after"] != request.outcome.root_after:
            raise LMEraserError(texts.AUDIT_OTHER_MODEL)
        return record

    def stop(self, token: str | None) -> Updates:
        """Ask the test to end."""
        stop(self.lab, token)
        return {"audit_stop": gr.update(interactive=False)}

    def show(self, visitor: Visitor) -> Updates:
        """Return the test at rest, or as it is while it runs."""
        request, busy = visitor.requests[-1] if visitor.requests else None, visitor.study is not None
        found = request.audit if request else None
        return {
            "audit_row": gr.update(visible=request is not None),
            "audit_run": gr.update(interactive=request is not None and not busy and not self.lab.shared),
            "audit_stop": gr.update(interactive=busy),
            "audit_note": markup.note(texts.FORGOTTEN_FOR_GOOD if self.lab.shared else texts.AUDIT_INFO),
            "audit": markup_methods.audit(found, texts.audit_summary(found)) if found else "",
        }

    def _busy(self) -> Updates:
        return {
            "audit_run": gr.update(interactive=False),
            "audit_stop": gr.update(interactive=True),
            "audit_note": markup.running(texts.COMPARE_PREPARING, None),
        }


def _said(event: Any) -> str:
    """Return the progress line of the test."""
    if isinstance(event, Waiting):
        return markup.running(texts.waiting(event.ahead) if event.ahead else texts.COMPARE_PREPARING, None)
    words = texts.AUDIT_STAGES.get(event.stage, texts.COMPARE_PREPARING)
    return markup.running(texts.stepped(words, event.done, event.total), markup.share_of(event.done, event.total))
