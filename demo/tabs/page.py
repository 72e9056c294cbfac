"""The page: its panels and tabs side by side, a visitor's arrival and departure, and everything at once for whoever needs it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from core.errors import InputError, LMEraserError
from demo import texts
from demo.panels.common import FIRST, STATIC, Context, Parts, Updates, html
from demo.panels.map_panel import MapPanel
from demo.request.panel import RequestPanel
from demo.selection import permalink
from demo.session.available import Offers
from demo.session.jobs import Jobs
from demo.session.lab import Lab
from demo.session.visitor import Visitor
from demo.tabs.clusters import ClustersTab
from demo.tabs.compare import CompareTab
from demo.tabs.learn import LearnTab
from demo.tabs.ledger import LedgerTab
from demo.tabs.proof import ProofTab
from demo.tabs.result import ResultTab
from demo.tabs.selecting import Selecting
from demo.view import markup

RELOADING = 15  # tenths of a second that a reloaded page waits for the one before to be gone
OFFLINE_JS = (STATIC / "offline.js").read_text()


@dataclass(frozen=True)
class Calls:
    """What the browser may ask the server directly: functions of what it sends, for the map, the selection's file and its link."""

    thumbnail: Callable[[Any], dict | None]
    saved: Callable[[Any], dict | None]
    linked: Callable[[Any], dict | None]


