"""The residue scan in the Proof tab: is anything left of the forgotten images? See `core.audit.residue_scan` for what is searched."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from pathlib import PurePath
from typing import Any

import gradio as gr

from core.runtime.temporary import PREFIX
from demo import texts
from demo.panels.common import Context, Parts, Updates, html
from demo.session.jobs import Waiting
from demo.session.requests import Request
from demo.session.visitor import Visitor
from demo.session.work import Work, begin_study, carry
from demo.view import markup, markup_methods


class Residue:
    """The scan's components, events and contents, for one lab."""

    def __init__(self, context: Context):
        self.context, self.lab = context, context.lab

    def components(self) -> Parts:
        """Create the section."""
        parts: Parts = {}
        with gr.Accordion(texts.RESIDUE_TITLE, open=False, visible=False, elem_classes="lm-fold", elem_id="lm-residue-fold") as parts[
            "residue_row"
        ]:
            html(markup.lead(texts.LEAD_RESIDUE))
            with gr.Row(elem_classes="lm-full"):
                parts["residue_run"] = gr.Button(texts.RUN_RESIDUE, interactive=False, min_width=220, scale=0, elem_id="lm-run-residue")
                parts["residue_note"] = html(markup.note(texts.RESIDUE_INFO), "lm-note")
            parts["residue"] = html(elem_id="lm-residue")
        return parts

    async def run(self, token: str | None) -> AsyncIterator[Updates]:
        """Search the visitor's model and folders for everything it has forgotten so far."""
        visitor, request = begin_study(self.lab, token)
        model = self.lab.model(visitor)
        searching = {"residue_run": gr.update(interactive=False), "residue_note": markup.running(texts.RESIDUE_SEARCHING, None)}
        work = Work(
            run=lambda send, cancel: model.residue(self.lab.samples, self.lab.folders(visitor)),
            busy=lambda job: searching,
            event=lambda event, job: _waiting(event),
            done=lambda record: self._done(visitor, request, record),
            stopped=lambda error: self.show(visitor),
        )
        job = visitor.begin_study(self.context.jobs.submit(work.run))  # among the requests, because it reads the visitor's own model
        async for updates in carry(self.context.jobs, visitor, job, work):
            yield updates

    def show(self, visitor: Visitor) -> Updates:
        """Return the scan at rest, with its record, or as it is while it runs."""
        request, busy = visitor.last, visitor.study is not None
        record = request.residue if request else None
        return {
            "residue_row": gr.update(visible=request is not None),
            "residue_run": gr.update(interactive=request is not None and not busy),
            "residue_note": markup.note(texts.RESIDUE_INFO_WORKSPACE if self.lab.shared else texts.RESIDUE_INFO),
            "residue": markup_methods.residue(record) if record else "",
        }

    def _done(self, visitor: Visitor, request: Request, record: dict[str, Any]) -> Updates:
        visitor.amend(request, residue=named(record, self._folders(visitor)))
        return self.show(visitor) | self.context.tabs.changed(visitor, "result")  # its downloads contain the record

    def _folders(self, visitor: Visitor) -> dict[str, str]:
        """Return what each folder that was searched is, by path and by name."""
        label = texts.RESIDUE_PLACES["workspace" if self.lab.shared else "ledger"]
        return {name: label for folder in self.lab.folders(visitor) for name in (str(folder.resolve()), folder.name)}


def named(record: dict[str, Any], folders: Mapping[str, str]) -> dict[str, Any]:
    """Return a scan's record with every place in words: a page tells nobody where its files lie.

    folders: what a folder is, by path and by name. Places that are the same in words become one.
    """
    searched: dict[str, dict[str, Any]] = {}
    for part in record["searched"]:
        sums = searched.setdefault(place(part["place"], folders), {"items": 0, "bytes": 0})
        sums["items"] += part["items"]
        sums["bytes"] += part["bytes"]
    found = [finding | {"place": place(finding["place"], folders)} for finding in record["found"]]
    unread = [f"{place(where, folders)}: {why}" for where, _, why in (line.partition(": ") for line in record["unread"])]
    return record | {"searched": [{"place": name, **sums} for name, sums in searched.items()], "found": found, "unread": unread}


def place(where: str, folders: Mapping[str, str]) -> str:
    """Return a place of a scan in words: a folder by what it is, a file by that and its own name, and what is in memory."""
    root, slash, rest = where.partition("/")
    top = PurePath(where).name if where.startswith("/") else root
    registry = re.split(r"[.\[(]", where, maxsplit=1)[0]
    label = folders.get(where) or folders.get(root) or texts.RESIDUE_PLACES.get("temporary" if top.startswith(PREFIX) else registry)
    file = PurePath(rest).name if slash and root else ""
    return f"{label or texts.RESIDUE_PLACES['other']}{f' ({file})' if file else ''}"


def _waiting(event: Any) -> Updates:
    ahead = event.ahead if isinstance(event, Waiting) else 0
    return {"residue_note": markup.running(texts.waiting(ahead), None)} if ahead else {}
