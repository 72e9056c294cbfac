"""The Ledger tab: receipts to download, the chain checked, a request replayed, a receipt file examined."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import gradio as gr

from core.errors import CancelledError, DataError, InputError
from core.runtime.progress import ProgressCallback
from core.workspace.receipts import MOST_BYTES, Receipt, ReceiptFile, read_receipts
from demo import texts
from demo.panels.common import STATIC, Context, Parts, Updates, html, trained
from demo.request.panel import RequestPanel
from demo.session.verdict import Verdict, first_failed
from demo.session.visitor import Visitor
from demo.session.work import Work, carry, progress_of
from demo.view import markup
from demo.view import markup_receipts as receipts_markup

FILE_JS = (STATIC / "receipts.js").read_text()


class LedgerTab:
    """The tab's components, events and contents, for one lab; the queue is shared, so that nothing is checked while a request runs."""

    def __init__(self, context: Context, request: RequestPanel):
        self.context, self.lab, self.request = context, context.lab, request
        context.tabs.add("ledger", self.show)

    def components(self) -> Parts:
        """Create requests and receipts, the checks of them, and the place where a receipt file is examined."""
        html(markup.lead(texts.LEAD_LEDGER))
        parts: Parts = {"ledger": html(markup.empty(texts.EMPTY_LEDGER), elem_id="lm-ledger")}
        with gr.Row(elem_classes="lm-full", visible=False) as parts["row_ledger"]:
            parts["check"] = gr.Button(texts.CHECK, min_width=190, scale=0, elem_id="lm-check")
            parts["replay"] = gr.Button(texts.replay_button(None), min_width=210, scale=0, elem_id="lm-replay")
            parts["stop_ledger"] = gr.Button(texts.STOP_CHECK, interactive=False, min_width=80, scale=0)
            html(markup.note(texts.CHECK_INFO), "lm-note")
        parts["checked"] = html("", elem_id="lm-checked")
        parts["file"] = html(receipts_markup.file_picker(), "lm-file-box", js_on_load=FILE_JS)
        parts["examined"] = html("", elem_id="lm-examined")
        return parts

    def show(self, visitor: Visitor) -> Updates:
        """Return the tab for the requests so far, with what the last check said, unless a request has followed it."""
        receipts = self._receipts(visitor)
        about, said = visitor.checked
        return {
            "ledger": self._table(visitor, receipts),
            "row_ledger": gr.update(visible=bool(receipts)),
            "checked": said if receipts and receipts[-1].hash == about else "",
            "replay": gr.update(value=texts.replay_button(receipts[-1].request if receipts else None)),
        }

    async def check(self, token: str | None) -> AsyncIterator[Updates]:
        """Verify everything this visitor holds: ledger, receipts, states."""

        def tell(visitor: Visitor, report: dict[str, Any]) -> str:
            return _verified(report, first_failed(visitor.findings))

        async for updates in self._run(token, lambda visitor, *_: self.lab.model(visitor).verify(), texts.CHECKING, tell):
            yield updates

    async def replay(self, token: str | None) -> AsyncIterator[Updates]:
        """Train the last request's result from scratch in another process and compare; the outcome marks the request."""

        def run(visitor: Visitor, progress: ProgressCallback, cancel: threading.Event) -> dict[str, Any]:
            report = self.lab.model(visitor).replay(self._receipts(visitor)[-1].request, progress, cancel)
            self.lab.replayed(visitor, report)
            return report

        def tell(visitor: Visitor, report: dict[str, Any]) -> str:
            return _replayed(report, self.lab.verdict(visitor, report["request"]))

        async for updates in self._run(token, run, texts.REPLAYING, tell, proves=True):
            yield updates

    def check_file(self, token: str | None, event: gr.EventData) -> Updates:
        """Say whether a file of receipts is as it was handed out. It arrives as text and is stored nowhere."""
        visitor = self.context.guest(token)
        sent = event._data if isinstance(event._data, dict) else {}
        text, size = sent.get("text"), sent.get("size")
        if not isinstance(text, str):
            return {}
        visitor.rate.count()
        if isinstance(size, int) and size > MOST_BYTES:
            return {"examined": receipts_markup.outcome(False, texts.FILE_REFUSED, [texts.receipts_too_large(size, MOST_BYTES)])}
        try:
            file = read_receipts(text.encode("utf-8", "replace"))
        except DataError as error:
            return {"examined": receipts_markup.outcome(False, texts.FILE_REFUSED, [str(error)])}
        return {"examined": _examined(file, {r.hash for r in self._receipts(visitor)})}

    async def _run(
        self, token: str | None, run: Callable[..., dict], waiting: str, tell: Callable[[Visitor, dict], str], proves: bool = False
    ) -> AsyncIterator[Updates]:
        """Queue work on the visitor's ledger, show how far it is, and tell what came of it."""
        visitor = self.lab.free(token)
        receipts = self._receipts(visitor)
        if not receipts:
            raise InputError(texts.NOTHING_FORGOTTEN)

        def said(html: str) -> Updates:
            visitor.checked = receipts[-1].hash, html
            return {"checked": html}

        work = Work(
            run=lambda send, cancel: run(visitor, progress_of(send), cancel),
            busy=lambda job: {**self.request.locked(), **_buttons(True), **said(markup.running(waiting, None))},
            event=lambda event, job: {"checked": trained(event, waiting)},
            done=lambda report: said(tell(visitor, report)) | self._done(visitor),
            stopped=lambda error: self.request.show(visitor) | _buttons(False) | said(_stopped(error)),
        )
        job = visitor.begin(self.context.jobs.submit(work.run), receipts[-1].request if proves else 0)
        async for updates in carry(self.context.jobs, visitor, job, work):
            yield updates

    def _done(self, visitor: Visitor) -> Updates:
        return self.request.show(visitor) | self.context.verdict_changed(visitor) | _buttons(False)

    def _receipts(self, visitor: Visitor) -> tuple[Receipt, ...]:
        return visitor.model.receipts() if visitor.model else ()

    def _table(self, visitor: Visitor, receipts: tuple[Receipt, ...]) -> str:
        events = visitor.model.learned() if visitor.model else ()
        learned = receipts_markup.learned(events) if events else ""
        if not receipts:
            return learned or markup.empty(texts.EMPTY_LEDGER)
        taken = sum(r.seconds["total"] for r in receipts)
        full = visitor.last.full_seconds(self.lab.measured) if visitor.last else None
        total = texts.ledger_total(len(receipts), sum(len(r.commitments) for r in receipts), taken, full)
        verdicts = {r.request: self.lab.verdict(visitor, r.request) for r in receipts}
        note = markup.note(f"{total} {texts.withdrawn(self.lab.model(visitor).withdrawn())}".strip())
        return note + receipts_markup.ledger(receipts, verdicts) + learned


