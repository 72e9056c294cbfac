"""`build_demo`: the only place where components meet handlers."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path

import gradio as gr
from gradio.events import Dependency

from core.errors import LMEraserError
from demo import panels, texts
from demo.api import Api, publish
from demo.handlers import SELECTION_PARTS, Handlers
from demo.jobs import Jobs
from demo.offers import Offers
from demo.request_report import RequestReport
from demo.selecting import Selecting
from demo.session import Lab
from demo.theme import theme

STYLE = Path(__file__).parent / "style.css"
MOST_UPLOADED = 8 << 20  # bytes that Gradio's own upload takes; the page itself uploads nothing larger


def build_demo(*labs: Lab, jobs: Jobs | None = None) -> gr.Blocks:
    """Return the site: one page for each lab, the first at home. A lab's fit starts when its page is first visited.

    Raises InputError when there is no lab, or when two would share a page.
    """
    gr.set_static_paths([lab.public for lab in labs])
    offers, jobs = Offers(tuple(lab.engine.pair for lab in labs)), jobs or Jobs()
    all_handlers = [Handlers(lab, jobs, offers) for lab in labs]
    with gr.Blocks(title=texts.TITLE, analytics_enabled=False, delete_cache=(3600, 86_400), fill_width=True) as demo:
        publish(Api(*all_handlers))  # first: the page's own events must not take the public names
        _page(demo, all_handlers[0], offers)
    for handlers in all_handlers[1:]:
        pair = handlers.lab.engine.pair
        with demo.route(" · ".join(pair), offers.path(pair)):
            _page(demo, handlers, offers)
    return demo


def launch_options() -> dict:
    """Return what the page's looks need from `launch`."""
    return {"theme": theme(), "css_paths": [STYLE], "footer_links": [], "max_file_size": MOST_UPLOADED}


def _page(demo: gr.Blocks, handlers: Handlers, offers: Offers) -> None:
    lab, selecting = handlers.lab, Selecting(handlers)
    facts = panels.Facts(
        offers,
        lab.engine.pair,
        len(lab.samples),
        str(lab.points or ""),
        lab.samples.classes,
        tuple(sorted(set(lab.samples.subjects or ()))),
        _plain(handlers.thumbnail, "thumbnail"),
        _plain(selecting.saved, "saved"),
        _plain(selecting.linked, "linked"),
        lab.shared,
    )
    visitor = gr.State(None, delete_callback=_plain(lab.leave, "leave"))
    parts = {"visitor": visitor, **panels.page(facts)}
    _wire(demo, handlers, parts)
    _wire_selecting(selecting, parts)


def _wire(demo: gr.Blocks, handlers: Handlers, parts: dict) -> None:
    on = functools.partial(_on, outputs=list(parts.values()), parts=parts)
    visitor, pick = parts["visitor"], functools.partial(_on, outputs=_selection_outputs(handlers.lab, parts), parts=parts)
    arrived = on(demo.load, handlers.arrive, [], concurrency_limit=None)
    pick(arrived.then, handlers.arrived, [visitor])
    demo.unload(handlers.depart)
    pick(parts["map"].select, handlers.select, [visitor, parts["map"]], trigger_mode="always_last", concurrency_limit=8)
    pick(parts["tray"].click, handlers.remove, [visitor])
    pick(parts["clear"].click, handlers.clear, [visitor])
    pick(parts["copies"].click, handlers.include_copies, [visitor])
    chosen = [visitor, parts["classes"], parts["subject"], parts["numbers"]]
    pick(parts["choose"].click, handlers.choose, chosen)
    pick(parts["numbers"].submit, handlers.choose, chosen)
    forgotten = on(parts["forget"].click, handlers.forget, [visitor], concurrency_limit=None, trigger_mode="multiple")
    pick(forgotten.then, handlers.forgotten, [visitor])
    shown_later = [parts["map"], parts["odds"]]
    _on(forgotten.success, handlers.recolor, [visitor], shown_later, parts, concurrency_limit=None, trigger_mode="multiple")
    for tab in ("result", "proof"):
        on(parts[f"full_{tab}"].click, handlers.full, [visitor], concurrency_limit=None)
    on(parts["check"].click, handlers.receipts.check, [visitor], concurrency_limit=None)
    on(parts["replay"].click, handlers.receipts.replay, [visitor], concurrency_limit=None)
    on(parts["file"].click, handlers.receipts.check_file, [visitor], concurrency_limit=4)
    made = on(parts["report"].click, RequestReport(handlers).make, [visitor], concurrency_limit=2)
    made.success(None, js=panels.FETCH_JS, api_visibility="private")
    _wire_studies(on, handlers, parts)
    for name in ("cancel", "stop_result", "stop_proof", "stop_ledger"):
        on(parts[name].click, handlers.cancel, [visitor], concurrency_limit=None)
    on(parts["start_over"].click, handlers.start_over, [visitor])


