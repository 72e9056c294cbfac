"""The request column: ways in, the selected images, the plan for them, the result, and the buttons that forget, cancel and start over."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any

import gradio as gr
import numpy as np

from core.errors import CancelledError, InputError
from core.lmeraser.records import ForgetPlan
from core.runtime.progress import Progress
from demo import texts
from demo.panels.common import Context, Parts, Show, Updates, html, off
from demo.panels.map_panel import MapPanel
from demo.request.card import ResultCard
from demo.request.teach import TeachPanel
from demo.request.ways import Ways
from demo.session.carrying_out import carry_out, plan_figures
from demo.session.jobs import Job, Waiting
from demo.session.suggestions import offered
from demo.session.visitor import Visitor
from demo.session.work import Work, carry, progress_of
from demo.view import markup, markup_request, toolbar

# what a new selection changes: few components, so that the preview comes quickly
CHANGED = (
    *("tray", "actions", "plan", "copies", "forget", "cancel", "clear", "start_over", "choose", "draw", "map"),
    *("at", "ways", "ask", "teach", "teach_label", "how", "lesson", "learn_body"),
)
FULL = ("full_result", "full_proof")
MOST_LIT = 10_000  # rows
AT_JS = """
const tell = () => {
  const column = element.closest(".lm-request"), at = /data-at="(\\w+)"/.exec(props.value || "");
  if (column && at) column.dataset.at = at[1];
};
watch(Object.keys({ value: 1 }), tell);
tell();
"""
REMOVE_JS = """
element.addEventListener("click", (event) => {
  const button = event.target.closest("[data-remove]");
  if (button) trigger("click", { row: Number(button.dataset.remove) });
});
"""


class RequestPanel:
    """The panel's components, events and contents, for one lab. `everything` returns the whole page for a visitor."""

    def __init__(self, context: Context, map_panel: MapPanel, everything: Show):
        self.context, self.lab, self.map, self.everything = context, context.lab, map_panel, everything
        self.ways, self.teach, self.card = Ways(context), TeachPanel(context, everything), ResultCard(context)

    def components(self, saved: Any) -> Parts:
        """Create the panel; `saved` is the function that writes the selection's file."""
        parts: Parts = {"at": html(markup_request.at("start"), "lm-at-box", js_on_load=AT_JS)}
        with gr.Row(elem_classes="lm-title lm-request-title"):
            html(markup.heading(texts.REQUEST_TITLE))
            parts["clear"] = gr.Button(texts.CLEAR, size="sm", variant="secondary", interactive=False, min_width=64, scale=0)
            parts["start_over"] = gr.Button(texts.START_OVER, size="sm", interactive=False, min_width=92, scale=0)
        if self.lab.shared:
            html(markup.note(texts.workspace_note(self.lab.shared)), "lm-kept")
        with gr.Column(elem_classes="lm-box lm-ways-group"):
            parts |= self.ways.components()
        if not self.lab.shared:
            with gr.Column(elem_classes="lm-box lm-teach-group"):
                parts |= self.teach.components()
        with gr.Column(elem_classes="lm-box lm-card-group"):
            parts |= self.card.components()
        with gr.Column(elem_classes="lm-box lm-pick-group"):
            parts |= self._picking()
        parts["actions"] = html(
            toolbar.actions((), False), "lm-actions-box", js_on_load=toolbar.ACTIONS_JS, token="", server_functions=[saved]
        )
        with gr.Row(elem_classes="lm-go"):
            parts["forget"] = gr.Button(
                texts.FORGET, variant="primary", size="lg", interactive=False, elem_id="lm-forget", min_width=120, scale=3
            )
            parts["cancel"] = gr.Button(texts.CANCEL, size="lg", interactive=False, elem_id="lm-cancel", min_width=90, scale=1)
        return parts

    def _picking(self) -> Parts:
        """The selection and its preview."""
        parts: Parts = {}
        parts["tray"] = html(markup.tray((), np.zeros((0, 1, 1, 3), np.uint8), ()), "lm-tray-box", js_on_load=REMOVE_JS)
        parts["plan"] = html(markup.plan_empty(texts.PLAN_EMPTY_TITLE, texts.PLAN_EMPTY, 0), "lm-plan-box")
        parts["copies"] = gr.Button(texts.INCLUDE_COPIES, size="sm", visible=False)
        return parts

    # --- selecting ------------------------------------------------------------------------------------------------

    def select(self, token: str | None, rows: list[int]) -> Updates:
        """Take a selection made on the map."""
        visitor = self.context.guest(token)
        if visitor.job or (visitor.story == "result" and not rows):  # the result stays until something is selected
            return {}
        visitor.story = ""
        return self._selected(visitor, rows)

    def remove(self, token: str | None, event: gr.EventData) -> Updates:
        """Take one image out of the selection."""
        visitor = self.context.guest(token)
        row = event._data.get("row") if isinstance(event._data, dict) else None
        return self.reselected(visitor, [r for r in visitor.selection if r != row])

    def clear(self, token: str | None) -> Updates:
        """Select nothing, and show the ways in."""
        return self.reselected(self.context.guest(token), [])

    def way(self, token: str | None, event: gr.EventData) -> Updates:
        """Take one of the ways in: open the sheet to draw on, or select what the way names."""
        visitor = self.lab.ready(self.context.guest(token))
        way = event._data.get("way") if isinstance(event._data, dict) else None
        if visitor.job:
            gr.Info(texts.BUSY)
            return {}
        if way != "teach":
            return self.reselected(visitor, self.ways.rows(visitor, str(way)))
        updates = self.reselected(visitor, [])
        visitor.story = "" if self.lab.shared else "teach"
        return updates | self._at(visitor) | self.teach.opened(visitor)

    def include_copies(self, token: str | None) -> Updates:
        """Add the identical copies that the plan would leave behind."""
        visitor = self.context.guest(token)
        copies = visitor.plan.copies_left if visitor.plan else ()
        return self.reselected(visitor, sorted({*visitor.selection, *self.lab.rows(visitor).of(copies)}))

    def arrived(self, token: str | None) -> Updates:
        """Show the selection as it is, if there is one, from a link or made by a quick visitor while being let in.

        When an event that reports as it goes ends, Gradio shows its last state once more, over whatever has been selected by then.
        """
        visitor = self.lab.find(token)
        return self._shown_again(visitor) if visitor is not None and visitor.selection else {}

    def forgotten(self, token: str | None) -> Updates:
        """As `arrived`, if a quick visitor has made another selection as a request ended."""
        visitor = self.lab.find(token)
        return self._shown_again(visitor) if visitor is not None and visitor.selection != visitor.left else {}

    def present(self, visitor: Visitor, rows: Iterable[int]) -> Updates:
        """Select those of the rows that are still in the model, with a word about the others."""
        wanted = set(rows)
        forgotten = wanted & set(visitor.forgotten)
        if forgotten:
            gr.Info(texts.forgotten_numbers(len(forgotten)))
        return self.reselected(visitor, sorted(wanted - forgotten))

    def reselected(self, visitor: Visitor, rows: list[int]) -> Updates:
        """Select rows and show them on the map as well; while a request runs, nothing changes, and a word says so."""
        if visitor.job:
            gr.Info(texts.BUSY)
            return {}
        visitor.story = ""
        return self._with_map(visitor, self._selected(visitor, rows))

    def planned(self, visitor: Visitor, selection: tuple[int, ...]) -> ForgetPlan | None:
        """Return the plan for a selection; None without a model or a selection."""
        if visitor.model is None or not selection:
            return None
        return visitor.model.plan(self.lab.rows(visitor).ids(selection))

    def _selected(self, visitor: Visitor, rows: list[int]) -> Updates:
        forgotten = set(visitor.forgotten)
        selection = tuple(r for r in rows if r not in forgotten)
        plan = self.planned(visitor, selection)
        visitor.selection, visitor.drawn, visitor.plan = selection, 0, plan  # together: a request may begin while the next is planned
        if self.lab.shared and visitor.model is not None and visitor.shown_root != visitor.model.root:
            return self.everything(visitor)  # somebody else's request has changed the model
        return self._selection(visitor)

    def _selection(self, visitor: Visitor) -> Updates:
        marks = gr.update(marks=self.map.marks(visitor))
        return {**self.show(visitor), "map": marks, **self.context.tabs.changed(visitor, "learn")}

    def _with_map(self, visitor: Visitor, updates: Updates) -> Updates:
        """Return updates with the selection on the map as well, which a visitor who drew it there sees already."""
        return updates | {"map": {**updates["map"], "value": list(visitor.selection)}}

    def _shown_again(self, visitor: Visitor) -> Updates:
        if visitor.job:
            marks = self.map.marks(visitor, working=True)
            return self.locked() | {"cancel": gr.update(interactive=True), "map": gr.update(value=list(visitor.selection), marks=marks)}
        visitor.plan = visitor.plan or self.planned(visitor, visitor.selection)  # none, if the selection came just before the model
        return self._with_map(visitor, self._selection(visitor))

    # --- forgetting -----------------------------------------------------------------------------------------------

    async def forget(self, token: str | None) -> AsyncIterator[Updates]:
        """Carry out the plan that is shown, with progress; the page returns to rest whatever happens."""
        known = self.lab.find(token)
        if known is not None and known.job:  # a second click on the same button
            return
        visitor = self.lab.free(token)
        plan, rows = visitor.plan, visitor.selection
        if plan is None and rows:
            yield self.reselected(visitor, list(rows))
            raise InputError(texts.MODEL_CHANGED)
        if plan is None:
            raise InputError(texts.NOTHING_SELECTED)
        if visitor.study:
            gr.Info(texts.STUDY_ENDED)
        visitor.end_study()
        visitor.story = ""
        work = Work(
            run=lambda send, cancel: carry_out(self.lab, visitor, plan, rows, progress_of(send, self.lab), cancel),
            busy=lambda job: self._busy(visitor, plan, job),
            event=lambda event, job: {"plan": self._working(plan, job, event), **self._lit(visitor, plan, event)},
            done=lambda request: self._done(visitor),
            stopped=lambda error: self._rested(visitor, error),
        )
        job = visitor.begin(self.context.jobs.submit(work.run, lasting=True))  # it goes on when its page is closed
        if self.lab.shared:
            self.lab.request_begun(job)  # pages that open meanwhile wait for it
        async for updates in carry(self.context.jobs, visitor, job, work):
            yield updates

    def cancel(self, token: str | None) -> Updates:
        """Ask what runs to stop."""
        visitor = self.lab.find(token)
        if visitor is not None and visitor.job:
            visitor.job.stop()
            return off("cancel", "stop_result", "stop_proof", "stop_ledger")
        return {}

    def start_over(self, token: str | None) -> Updates:
        """Give the visitor a fresh copy of the base model; raises InputError where forgetting is for good."""
        visitor = self.lab.free(token)
        if self.lab.shared:
            raise InputError(texts.FOR_GOOD)
        visitor.selection = ()
        sheet = {} if self.lab.shared else self.teach.opened(visitor)
        return self.everything(self.lab.reset(visitor)) | sheet

    # --- showing --------------------------------------------------------------------------------------------------

    def show(self, visitor: Visitor) -> Updates:
        """Return the panel at rest."""
        rows, plan = visitor.selection, visitor.plan
        first, known = list(rows[: markup.TRAY_MOST]), self.lab.rows(visitor)
        figures = plan_figures(self.lab, visitor, plan, rows) if plan else None
        taught = texts.forget_taught(figures) if rows and all(row in visitor.taught for row in rows) else None
        return {
            **({} if rows or visitor.story else self.ways.show(visitor)),
            **({} if self.lab.shared else self.teach.show(visitor)),
            **self._at(visitor),
            "tray": markup.tray(rows, known.images(first), [self.map.title(visitor, r) for r in first]),
            "actions": gr.update(value=toolbar.actions(offered(self.lab, visitor), bool(rows)), token=visitor.token),
            "plan": self._preview(visitor, figures),
            "copies": gr.update(visible=bool(plan and plan.copies_left)),
            "forget": gr.update(value=taught or texts.forget_button(len(rows), figures), interactive=plan is not None),
            "cancel": gr.update(interactive=False),
            "clear": gr.update(interactive=bool(rows)),
            "start_over": gr.update(interactive=bool(visitor.requests or visitor.taught), visible=not self.lab.shared),
            "choose": gr.update(interactive=True),
            "draw": gr.update(interactive=True),
        }

    def locked(self) -> Updates:
        """Return the panel while something runs."""
        return off("forget", "clear", "start_over", "choose", "draw") | {"copies": gr.update(visible=False)}

    def _at(self, visitor: Visitor) -> Updates:
        """Say which part of the column the visitor is at; the style sheet shows it alone, and all stay mounted, with a drawing in them."""
        at = visitor.story or ("pick" if visitor.selection or visitor.job else "start")
        return {"at": markup_request.at("taught" if at == "teach" and visitor.selection else at)}

    def _done(self, visitor: Visitor) -> Updates:
        """Return the whole page with the result's card in the request's place."""
        visitor.story = "result"
        return self.everything(visitor) | self.card.show(visitor, fresh=True)

    def _preview(self, visitor: Visitor, figures: dict[str, Any] | None) -> str:
        if visitor.plan and figures:
            return markup.plan(figures, visitor.plan.touched)
        note = texts.PLAN_WAIT if visitor.selection and not visitor.model else texts.PLAN_EMPTY
        return markup.plan_empty(texts.PLAN_EMPTY_TITLE, note, visitor.model.clusters if visitor.model else 0)

    def _busy(self, visitor: Visitor, plan: ForgetPlan, job: Job) -> Updates:
        return {
            **self.locked(),
            **self._at(visitor),
            "plan": self._working(plan, job, Waiting(self.context.jobs.ahead(job))),
            "cancel": gr.update(interactive=True),
            "map": gr.update(marks=self.map.marks(visitor, working=True)),
            **off(*FULL),
        }

    def _working(self, plan: ForgetPlan, job: Job, event: Any) -> str:
        if job.cancel.is_set():
            return markup.work(texts.WORKING, texts.CANCELLING, None, markup.strip(plan.clusters_before, plan.touched, texts.WORKING))
        if isinstance(event, Waiting):
            note, done, share = texts.waiting(event.ahead) if event.ahead else texts.STAGES["evaluate"], 0, None
        else:
            note, done, share = texts.working(event.done, event.total, event.stage), event.done, markup.share_of(event.done, event.total)
        cells = markup.strip(plan.clusters_before, plan.touched, note, done, working=True)
        return markup.work(texts.WORKING, note, share, cells)

    def _lit(self, visitor: Visitor, plan: ForgetPlan, event: Any) -> Updates:
        """Light up on the map each cluster that has been retrained, in order; a large map would take too long."""
        if not isinstance(event, Progress) or event.stage != "train" or self.lab.size > MOST_LIT:
            return {}
        return {"map": gr.update(marks=self.map.marks(visitor, working=True, done=plan.touched[: event.done]))}

    def _rested(self, visitor: Visitor, error: Exception) -> Updates:
        self.lab.find(visitor.token)  # a workspace's model may have changed meanwhile
        visitor.plan = visitor.plan or self.planned(visitor, visitor.selection)
        visitor.left = visitor.selection
        updates = self.show(visitor) | {"map": gr.update(marks=self.map.marks(visitor))}
        if isinstance(error, CancelledError) and visitor.plan:
            figures = plan_figures(self.lab, visitor, visitor.plan, visitor.selection)
            updates["plan"] = markup.notice("cancelled", texts.CANCELLED, texts.plan(figures))
        return updates | {name: gr.update(interactive=True) for name in FULL}