class Page:
    """All panels and tabs of one lab's page."""

    def __init__(self, lab: Lab, jobs: Jobs, offers: Offers | None = None):
        self.lab, self.jobs, self.context = lab, jobs, Context(lab, jobs, offers)
        self.map = MapPanel(self.context)
        self.request = RequestPanel(self.context, self.map, self.everything)
        self.selecting = Selecting(self.request)
        self.result, self.compare = ResultTab(self.context), CompareTab(self.context)
        self.proof, self.clusters = ProofTab(self.context, self.request), ClustersTab(self.context)
        self.ledger = LedgerTab(self.context, self.request)
        self.learn = LearnTab(self.context)

    @property
    def tabs(self) -> dict[str, tuple[str, Callable[[], Parts]]]:
        """Title and components of each tab by name, in their order."""
        return {
            "result": (texts.TAB_RESULT, self.result.components),
            "compare": (texts.TAB_COMPARE, self.compare.components),
            "proof": (texts.TAB_PROOF, self.proof.components),
            "clusters": (texts.TAB_CLUSTERS, self.clusters.components),
            "ledger": (texts.TAB_LEDGER, self.ledger.components),
            "learn": (texts.TAB_LEARN, self.learn.components),
        }

    def components(self, calls: Calls) -> Parts:
        """Create the whole page inside the current Blocks; return its components by name."""
        parts = self.selecting.top(calls.linked)
        html(markup.offline(), "lm-offline-box", js_on_load=OFFLINE_JS)
        parts["status"] = html(markup.status("fitting", texts.STAGES["open"], texts.FIT_NOTE), "lm-status-box")
        with gr.Row(elem_classes="lm-main"):
            with gr.Column(elem_classes="lm-hero", min_width=280):
                parts |= self.map.components(calls.thumbnail) | self.selecting.components()
            with gr.Column(elem_classes="lm-request", min_width=280):
                parts |= self.request.components(calls.saved)
        with gr.Column(elem_classes="lm-after"), gr.Tabs(elem_id="lm-tabs", overflow_behavior="wrap"):
            for name, (title, create) in self.tabs.items():
                with gr.Tab(title, elem_classes="lm-pane") as parts[f"{name}_tab"], gr.Column() as parts[f"{name}_body"]:
                    parts |= create()
        return parts

    # --- arriving and leaving -------------------------------------------------------------------------------------

    async def arrive(self, kept: Any, request: gr.Request) -> AsyncIterator[Updates]:
        """Let a visitor in: the map at once, then the first fit's progress, then everything.

        `kept` is what the browser has stored of an earlier page; its session goes on here, if that page was closed. A visitor whose
        address asks for another page's data set or preset is on the way there: the page itself goes.
        """
        if not self._meant_here(request.query_params):
            return
        self.lab.start()
        resumed = await self._resumed(kept, request.session_hash)
        visitor = resumed or self.lab.enter()
        visitor.page = request.session_hash
        if resumed is None or request.query_params.get("select"):
            self._restore(visitor, request.query_params)
        placed = self.map.points()
        first: Updates = {"visitor": visitor.token, "top": gr.update(token=visitor.token)}
        if visitor.seed:  # a link's; sent in vain, it would overwrite what a quick visitor has typed by now
            first["seed"] = visitor.seed
        yield first | await asyncio.to_thread(self.everything, visitor)
        waited = False
        while self._at_work and not visitor.closed:
            waited = True
            await asyncio.sleep(0.25)
            if not self._at_work:  # everything follows at once; a status line of its own would know the visitor's model too late
                break
            late = {} if placed == self.map.points() else {"map": gr.update(points=self.map.points())}
            placed = self.map.points()
            yield {"status": self.context.status(visitor), **late}
        if (waited or self._behind(visitor)) and not visitor.closed:
            self._caught_up(visitor)
            yield await asyncio.to_thread(self.everything, visitor)

    def arrived(self, token: str | None, tab: str) -> Updates:
        """Show what a quick visitor has selected and opened while being let in."""
        return self.request.arrived(token) | self.settled(token, tab)

    def forgotten(self, token: str | None, tab: str) -> Updates:
        """Show what a quick visitor has selected and opened as a request ended."""
        return self.request.forgotten(token) | self.settled(token, tab)

    def opened(self, name: str, token: str | None) -> Updates:
        """Take note that a tab was opened, and fill it if its contents are no longer true."""
        visitor = self.lab.find(token)
        return {"tab": name} | (self.context.tabs.opened(visitor, name) if visitor and not visitor.closed else {})

    def settled(self, token: str | None, tab: str) -> Updates:
        """Show the open tab once more if it was opened as an event ended; `tab` is what the page says is open."""
        visitor = self.lab.find(token)
        return self.context.tabs.settled(visitor, tab or FIRST) if visitor and not visitor.closed else {}

    def proved(self, token: str | None, tab: str) -> Updates:
        """Show the card of the last request once more, which may be another by the time a proof ends; and as `settled`."""
        visitor = self.lab.find(token)
        return (self.request.card.judged(visitor) if visitor and not visitor.closed else {}) | self.settled(token, tab)

    def depart(self, request: gr.Request) -> None:
        """Take note that a page was closed."""
        self.lab.away(self.lab.find_page(request.session_hash))

    def everything(self, visitor: Visitor) -> Updates:
        """Return what a change of the model changes: status line, request, map and the open tab; the others follow when opened."""
        root = visitor.model.root if visitor.model is not None else ""
        visitor.shown_root = root if self.lab.under_way is None else ""  # a request changes more than the model, and not all at once
        shown = {"status": self.context.status(visitor), **self.request.show(visitor), **self.map.show(visitor)}
        if self.selecting.people.rows:
            shown |= self.selecting.people.show(visitor)
        if visitor.story == "result":
            shown |= self.request.card.show(visitor)
        return shown | {"kept": self._kept(visitor)} | self.context.tabs.changed(visitor)

    def _kept(self, visitor: Visitor) -> dict[str, Any]:
        """Return what the browser stores, so that a reload finds the visitor again; and whether there is anything to lose."""
        return {} if self.lab.shared else {"token": visitor.token, "work": len(visitor.requests) + visitor.taught_so_far}

    async def _resumed(self, kept: Any, page: str | None) -> Visitor | None:
        """Return the visitor whom the browser remembers; when that session is gone, say what was lost."""
        if not isinstance(kept, dict) or not kept.get("token") or self.lab.shared:
            return None
        for _ in range(RELOADING):
            visitor = self.lab.resumed(kept["token"], page)
            if visitor is not None or self.lab.find(kept["token"]) is None:
                break
            await asyncio.sleep(0.1)  # until the server knows that the page before was closed
        if visitor is None and kept.get("work") and self.lab.find(kept["token"]) is None:
            gr.Info(texts.session_lost(kept["work"]))
        return visitor

    @property
    def _at_work(self) -> bool:
        """Whether the model is being fitted, or a shared one is about to change."""
        return self.lab.fit.state == "fitting" or self.lab.under_way is not None

    @staticmethod
    def _behind(visitor: Visitor) -> bool:
        """Whether the model came, or a shared one changed, while the page was being filled."""
        return visitor.model is None or visitor.model.root != visitor.shown_root

    def _caught_up(self, visitor: Visitor) -> None:
        """Let a visitor who came early have the model that is there by now."""
        if visitor.model is None:
            self.lab.reset(visitor)
        self.lab.find(visitor.token)
        forgotten = set(visitor.forgotten)
        visitor.selection = tuple(r for r in visitor.selection if r not in forgotten)
        visitor.plan = self.request.planned(visitor, visitor.selection)

    def _meant_here(self, query: Mapping[str, str]) -> bool:
        try:
            return self.context.offers.chosen(query, self.lab.engine.pair) == self.lab.engine.pair
        except InputError as error:
            gr.Warning(str(error))
            return True

    def _restore(self, visitor: Visitor, query: Mapping[str, str]) -> None:
        """Take up a permalink's selection; what does not fit is left out, with a word about it."""
        link = permalink.read(query, self.lab.samples, self.lab.numbering)
        for problem in link.problems:
            gr.Warning(problem)
        visitor.selection, visitor.drawn, visitor.seed = link.rows, link.drawn, link.seed
        if link.forgot:
            gr.Info(texts.link_forgot(len(link.forgot)))
            visitor.selection, visitor.drawn = tuple(sorted({*link.rows, *link.forgot})), 0
        try:
            visitor.plan = self.request.planned(visitor, visitor.selection)
        except LMEraserError as error:  # a page that cannot show a link's selection opens without it
            gr.Warning(texts.LINK_SELECTION.format(error))
            visitor.selection, visitor.drawn, visitor.plan = (), 0, None