def _selection_outputs(lab: Lab, parts: dict) -> list:
    """Return what a new selection changes: few components, so that the preview comes quickly. A kept model may have changed as well."""
    return list(parts.values()) if lab.shared else [parts[name] for name in SELECTION_PARTS]


def _wire_selecting(selecting: Selecting, parts: dict) -> None:
    on = functools.partial(_on, outputs=_selection_outputs(selecting.lab, parts), parts=parts)
    visitor = parts["visitor"]
    on(parts["top"].click, selecting.too_long, [visitor])
    on(parts["actions"].click, selecting.add, [visitor])
    on(parts["actions"].upload, selecting.opened, [visitor])
    for event in (parts["draw"].click, parts["count"].submit, parts["seed"].submit):
        on(event, selecting.draw, [visitor, parts["count"], parts["seed"]])


def _wire_studies(on: Callable, handlers: Handlers, parts: dict) -> None:
    visitor, comparisons, membership = parts["visitor"], handlers.comparisons, handlers.membership
    on(parts["methods_run"].click, comparisons.run, [visitor, parts["methods_pick"]], concurrency_limit=None)
    on(parts["methods_stop"].click, comparisons.stop, [visitor], concurrency_limit=None)
    reach = functools.partial(_on, outputs=[parts["reach"], parts["reach_chart"]], parts=parts)
    reach(parts["methods_tab"].select, comparisons.opened, [visitor])
    reach(parts["tray"].change, comparisons.follow, [visitor], trigger_mode="always_last")
    on(parts["audit_run"].click, membership.run, [visitor], concurrency_limit=None)
    on(parts["audit_stop"].click, membership.stop, [visitor], concurrency_limit=None)
    on(parts["residue_run"].click, handlers.leftovers.run, [visitor], concurrency_limit=None)
    on(parts["cluster_pick"].input, handlers.pictures.choose, [visitor, parts["cluster_pick"]])


def _on(event: Callable, handler: Callable, inputs: list, outputs: list, parts: dict, **kwargs) -> Dependency:
    return event(_wired(handler, parts), inputs, outputs, show_progress="hidden", api_visibility="private", **kwargs)


def _wired(handler: Callable, parts: dict) -> Callable:
    """Return the handler for Gradio: names become components, the engine's own errors become `gr.Error`."""
    named = lambda updates: {parts[name]: value for name, value in updates.items()} or gr.skip()  # noqa: E731

    @functools.wraps(handler)
    async def generating(*args):
        silent = True
        try:
            async for updates in handler(*args):
                silent = False
                yield named(updates)
            if silent:  # Gradio would empty all outputs of an event that says nothing
                yield gr.skip()
        except LMEraserError as error:
            raise _shown(error) from error

    @functools.wraps(handler)
    def returning(*args):
        try:
            return named(handler(*args))
        except LMEraserError as error:
            raise _shown(error) from error

    return generating if inspect.isasyncgenfunction(handler) else returning


def _plain(method: Callable, name: str) -> Callable:
    """Return a function for a method. Gradio deep-copies what components were made with: a method would bring its object along,
    worker processes and all; a function is left alone. Server functions also need an attribute that methods cannot carry."""

    def call(value):
        return method(value)

    call.__name__ = name
    return call


def _shown(error: LMEraserError) -> gr.Error:
    return gr.Error(str(error), title=texts.ERROR_TITLE, duration=10, print_exception=False)
