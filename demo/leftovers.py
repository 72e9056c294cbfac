"""Handlers of the residue scan in the Proof tab. What is searched, and how, is the affair of `core.residue`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import gradio as gr

from core.errors import CancelledError
from demo import markup, markup_methods, texts
from demo.jobs import Finished, Jobs, Waiting
from demo.session import Lab, Visitor
from demo.studies import begin, study

Updates = dict[str, Any]


class Leftovers:
    """The residue scan's events, for one lab."""

    def __init__(self, lab: Lab, jobs: Jobs):
        self.lab, self.jobs = lab, jobs

    async def run(self, token: str | None) -> AsyncIterator[Updates]:
        """Search the visitor's model and folders for everything it has forgotten so far."""
        visitor, request = begin(self.lab, token)
        yield {"residue_run": gr.update(interactive=False), "residue_note": markup.running(texts.RESIDUE_SEARCHING, None)}
        try:
            async for event in study(self.jobs, visitor, lambda send, cancel: self._scan(visitor), among_requests=True):
                if isinstance(event, Finished):
                    visitor.amend(request, residue=event.result)
                elif isinstance(event, Waiting) and event.ahead:
                    yield {"residue_note": markup.running(texts.waiting(event.ahead), None)}
            yield self.show(visitor)
        except Exception as error:  # whatever it was, the tab comes to rest first
            yield self.show(visitor)
            if not isinstance(error, CancelledError):
                raise

    def _scan(self, visitor: Visitor) -> dict[str, Any]:
        return self.lab.engine.residue(visitor.eraser, self.lab.samples, self.lab.folders(visitor))

    def show(self, visitor: Visitor) -> Updates:
        """Return the scan at rest, with what it found, or as it is while it runs."""
        request, busy = visitor.requests[-1] if visitor.requests else None, visitor.study is not None
        found = request.residue if request else None
        return {
            "residue_row": gr.update(visible=request is not None),
            "residue_run": gr.update(interactive=request is not None and not busy),
            "residue_note": markup.note(texts.RESIDUE_INFO_KEPT if self.lab.shared else texts.RESIDUE_INFO),
            "residue": markup_methods.residue(found) if found else "",
        }
