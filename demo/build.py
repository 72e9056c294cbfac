"""`build_demo`: the only place where components meet events."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable

import gradio as gr
from gradio.events import Dependency

from core.errors import LMEraserError
from demo import texts
from demo.api import Api, publish
from demo.panels.common import FIRST, STATIC, Parts
from demo.request.panel import CHANGED
from demo.session.available import Offers
from demo.session.jobs import Jobs
from demo.session.lab import Lab
from demo.tabs.page import Calls, Page
from demo.view.theme import theme

FETCH_JS = (STATIC / "fetch.js").read_text()
STYLE, REQUEST_STYLE = STATIC / "style.css", STATIC / "request.css"
KEPT = ("visitor", "tab", "kept", "top", "sheet", "said", "more", "seed")  # what no proof changes
MOST_UPLOADED = 8 << 20  # bytes that Gradio's own upload takes; the page itself uploads nothing larger


def build_demo(*labs: Lab, jobs: Jobs | None = None, own: str = "", back: bool = False) -> gr.Blocks:
    """Return the site: one page for each lab, the first at home. A lab's fit starts when its page is first visited.

    own, back: see `Offers`. Raises InputError when there is no lab, or when two would share a page.
    """
    gr.set_static_paths([lab.public for lab in labs])
    offers, jobs = Offers(tuple(lab.engine.pair for lab in labs), own, back), jobs or Jobs()
    pages = [Page(lab, jobs, offers) for lab in labs]
    with gr.Blocks(title=texts.TITLE, analytics_enabled=False, delete_cache=(3600, 86_400), fill_width=True) as demo:
        publish(Api(*pages))  # first: the page's own events must not take the public names
        _wire(demo, pages[0], _components(pages[0]))
    for page in pages[1:]:
        pair = page.lab.engine.pair
        with demo.route(" · ".join(pair), offers.path(pair)):
            _wire(demo, page, _components(page))
    return demo


def launch_options() -> dict:
    """Return what the page's looks need from `launch`."""
    return {"theme": theme(), "css_paths": [STYLE, REQUEST_STYLE], "footer_links": [], "max_file_size": MOST_UPLOADED}


def _components(page: Page) -> Parts:
    calls = Calls(_plain(page.map.thumbnail, "thumbnail"), _plain(page.selecting.saved, "saved"), _plain(page.selecting.linked, "linked"))
    visitor = gr.State(None, delete_callback=_plain(page.lab.leave, "leave"))
    # The token is random; a fixed key lets the page after a restart say what was lost.
    kept = gr.BrowserState({}, storage_key=f"lmeraser-{'-'.join(page.lab.engine.pair)}", secret="lmeraser")
    return {"visitor": visitor, "kept": kept, "tab": gr.State(FIRST), **page.components(calls)}


def _wire(demo: gr.Blocks, page: Page, parts: Parts) -> None:
    chooser = parts.pop("chooser")  # no event changes it
    on = functools.partial(_on, outputs=list(parts.values()), parts=parts)
    pick = functools.partial(_on, outputs=_selection_outputs(page.lab, parts), parts=parts)
    visitor, tab = parts["visitor"], parts["tab"]
    long = functools.partial(_long, on, page, [visitor, tab])  # events that report as they go
    arrived = on(demo.load, page.arrive, [parts["kept"]], concurrency_limit=None)
    shown = on(arrived.then, page.arrived, [visitor, tab])
    on(shown.then, page.request.ways.look, [visitor], concurrency_limit=None)
    long(shown.then, page.proof.examined, [visitor])
    demo.unload(page.depart)
    _wire_selecting(pick, page, parts)
    _wire_start(on, pick, page, parts)
    forgotten = on(parts["forget"].click, page.request.forget, [visitor], concurrency_limit=None, trigger_mode="multiple")
    on(forgotten.then, page.forgotten, [visitor, tab])
    _on(forgotten.success, page.map.recolor, [visitor], [parts["map"]], parts, concurrency_limit=None, trigger_mode="multiple")
    # Its end shows its last state again, which must not lie over what has been selected meanwhile.
    beside = [part for name, part in parts.items() if name not in (*CHANGED, *KEPT)]
    proved = _on(forgotten.success, page.request.card.prove, [visitor], beside, parts, concurrency_limit=None, trigger_mode="multiple")
    on(proved.then, page.proved, [visitor, tab], concurrency_limit=None)
    if page.selecting.people:
        for event in (chooser.expand, forgotten.then):
            _on(event, page.selecting.people.look, [visitor], [parts["people"]], parts, concurrency_limit=None)
    long(parts["prove"].click, page.proof.full, [visitor])
    for button in ("full_result", "full_proof"):
        long(parts[button].click, page.proof.full, [visitor])
    long(parts["check"].click, page.ledger.check, [visitor])
    long(parts["replay"].click, page.ledger.replay, [visitor])
    on(parts["file"].click, page.ledger.check_file, [visitor], concurrency_limit=4)
    made = on(parts["report"].click, page.result.make_report, [visitor], concurrency_limit=2)
    made.success(None, js=FETCH_JS, api_visibility="private")
    exported = on(parts["take_home"].click, page.result.make_export, [visitor], concurrency_limit=2)
    exported.success(None, js=FETCH_JS, api_visibility="private")
    for button in ("cancel", "stop_result", "stop_proof", "stop_ledger"):
        on(parts[button].click, page.request.cancel, [visitor], concurrency_limit=None)
    on(parts["start_over"].click, page.request.start_over, [visitor])
    _wire_studies(on, page, parts)
    for name in page.tabs:
        on(parts[f"{name}_tab"].select, functools.partial(page.opened, name), [visitor], concurrency_limit=None)