def _buttons(working: bool) -> Updates:
    return {name: gr.update(interactive=on) for name, on in (("check", not working), ("replay", not working), ("stop_ledger", working))}


def _stopped(error: Exception) -> str:
    return markup.note(texts.CHECK_STOPPED) if isinstance(error, CancelledError) else ""


def _verified(report: dict[str, Any], failed: int | None) -> str:
    if not report["equal"]:
        return receipts_markup.outcome(False, texts.CHECK_BAD, report["problems"])
    if failed is not None:
        return receipts_markup.outcome(False, texts.CHECK_DOUBT, [texts.proof_failed(failed), *texts.verified(report)])
    return receipts_markup.outcome(True, texts.CHECK_GOOD, texts.verified(report))


def _replayed(report: dict[str, Any], verdict: Verdict) -> str:
    good = verdict.kind == "equal"
    done = texts.replayed(report["clean_room"], sum(report["seconds"].values()))
    lines = [done] if good else [verdict.info, *verdict.problems]
    return receipts_markup.outcome(good, texts.replay_title(report["request"], verdict.kind), lines)


def _examined(file: ReceiptFile, own: set[str]) -> str:
    if file.problems:
        return receipts_markup.outcome(False, texts.FILE_BROKEN, file.problems)
    known = sum(r.hash in own for r in file.receipts)
    last = file.receipts[-1]
    lines = [texts.file_intact(len(file.receipts), last.request, last.root_after), texts.file_known(known, len(file.receipts))]
    return receipts_markup.outcome(True, texts.FILE_GOOD, lines)
