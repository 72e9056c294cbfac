"""Creates the components and returns them in one bundle by name. No events, no data: `build.py` wires, `handlers.py` fills."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from demo import markup, permalink, receipts_markup, texts, toolbar
from demo.offers import Offers, Pair
from demo.scatter import Scatter

REMOVE_JS = """
element.addEventListener("click", (event) => {
  const button = event.target.closest("[data-remove]");
  if (button) trigger("click", { row: Number(button.dataset.remove) });
});
"""

LESSON_JS = (Path(__file__).parent / "lesson.js").read_text()
THRESHOLD_JS = (Path(__file__).parent / "membership.js").read_text()
FILE_JS = (Path(__file__).parent / "receipts.js").read_text()
OFFLINE_JS = (Path(__file__).parent / "offline.js").read_text()
FETCH_JS = (Path(__file__).parent / "fetch.js").read_text()


@dataclass(frozen=True)
class Facts:
    """What the components must know when they are created."""

    offers: Offers
    pair: Pair  # the page's own data set and preset
    n: int
    points: str
    classes: tuple[str, ...]
    subjects: tuple[str, ...]
    thumbnail: Callable[[dict], dict]
    saved: Callable[[dict], dict]  # the selection's file
    linked: Callable[[dict], dict]  # the selection's part of a permalink
    shared: str = ""  # name of the kept model that the page changes


def page(facts: Facts) -> dict[str, gr.components.Component]:
    """Create the whole page inside the current Blocks; return its components by name."""
    parts: dict[str, gr.components.Component] = {}
    parts["top"] = _html(
        toolbar.top(facts.offers, facts.pair), "lm-top", js_on_load=toolbar.TOP_JS, token="", server_functions=[facts.linked]
    )
    _html(markup.offline(), "lm-offline-box", js_on_load=OFFLINE_JS)
    parts["status"] = _html(markup.status("fitting", texts.STAGES["open"], texts.FIT_NOTE), "lm-status-box")
    with gr.Row(elem_classes="lm-main"):
        with gr.Column(elem_classes="lm-hero", min_width=280):
            parts["map"] = _map(facts)
            with gr.Accordion(texts.CHOOSE, open=False, elem_classes="lm-choose"):
                parts |= _chooser(facts)
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
    parts["tray"] = _html(markup.tray((), (), ()), "lm-tray-box", js_on_load=REMOVE_JS)
    parts["actions"] = _html(
        toolbar.actions((), False), "lm-actions-box", js_on_load=toolbar.ACTIONS_JS, token="", server_functions=[facts.saved]
    )
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
    with gr.Row(elem_classes="lm-pickrows"):
        parts |= _numbers(facts) | _random(facts)
    return parts


def _numbers(facts: Facts) -> dict[str, gr.components.Component]:
    """Choosing by number."""
    parts: dict[str, gr.components.Component] = {}
    with gr.Row(elem_classes="lm-numbers"):
        parts["numbers"] = gr.Textbox(
            label=texts.NUMBERS,
            info=texts.NUMBERS_INFO.format(facts.n - 1),
            placeholder=texts.NUMBERS_HINT,
            max_length=2000,
            min_width=120,
            scale=3,
        )
        parts["choose"] = gr.Button(texts.SELECT, size="md", min_width=110, scale=1, elem_id="lm-choose")
    return parts


def _random(facts: Facts) -> dict[str, gr.components.Component]:
    """Drawing at random: how many, with which seed."""
    parts: dict[str, gr.components.Component] = {}
    with gr.Row(elem_classes="lm-numbers"):
        parts["count"] = gr.Number(
            10, label=texts.RANDOM, info=texts.RANDOM_COUNT, precision=0, minimum=1, maximum=facts.n, min_width=90, elem_id="lm-count"
        )
        parts["seed"] = gr.Number(
            0,
            label=texts.RANDOM_SEED,
            info=texts.RANDOM_INFO,
            precision=0,
            minimum=0,
            maximum=permalink.MOST_SEED,
            min_width=90,
            elem_id="lm-seed",
        )
        parts["draw"] = gr.Button(texts.DRAW, size="md", min_width=76, scale=1, elem_id="lm-draw")
    return parts


def _after() -> dict[str, gr.components.Component]:
    parts: dict[str, gr.components.Component] = {}
    with gr.Tabs(elem_id="lm-tabs", overflow_behavior="wrap"):
        with gr.Tab(texts.TAB_RESULT, elem_classes="lm-pane"):
            parts |= _result()
        with gr.Tab(texts.TAB_METHODS, elem_classes="lm-pane") as parts["methods_tab"]:
            parts |= _methods()
        with gr.Tab(texts.TAB_PROOF, elem_classes="lm-pane"):
            _static(markup.lead(texts.LEAD_PROOF))
            parts["proof"] = _html(markup.empty(texts.EMPTY_PROOF))
            parts |= _full("proof")
            parts |= _audit()
            parts |= _residue()
        with gr.Tab(texts.TAB_CLUSTERS, elem_classes="lm-pane"):
            _static(markup.lead(texts.LEAD_CLUSTERS))
            parts["sizes"] = gr.Plot(show_label=False, visible=False, elem_classes="lm-plot")
            parts |= _prompts()
            parts["clusters"] = _html(markup.empty(texts.EMPTY_CLUSTERS))
        with gr.Tab(texts.TAB_LEDGER, elem_classes="lm-pane"):
            parts |= _ledger()
        with gr.Tab(texts.TAB_HOW, elem_classes="lm-pane"):
            _static(markup.lead(texts.LEAD_HOW))
            parts["how"] = _html(markup.how(1, (), ""))
        with gr.Tab(texts.TAB_LESSON, elem_classes="lm-pane"):
            _static(markup.lead(texts.LEAD_LESSON))
            parts["lesson"] = _html(markup.lesson(texts.lesson(0, 0, None)), js_on_load=LESSON_JS)
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
    parts["odds"] = _html()
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


def _residue() -> dict[str, gr.components.Component]:
    parts: dict[str, gr.components.Component] = {}
    with gr.Column(visible=False, elem_classes="lm-section") as parts["residue_row"]:
        _static(f'<div class="lm-part"><h2>{texts.RESIDUE_TITLE}</h2>{markup.lead(texts.LEAD_RESIDUE)}</div>')
        with gr.Row(elem_classes="lm-full"):
            parts["residue_run"] = gr.Button(texts.RUN_RESIDUE, interactive=False, min_width=220, scale=0, elem_id="lm-run-residue")
            parts["residue_note"] = _html(markup.note(texts.RESIDUE_INFO), "lm-note")
        parts["residue"] = _html(elem_id="lm-residue")
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
        parts[f"{name}_run"] = gr.Button(words, variant="secondary", interactive=False, min_width=250, scale=0, elem_id=f"lm-run-{name}")
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
