"""Creates the components and returns them in one bundle by name. No events, no data: `build.py` wires, `handlers.py` fills."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from demo import markup, texts
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
THRESHOLD_JS = (Path(__file__).parent / "membership.js").read_text()
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
        with gr.Tab(texts.TAB_METHODS, elem_classes="lm-pane") as parts["methods_tab"]:
            parts |= _methods()
        with gr.Tab(texts.TAB_PROOF, elem_classes="lm-pane"):
            _static(markup.lead(texts.LEAD_PROOF))
            parts["proof"] = _html(markup.empty(texts.EMPTY_PROOF))
            parts |= _full("proof")
            parts |= _audit()
        with gr.Tab(texts.TAB_CLUSTERS, elem_classes="lm-pane"):
            _static(markup.lead(texts.LEAD_CLUSTERS))
            parts["sizes"] = gr.Plot(show_label=False, visible=False, elem_classes="lm-plot")
            parts |= _prompts()
            parts["clusters"] = _html(markup.empty(texts.EMPTY_CLUSTERS))
        with gr.Tab(texts.TAB_LEDGER, elem_classes="lm-pane"):
            _static(markup.lead(texts.LEAD_LEDGER))
            parts["ledger"] = _html(markup.empty(texts.EMPTY_LEDGER))
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
    parts["odds"] = _html()
    return parts | _full("result")


def _methods() -> dict[str, gr.components.Component]:
    parts: dict[str, gr.components.Component] = {}
    _static(markup.lead(texts.LEAD_METHODS))
    choices = [(title, name) for name, (title, _) in texts.METHODS.items() if name != "LMEraser"]
    parts["methods_pick"] = gr.CheckboxGroup(
        choices, value=list(texts.METHODS_CHOSEN), label=texts.METHODS_PICK, elem_classes="lm-classes", elem_id="lm-methods"
    )
    parts |= _runner("methods", texts.RUN_COMPARISON, texts.COMPARE_NONE)
    parts["methods_table"] = _html(markup.empty(texts.EMPTY_METHODS), elem_id="lm-compared")
    parts["methods_chart"] = gr.Plot(show_label=False, visible=False, elem_classes="lm-plot")
    _static(f'<div class="lm-part"><h2>{texts.REACH_TITLE}</h2>{markup.lead(texts.LEAD_REACH)}</div>')
    parts["reach"] = _html(markup.empty(texts.EMPTY_REACH), elem_id="lm-reach")
    parts["reach_chart"] = gr.Plot(show_label=False, visible=False, elem_classes="lm-plot")
    return parts


def _audit() -> dict[str, gr.components.Component]:
    parts: dict[str, gr.components.Component] = {}
    with gr.Column(visible=False, elem_classes="lm-section") as parts["audit_row"]:
        _static(f'<div class="lm-part"><h2>{texts.AUDIT_TITLE}</h2>{markup.lead(texts.LEAD_AUDIT)}</div>')
        parts |= _runner("audit", texts.RUN_AUDIT, texts.AUDIT_INFO)
        parts["audit"] = _html(js_on_load=THRESHOLD_JS, elem_id="lm-audit")
    return parts


def _prompts() -> dict[str, gr.components.Component]:
    parts: dict[str, gr.components.Component] = {"portraits": _html()}
    parts["cluster_pick"] = gr.Dropdown([], label=texts.CLUSTER_PICK, visible=False, elem_classes="lm-pick-cluster")
    parts["portrait"] = _html(elem_id="lm-portrait")
    return parts


def _runner(name: str, words: str, info: str) -> dict[str, gr.components.Component]:
    """A button that starts something long, one that stops it, and how far it is."""
    parts: dict[str, gr.components.Component] = {}
    with gr.Row(elem_classes="lm-full"):
        parts[f"{name}_run"] = gr.Button(words, variant="secondary", interactive=False, min_width=220, scale=0, elem_id=f"lm-run-{name}")
        parts[f"{name}_stop"] = gr.Button(texts.STOP, interactive=False, min_width=80, scale=0, elem_id=f"lm-stop-{name}")
        parts[f"{name}_note"] = _html(markup.note(info), "lm-note")
    return parts


def _full(tab: str) -> dict[str, gr.components.Component]:
    """The button that runs full retraining, with its progress; the same on two tabs."""
    parts: dict[str, gr.components.Component] = {}
    with gr.Row(elem_classes="lm-full", visible=False) as row:
        parts[f"full_{tab}"] = gr.Button(texts.RUN_FULL, variant="secondary", min_width=220, scale=0, elem_id=f"lm-full-{tab}")
        parts[f"stop_{tab}"] = gr.Button(texts.STOP_FULL, interactive=False, min_width=80, scale=0)
        parts[f"note_{tab}"] = _html(f'<p class="lm-sub">{texts.RUN_FULL_INFO}</p>', "lm-note")
    return parts | {f"row_{tab}": row}
