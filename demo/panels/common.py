"""What all tabs and panels use: the lab and its queues, the status line, small components, and which tabs wait to be filled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from core.errors import InputError
from core.runtime.progress import Progress
from demo import texts
from demo.session.available import Offers
from demo.session.jobs import Jobs, Waiting
from demo.session.lab import Lab
from demo.session.verdict import first_failed
from demo.session.visitor import Visitor
from demo.view import markup

Updates = dict[str, Any]
Parts = dict[str, Any]  # components, or columns and tabs that hold some, by name
Show = Callable[[Visitor], Updates]

FIRST = "result"  # the tab that is open at first
VERDICT = ("result", "proof", "ledger", "compare")  # the tabs that a verdict can change
STATIC = Path(__file__).parents[1] / "view" / "static"


class Tabs:
    """Fills the tab that a visitor has open, and the others when they are opened.

    A tab that is not open and no longer true is hidden until it is filled: each has a column `NAME_body` around its contents.
    """

    def __init__(self) -> None:
        self._shows: dict[str, Show] = {}

    def add(self, name: str, show: Show) -> None:
        """Add a tab with the function that fills it."""
        self._shows[name] = show

    def changed(self, visitor: Visitor, *names: str) -> Updates:
        """Return the open tab if it is among the names (all without names); the others are filled when they are opened."""
        updates: Updates = {}
        for name in names or tuple(self._shows):
            updates |= self._filled(visitor, name) if name == (visitor.open_tab or FIRST) else self.stale(visitor, name)
        return updates

    def part(self, visitor: Visitor, name: str, show: Show) -> Updates:
        """Return a part of a tab if it is open; otherwise the tab is filled when it is opened."""
        return show(visitor) if name == (visitor.open_tab or FIRST) else self.stale(visitor, name)

    def stale(self, visitor: Visitor, name: str) -> Updates:
        """Hide a tab that is not open until it is opened and filled."""
        visitor.reopened = False
        if name in visitor.stale:
            return {}
        visitor.stale.add(name)
        return {f"{name}_body": gr.update(visible="hidden")}

    def opened(self, visitor: Visitor, name: str, fill: bool = False) -> Updates:
        """Take note which tab is open, and return its contents if they are stale, or in any case with `fill`."""
        visitor.open_tab, visitor.reopened = name, True
        return self._filled(visitor, name) if fill or name in visitor.stale else {}

    def settled(self, visitor: Visitor, name: str) -> Updates:
        """Return the open tab's contents once more if it was opened as an event ended.

        When an event that reports as it goes ends, Gradio shows its last state again, and that would hide the tab.
        """
        if not visitor.reopened and name == (visitor.open_tab or FIRST):
            return {}
        updates = self.opened(visitor, name, fill=True)
        visitor.reopened = False
        return updates

    def _filled(self, visitor: Visitor, name: str) -> Updates:
        visitor.stale.discard(name)
        return {f"{name}_body": gr.update(visible=True), **self._shows[name](visitor)}


class Context:
    """What every tab's events need: one lab, the queues, the site's pages, and the tabs."""

    def __init__(self, lab: Lab, jobs: Jobs, offers: Offers | None = None):
        self.lab, self.jobs, self.tabs = lab, jobs, Tabs()
        self.offers = offers or Offers((lab.engine.pair,))
        self.card: Show = lambda visitor: {}  # the result's card, once the request column is there

    def guest(self, token: str | None) -> Visitor:
        """Return the visitor of a token; raises InputError when the session is over."""
        visitor = self.lab.find(token)
        if visitor is None or visitor.closed:
            raise InputError(texts.SESSION_OVER)
        return visitor

    def verdict_changed(self, visitor: Visitor) -> Updates:
        """Return what a new verdict changes: status line, the result's card, and the tabs that say something of it."""
        return {"status": self.status(visitor), **self.card(visitor), **self.tabs.changed(visitor, *VERDICT)}

    def status(self, visitor: Visitor) -> str:
        """Return the status line."""
        fit, lab = self.lab.fit, self.lab
        if fit.state == "failed":
            return markup.status("failed", texts.FIT_FAILED.format(fit.error), "")
        if fit.state == "fitting" or lab.base is None or lab.base.model is None:
            p = fit.progress
            return markup.status("fitting", texts.fitting(p.done, p.total, p.stage), texts.FIT_NOTE, markup.share_of(p.done, p.total))
        failed = first_failed(visitor.findings)
        if failed is not None:
            return markup.status("failed", texts.proof_failed(failed), texts.PROOF_FAILED_NOTE)
        model, m = visitor.model or lab.base.model, lab.measured
        note = texts.measured(m.seconds, m.day, m.here) if m else texts.NOT_MEASURED
        title = texts.ready(len(model.samples), model.clusters, len(visitor.forgotten))
        if lab.selftest is not None and not lab.selftest.passed:
            return markup.status("ready lm-doubt", f"{title} {texts.NO_PROOF_HERE}", note)
        return markup.status("ready", f"{title} {texts.UNDER_WAY}" if lab.under_way else title, note)


def html(value: str = "", classes: str = "", **kwargs: Any) -> gr.HTML:
    """Return an HTML component without Gradio's own styles."""
    return gr.HTML(value, elem_classes=classes, js_on_load=kwargs.pop("js_on_load", None), apply_default_css=False, **kwargs)


def plot() -> gr.Plot:
    """Return a chart that is hidden until it has something to show."""
    return gr.Plot(show_label=False, visible=False, elem_classes="lm-plot")


def runner(name: str, words: str, info: str) -> Parts:
    """Return a button that starts something long, one that stops it, and a line that says how far it is."""
    parts: Parts = {}
    with gr.Row(elem_classes="lm-full"):
        parts[f"{name}_run"] = gr.Button(words, variant="secondary", interactive=False, min_width=250, scale=0, elem_id=f"lm-run-{name}")
        parts[f"{name}_stop"] = gr.Button(texts.STOP, interactive=False, min_width=80, scale=0, elem_id=f"lm-stop-{name}")
        parts[f"{name}_note"] = html(markup.note(info), "lm-note")
    return parts


def full_row(tab: str) -> Parts:
    """Return the button that runs full retraining, with its progress; the same on two tabs."""
    parts: Parts = {}
    with gr.Row(elem_classes="lm-full", visible=False) as parts[f"row_{tab}"]:
        parts[f"full_{tab}"] = gr.Button(texts.RUN_FULL, variant="secondary", min_width=220, scale=0, elem_id=f"lm-full-{tab}")
        parts[f"stop_{tab}"] = gr.Button(texts.STOP_FULL, interactive=False, min_width=80, scale=0)
        parts[f"note_{tab}"] = html(markup.note(texts.RUN_FULL_INFO), "lm-note")
    return parts


def trained(event: Waiting | Progress, words: str) -> str:
    """Return the progress line of work that waits, then trains; `words` until it reports."""
    if isinstance(event, Waiting):
        return markup.running(texts.waiting(event.ahead) if event.ahead else words, None)
    return markup.running(texts.training(event.done, event.total, event.stage), markup.share_of(event.done, event.total))


def off(*names: str) -> Updates:
    """Return updates that disable buttons."""
    return {name: gr.update(interactive=False) for name in names}
