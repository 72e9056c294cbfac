"""The Proof tab: the roots before, after, and of full retraining; the button that runs it; and what the proof rests on here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import gradio as gr

from core.errors import CancelledError, InputError
from demo import texts
from demo.panels.common import Context, Parts, Updates, full_row, html, trained
from demo.request.panel import RequestPanel
from demo.session.visitor import Visitor
from demo.session.work import Work, carry, progress_of
from demo.tabs.membership import Membership
from demo.tabs.residue import Residue
from demo.view import markup

TABS = ("result", "proof")  # both have the button


class ProofTab:
    """The tab's components, events and contents, for one lab; it holds the membership test and the residue scan."""

    def __init__(self, context: Context, request: RequestPanel):
        self.context, self.lab, self.request = context, context.lab, request
        self.membership, self.residue = Membership(context), Residue(context)
        context.tabs.add("proof", self.show)

    def components(self) -> Parts:
        """Create the tab's contents."""
        html(markup.lead(texts.LEAD_PROOF))
        parts: Parts = {"proof": html(markup.empty(texts.EMPTY_PROOF))}
        parts |= full_row("proof")
        parts["basis"] = html(markup.basis(texts.basis(None), (), ()), elem_id="lm-basis")
        parts |= self.membership.components() | self.residue.components()
        html(markup.breaks(texts.BREAKS))
        return parts

    async def examined(self, token: str | None) -> AsyncIterator[Updates]:
        """Say what the proof rests on here, once this machine's self-test has run."""
        visitor = self.lab.find(token)
        while visitor and not visitor.closed and self.lab.selftest is None and self.lab.fit.state != "failed":
            await asyncio.sleep(0.25)
        if visitor and not visitor.closed and self.lab.selftest is not None:
            yield self.context.tabs.part(visitor, "proof", lambda _: {"basis": self.basis()})
            if not self.lab.selftest.passed:
                yield self.context.verdict_changed(visitor)

    async def full(self, token: str | None) -> AsyncIterator[Updates]:
        """Retrain from nothing on what remains: measures full retraining and gives the proof of the last request."""
        visitor = self.lab.free(token)
        if visitor.last is None:
            raise InputError(texts.NOTHING_FORGOTTEN)
        visitor.end_check()
        work = Work(
            run=lambda send, cancel: self.lab.prove(visitor, progress_of(send), cancel),
            busy=lambda job: self._busy(True) | self.request.locked() | {"proof": self.proof(visitor)},
            event=lambda event, job: self._notes(trained(event, texts.STAGES["features"])),
            done=lambda clean: self.context.verdict_changed(visitor) | self._busy(False) | self.request.show(visitor),
            stopped=lambda error: self._stopped(visitor, error),
        )
        job = visitor.begin(self.context.jobs.submit(work.run), proving=visitor.last.number)
        async for updates in carry(self.context.jobs, visitor, job, work):
            yield updates

    def show(self, visitor: Visitor) -> Updates:
        """Return the tab for the last request."""
        request = visitor.last
        return {
            "proof": self.proof(visitor),
            "basis": self.basis(),
            "row_proof": gr.update(visible=request is not None),
            "full_proof": gr.update(interactive=request is not None and not visitor.job),
            **self.membership.show(visitor),
            **self.residue.show(visitor),
        }

    def basis(self) -> str:
        """Return what the proof rests on here."""
        selftest = self.lab.selftest
        return markup.basis(texts.basis(selftest), texts.basis_facts(selftest), texts.failed_checks(selftest) if selftest else ())

    def proof(self, visitor: Visitor) -> str:
        """Return the roots and what may be said of them."""
        request = visitor.last
        if request is None:
            return markup.empty(texts.EMPTY_PROOF)
        roots = (
            (texts.ROOT_BEFORE, request.outcome.root_before),
            (texts.ROOT_AFTER, request.outcome.root_after),
            (texts.ROOT_CLEAN, request.clean.root if request.clean else None),
        )
        notes = [texts.untouched(*request.untouched), *([texts.emptied(request.emptied)] if request.emptied else [])]
        return markup.proof(self.lab.verdict(visitor, request.number), roots, notes)

    def _busy(self, on: bool) -> Updates:
        updates: Updates = {}
        for tab in TABS:
            updates |= {f"full_{tab}": gr.update(interactive=not on), f"stop_{tab}": gr.update(interactive=on)}
        return updates | self._notes(markup.running(texts.STAGES["features"], None) if on else markup.note(texts.RUN_FULL_INFO))

    def _notes(self, note: str) -> Updates:
        return {f"note_{tab}": note for tab in TABS}

    def _stopped(self, visitor: Visitor, error: Exception) -> dict[str, Any]:
        note = self._notes(markup.note(texts.FULL_STOPPED)) if isinstance(error, CancelledError) else {}
        return self._busy(False) | self.request.show(visitor) | {"proof": self.proof(visitor)} | note
