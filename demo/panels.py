"""Creates the components and returns them in one bundle by name. No events, no data: `build.py` wires, `handlers.py` fills."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import gradio as gr

from demo import markup, receipts_markup, texts
from demo.scatter import Scatter

REMOVE_JS = """
element.addEventListener("click", (event) => {
  const button = event.target.closest("[data-remove]");
  if (button) trigger("click", { row: Number(button.dataset.remove) });
});
"""

PRINT_JS = """
element.addEventListener("click", (event) => { if (event.target.closest("[data-print]")) window.print(); });
"""
LINK_JS = """
element.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-link]");
  if (!button) return;
  const address = new URL(location.href);
  address.searchParams.set("select", button.dataset.link);
  history.replaceState(null, "", address);
  try { await navigator.clipboard.writeText(address); } catch (error) { return; }
  button.textContent = button.dataset.copied;
});
"""
FILE_JS = """
element.addEventListener("change", async (event) => {
  const input = event.target.closest("[data-receipts]"), file = input && input.files[0];
  if (!file) return;
  const text = file.size > Number(input.dataset.most) ? "" : await file.text();
  trigger("click", { size: file.size, text });
  input.value = "";
});
"""
FETCH_JS = """
() => setTimeout(() => document.querySelector("#lm-report-file").click(), 150)
"""  # after the hidden button has been given the file's address
HIDE_JS = """
() => {
  const hidden = new URLSearchParams(location.search).get("hide") || "";
  for (const part of hidden.split(",")) if (/^[a-z]+$/.test(part)) document.body.classList.add("lm-hide-" + part);
}
"""


@dataclass(frozen=True)
class Facts:
    """What the components must know when they are created."""

    engine: str
    n: int
    points: str
    classes: tuple[str, ...]
    subjects: tuple[str, ...]
    thumbnail: Callable[[dict], dict]
    shared: str = ""  # name of the kept model that the page changes


def page(facts: Facts) -> dict[str, gr.components.Component]:
    """Create the whole page inside the current Blocks; return its components by name."""
    parts: dict[str, gr.components.Component] = {}
    with gr.Row(elem_classes="lm-top"):
        _static(markup.brand(facts.engine))
    parts["status"] = _html(markup.status("fitting", texts.STAGES["open"], texts.FIT_NOTE), "lm-status-box")
    with gr.Row(elem_classes="lm-main"):
        with gr.Column(elem_classes="lm-hero", min_width=280):
            parts["map"] = _map(facts)
        with gr.Column(elem_classes="lm-request", min_width=280):
            parts |= _request(facts)
    with gr.Column(elem_classes="lm-after"):
        parts |= _after()
    return parts


def _html(value: str = "", classes: str = "", **kwargs) -> gr.HTML:
    return gr.HTML(value, elem_classes=classes, js_on_load=kwargs.pop("js_on_load", None), apply_default_css=False, **kwargs)


def _static(value: str) -> gr.HTML:
    return _html(value)


def _map(facts: Facts) -> Scatter:
    return Scatter(n=facts.n, points=facts.points, texts=texts.MAP, thumbnail=facts.thumbnail, elem_id="lm-map", elem_classes="lm-map-box")


def _request(facts: Facts) -> dict[str, gr.components.Component]:
    parts: dict[str, gr.components.Component] = {}
    with gr.Row(elem_classes="lm-title"):
        _static(f"<h2>{texts.REQUEST_TITLE}</h2>")
        parts["clear"] = gr.Button(texts.CLEAR, size="sm", variant="secondary", interactive=False, min_width=64, scale=0)
        parts["start_over"] = gr.Button(texts.START_OVER, size="sm", interactive=False, min_width=92, scale=0)
    if facts.shared:
        _html(markup.note(texts.kept(facts.shared)), "lm-kept")
    parts["tray"] = _html(markup.tray((), (), ()), "lm-tray-box", js_on_load=REMOVE_JS + LINK_JS)
    with gr.Accordion(texts.CHOOSE, open=False, elem_classes="lm-choose"):
        parts |= _chooser(facts)
    parts["plan"] = _html(markup.plan_empty(texts.PLAN_EMPTY_TITLE, texts.PLAN_EMPTY, 0), "lm-plan-box")
    parts["copies"] = gr.Button(texts.INCLUDE_COPIES, size="sm", visible=False)
    with gr.Row(elem_classes="lm-go"):
        parts["forget"] = gr.Button(
            texts.FORGET, variant="primary", size="lg", interactive=False, elem_id="lm-forget", min_width=120, scale=3
        )
        parts["cancel"] = gr.Button(texts.CANCEL, size="lg", interactive=False, elem_id="lm-cancel", min_width=90, scale=1)
    return parts


def _chooser(facts: Facts) -> dict[str, gr.components.Component]:
    parts: dict[str, gr.components.Component] = {}
    parts["classes"] = gr.CheckboxGroup([(name, i) for i, name in enumerate(facts.classes)], label=texts.CLASSES, elem_classes="lm-classes")
    parts["subject"] = gr.Dropdown(list(facts.subjects), label=texts.SUBJECT, value=None, visible=bool(facts.subjects))
    with gr.Row(elem_classes="lm-numbers"):
        parts["numbers"] = gr.Textbox(
            label=texts.NUMBERS,
            info=texts.NUMBERS_INFO.format(facts.n - 1),
            placeholder=texts.NUMBERS_HINT,
            max_length=2000,
            min_width=120,
            scale=3,
        )
        parts["choose"] = gr.Button(texts.SELECT, size="md", min_width=128, scale=1, elem_id="lm-choose")
    return parts


def _after() -> dict[str, gr.components.Component]:
    parts: dict[str, gr.components.Component] = {}
    with gr.Tabs(elem_id="lm-tabs"):
        with gr.Tab(texts.TAB_RESULT, elem_classes="lm-pane"):
            parts |= _result()
        with gr.Tab(texts.TAB_PROOF, elem_classes="lm-pane"):
            _static(markup.lead(texts.LEAD_PROOF))
            parts["proof"] = _html(markup.empty(texts.EMPTY_PROOF))
            parts |= _full("proof")
        with gr.Tab(texts.TAB_CLUSTERS, elem_classes="lm-pane"):
            _static(markup.lead(texts.LEAD_CLUSTERS))
            parts["sizes"] = gr.Plot(show_label=False, visible=False, elem_classes="lm-plot")
            parts["clusters"] = _html(markup.empty(texts.EMPTY_CLUSTERS))
        with gr.Tab(texts.TAB_LEDGER, elem_classes="lm-pane"):
            parts |= _ledger()
        with gr.Tab(texts.TAB_HOW, elem_classes="lm-pane"):
            _static(markup.lead(texts.LEAD_HOW))
            parts["how"] = _html(markup.how(1, (), ""))
        with gr.Tab(texts.TAB_LESSON, elem_classes="lm-pane"):
            _static(markup.lead(texts.LEAD_LESSON))
            parts["lesson"] = _html(markup.lesson(texts.lesson(0, 0, None)), js_on_load=PRINT_JS)
    return parts


def _result() -> dict[str, gr.components.Component]:
    _static(markup.lead(texts.LEAD_RESULT))
    parts: dict[str, gr.components.Component] = {"result": _html(markup.empty(texts.EMPTY_RESULT), elem_id="lm-result")}
    with gr.Row(elem_classes="lm-charts"):
        parts["times"] = gr.Plot(show_label=False, visible=False, elem_classes="lm-plot")
        parts["changes"] = gr.Plot(show_label=False, visible=False, elem_classes="lm-plot")
    with gr.Row(elem_classes="lm-report"):
        parts["report"] = gr.Button(texts.REPORT, size="md", min_width=170, scale=0, visible=False, elem_id="lm-report")
        parts["report_file"] = gr.DownloadButton(visible="hidden", elem_id="lm-report-file")
    return parts | _full("result")


def _ledger() -> dict[str, gr.components.Component]:
    """Requests and receipts, the checks of them, and the place where a receipt file is examined."""
    _static(markup.lead(texts.LEAD_LEDGER))
    parts: dict[str, gr.components.Component] = {"ledger": _html(markup.empty(texts.EMPTY_LEDGER), elem_id="lm-ledger")}
    with gr.Row(elem_classes="lm-full", visible=False) as row:
        parts["check"] = gr.Button(texts.CHECK, min_width=190, scale=0, elem_id="lm-check")
        parts["replay"] = gr.Button(texts.replay_button(None), min_width=210, scale=0, elem_id="lm-replay")
        parts["stop_ledger"] = gr.Button(texts.STOP_CHECK, interactive=False, min_width=80, scale=0)
        _html(markup.note(texts.CHECK_INFO), "lm-note")
    parts["checked"] = _html("", elem_id="lm-checked")
    parts["file"] = _html(receipts_markup.file_picker(), "lm-file-box", js_on_load=FILE_JS)
    parts["examined"] = _html("", elem_id="lm-examined")
    return parts | {"row_ledger": row}


def _full(tab: str) -> dict[str, gr.components.Component]:
    """The button that runs full retraining, with its progress; the same on two tabs."""
    parts: dict[str, gr.components.Component] = {}
    with gr.Row(elem_classes="lm-full", visible=False) as row:
        parts[f"full_{tab}"] = gr.Button(texts.RUN_FULL, variant="secondary", min_width=220, scale=0, elem_id=f"lm-full-{tab}")
        parts[f"stop_{tab}"] = gr.Button(texts.STOP_FULL, interactive=False, min_width=80, scale=0)
        parts[f"note_{tab}"] = _html(f'<p class="lm-sub">{texts.RUN_FULL_INFO}</p>', "lm-note")
    return parts | {f"row_{tab}": row}
