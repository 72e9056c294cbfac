"""The ledger's tab: receipts to download, the chain checked, a request replayed, a receipt file examined.

Like `handlers.py`: UI value → core call → UI value; the queue is shared, so that nothing is checked while a request runs.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

import gradio as gr

from core.errors import CancelledError, DataError, InputError
from core.receipts import MOST_BYTES, Receipt, ReceiptFile, read_receipts
from core.types import ProgressCallback
from demo import markup, receipts_markup, texts
from demo.jobs import Finished, Waiting
from demo.session import Visitor, progress_of

if TYPE_CHECKING:
    from demo.handlers import Handlers

Updates = dict[str, Any]


class ReceiptsTab:
    """The tab's events and contents, for the handlers of one page."""

    def __init__(self, page: Handlers):
        self.page = page

    def shown(self, visitor: Visitor) -> Updates:
        """Return the tab for the requests so far; what an earlier check found is cleared, for it was of another model."""
        receipts = self._receipts(visitor)
        return {
            "ledger": self._table(visitor, receipts),
            "row_ledger": gr.update(visible=bool(receipts)),
            "checked": "",
            "replay": gr.update(value=texts.replay_button(receipts[-1].request if receipts else None)),
        }

    async def check(self, token: str | None) -> AsyncIterator[Updates]:
        """Replay the verification of everything this visitor holds: ledger, receipts, states."""
        async for updates in self._run(token, lambda records, *_: records.verify(), texts.CHECKING, _verified):
            yield updates

    async def replay(self, token: str | None) -> AsyncIterator[Updates]:
        """Train the last request's result from scratch in another process and compare."""

        def work(records: Any, progress: ProgressCallback, cancel: Any) -> dict:
            return records.replay(records.receipts()[-1].request, progress, cancel)

        async for updates in self._run(token, work, texts.REPLAYING, _replayed):
            yield updates

    def check_file(self, token: str | None, event: gr.EventData) -> Updates:
        """Say whether a file of receipts is as it was handed out. It arrives as text and is stored nowhere."""
        visitor = self.page.guest(token)
        sent = event._data if isinstance(event._data, dict) else {}
        text, size = sent.get("text"), sent.get("size")
        if not isinstance(text, str):
            return {}
        visitor.rate.count()
        if isinstance(size, int) and size > MOST_BYTES:
            return {"examined": receipts_markup.outcome(False, texts.FILE_REFUSED, [texts.receipts_too_large(size, MOST_BYTES)])}
        try:
            found = read_receipts(text.encode("utf-8", "replace"))
        except DataError as error:
            return {"examined": receipts_markup.outcome(False, texts.FILE_REFUSED, [str(error)])}
        return {"examined": _examined(found, {r.hash for r in self._receipts(visitor)})}

    async def _run(self, token: str | None, work: Callable, waiting: str, tell: Callable[[Any], str]) -> AsyncIterator[Updates]:
        """Queue work on the visitor's records, show how far it is, and tell what came of it."""
        visitor = self.page._free(token)
        records = visitor.records
        if records is None:
            raise InputError(texts.NOTHING_FORGOTTEN)
        job = visitor.job = self.page.jobs.submit(lambda send, cancel: work(records, progress_of(send), cancel))
        yield {**self.page._idle_controls(visitor, working=True), **_buttons(True), "checked": markup.running(waiting, None)}
        try:
            async for event in self.page.jobs.follow(job):
                if not isinstance(event, Finished):
                    yield {"checked": _progress(event, waiting)}
            visitor.job = None
            yield {**self.page._request(visitor), **_buttons(False), "checked": tell(event.result)}
        except Exception as error:  # whatever it was, the page comes to rest first
            visitor.job = None
            stopped = isinstance(error, CancelledError)
            yield {**self.page._request(visitor), **_buttons(False), "checked": markup.note(texts.CHECK_STOPPED) if stopped else ""}
            if not stopped:
                raise
        finally:
            visitor.job = None if visitor.job is job else visitor.job

    def _receipts(self, visitor: Visitor) -> tuple[Receipt, ...]:
        return visitor.records.receipts() if visitor.records is not None else ()

    def _table(self, visitor: Visitor, receipts: tuple[Receipt, ...]) -> str:
        if not receipts:
            return markup.empty(texts.EMPTY_LEDGER)
        taken = sum(r.seconds["total"] for r in receipts)
        full = visitor.requests[-1].full_seconds(self.page.lab.measured) if visitor.requests else None
        total = texts.ledger_total(len(receipts), sum(len(r.commitments) for r in receipts), taken, full)
        return markup.note(f"{total} {texts.withdrawn(visitor.records.withdrawn())}".strip()) + receipts_markup.ledger(receipts)


def _buttons(working: bool) -> Updates:
    updates: Updates = {name: gr.update(interactive=not working) for name in ("check", "replay")}
    return updates | {"stop_ledger": gr.update(interactive=working)}


def _progress(event: Any, words: str) -> str:
    if isinstance(event, Waiting):
        return markup.running(texts.waiting(event.ahead) if event.ahead else words, None)
    return markup.running(texts.training(event.done, event.total, event.stage), markup.share_of(event.done, event.total))


def _verified(report: dict[str, Any]) -> str:
    lines = texts.verified(report) if report["equal"] else report["problems"]
    return receipts_markup.outcome(report["equal"], texts.CHECK_GOOD if report["equal"] else texts.CHECK_BAD, lines)


def _replayed(report: dict[str, Any]) -> str:
    good = not report["problems"]
    lines = [texts.replayed(report["clean_room"], sum(report["seconds"].values()))] if good else report["problems"]
    return receipts_markup.outcome(good, texts.replay_title(report["request"], good), lines)


def _examined(found: ReceiptFile, own: set[str]) -> str:
    if found.problems:
        return receipts_markup.outcome(False, texts.FILE_BROKEN, found.problems)
    known = sum(r.hash in own for r in found.receipts)
    last = found.receipts[-1]
    lines = [texts.file_intact(len(found.receipts), last.request, last.root_after), texts.file_known(known, len(found.receipts))]
    return receipts_markup.outcome(True, texts.FILE_GOOD, lines)


__all__ = ["ReceiptsTab"]