def _long(on: Callable, page: Page, inputs: list, event: Callable, handler: Callable, given: list) -> None:
    """Wire an event that reports as it goes, and what follows its end."""
    ended = on(event, handler, given, concurrency_limit=None)
    on(ended.then, page.settled, inputs, concurrency_limit=None)


def _wire_start(on: Callable, pick: Callable, page: Page, parts: Parts) -> None:
    visitor, request = parts["visitor"], page.request
    on(parts["ways"].click, request.way, [visitor])
    pick(parts["more"].click, request.clear, [visitor])
    if page.lab.shared:
        return
    pick(parts["teach_back"].click, request.clear, [visitor])
    on(parts["ask"].click, request.teach.ask, [visitor, parts["sheet"]], concurrency_limit=4)
    on(parts["teach"].click, request.teach.teach, [visitor, parts["sheet"], parts["teach_label"]], concurrency_limit=None)


def _selection_outputs(lab: Lab, parts: Parts) -> list:
    """Return what a new selection changes. A workspace's model may have changed as well."""
    return list(parts.values()) if lab.shared else [parts[name] for name in CHANGED]


def _wire_selecting(pick: Callable, page: Page, parts: Parts) -> None:
    visitor, request, selecting = parts["visitor"], page.request, page.selecting
    pick(parts["map"].select, request.select, [visitor, parts["map"]], trigger_mode="always_last", concurrency_limit=8)
    pick(parts["tray"].click, request.remove, [visitor])
    pick(parts["clear"].click, request.clear, [visitor])
    pick(parts["copies"].click, request.include_copies, [visitor])
    chosen = [visitor, parts["classes"], parts["subject"], parts["numbers"]]
    for event in (parts["choose"].click, parts["numbers"].submit):
        pick(event, selecting.choose, chosen)
    pick(parts["top"].click, selecting.too_long, [visitor])
    pick(parts["actions"].click, selecting.add, [visitor])
    pick(parts["actions"].upload, selecting.opened, [visitor])
    if page.selecting.people:
        pick(parts["people"].click, page.selecting.people.choose, [visitor])
    for event in (parts["draw"].click, parts["count"].submit, parts["seed"].submit):
        pick(event, selecting.draw, [visitor, parts["count"], parts["seed"]])


def _wire_studies(on: Callable, page: Page, parts: Parts) -> None:
    visitor, compare, membership = parts["visitor"], page.compare, page.proof.membership
    long = functools.partial(_long, on, page, [visitor, parts["tab"]])
    long(parts["compare_run"].click, compare.run, [visitor, parts["compare_pick"]])
    on(parts["compare_stop"].click, compare.stop, [visitor], concurrency_limit=None)
    long(parts["capacity_run"].click, compare.capacity.run, [visitor])
    on(parts["capacity_stop"].click, compare.capacity.stop, [visitor], concurrency_limit=None)
    reach = [parts[name] for name in ("reach", "reach_chart", "compare_body")]
    _on(parts["tray"].change, compare.follow, [visitor], reach, parts, trigger_mode="always_last")
    long(parts["audit_run"].click, membership.run, [visitor])
    on(parts["audit_stop"].click, membership.stop, [visitor], concurrency_limit=None)
    long(parts["residue_run"].click, page.proof.residue.run, [visitor])
    on(parts["cluster_pick"].input, page.clusters.choose, [visitor, parts["cluster_pick"]])


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
