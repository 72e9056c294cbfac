"""Creates the components and returns them in one bundle by name. No events, no data: `build.py` wires, `handlers.py` fills."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from demo import markup, permalink, texts, toolbar
from demo.offers import Offers, Pair
from demo.scatter import Scatter

REMOVE_JS = """
element.addEventListener("click", (event) => {
  const button = event.target.closest("[data-remove]");
  if (button) trigger("click", { row: Number(button.dataset.remove) });
});
"""

LESSON_JS = (Path(__file__).parent / "lesson.js").read_text()


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


def page(facts: Facts) -> dict[str, gr.components.Component]:
    """Create the whole page inside the current Blocks; return its components by name."""
    parts: dict[str, gr.components.Component] = {}
    parts["top"] = _html(
        toolbar.top(facts.offers, facts.pair), "lm-top", js_on_load=toolbar.TOP_JS, token="", server_functions=[facts.linked]
    )
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
        with gr.Tab(texts.TAB_PROOF, elem_classes="lm-pane"):
            _static(markup.lead(texts.LEAD_PROOF))
            parts["proof"] = _html(markup.empty(texts.EMPTY_PROOF))
            parts |= _full("proof")
        with gr.Tab(texts.TAB_CLUSTERS, elem_classes="lm-pane"):
            _static(markup.lead(texts.LEAD_CLUSTERS))
            parts["sizes"] = gr.Plot(show_label=False, visible=False, elem_classes="lm-plot")
            parts["clusters"] = _html(markup.empty(texts.EMPTY_CLUSTERS))
        with gr.Tab(texts.TAB_LEDGER, elem_classes="lm-pane"):
            _static(markup.lead(texts.LEAD_LEDGER))
            parts["ledger"] = _html(markup.empty(texts.EMPTY_LEDGER))
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
    return parts | _full("result")


def _full(tab: str) -> dict[str, gr.components.Component]:
    """The button that runs full retraining, with its progress; the same on two tabs."""
    parts: dict[str, gr.components.Component] = {}
    with gr.Row(elem_classes="lm-full", visible=False) as row:
        parts[f"full_{tab}"] = gr.Button(texts.RUN_FULL, variant="secondary", min_width=220, scale=0, elem_id=f"lm-full-{tab}")
        parts[f"stop_{tab}"] = gr.Button(texts.STOP_FULL, interactive=False, min_width=80, scale=0)
        parts[f"note_{tab}"] = _html(f'<p class="lm-sub">{texts.RUN_FULL_INFO}</p>', "lm-note")
    return parts | {f"row_{tab}": row}
