"""More ways to select than drawing on the map: by likeness, by group, at random, from a file; and the selection as link and file.

`demo.session.suggestions` computes what could be added, `view.toolbar` writes the HTML.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr
import numpy as np

from core.data.selection import select
from core.errors import InputError
from demo import texts
from demo.panels.common import Parts, Updates, html
from demo.request.panel import RequestPanel
from demo.selection import permalink, selection_file
from demo.selection.numbers import parse_numbers, ranges
from demo.session.suggestions import addable
from demo.session.visitor import Visitor
from demo.tabs.people import People
from demo.view import toolbar


class Selecting:
    """The top bar, the chooser under the map, and the small actions beside the selection, for one lab."""

    def __init__(self, request: RequestPanel):
        self.request, self.context, self.lab = request, request.context, request.lab
        self.people = People(request)

    def top(self, linked: Any) -> Parts:
        """Create the top bar; `linked` is the function behind the permalink."""
        value = toolbar.top(self.context.offers, self.lab.engine.pair)
        return {"top": html(value, "lm-top", js_on_load=toolbar.TOP_JS, token="", server_functions=[linked])}

    def components(self) -> Parts:
        """Create the chooser."""
        samples = self.lab.samples
        parts: Parts = {}
        classes = [(name, i) for i, name in enumerate(samples.classes)]
        with gr.Accordion(texts.CHOOSE, open=False, elem_classes="lm-choose") as parts["chooser"]:
            parts["classes"] = gr.CheckboxGroup(classes, label=texts.CLASSES, elem_classes="lm-classes")
            parts["subject"] = gr.Dropdown(self.people.choices(), label=texts.SUBJECT, value=None, visible=bool(self.people))
            if self.people:
                parts |= self.people.components()
            with gr.Row(elem_classes="lm-pickrows"):
                parts |= _numbers(len(samples)) | _random(len(samples))
        return parts

    def choose(self, token: str | None, classes: list[int], subject: str | None, numbers: str) -> Updates:
        """Select by class, subject and number; raises InputError for numbers that are none."""
        visitor, samples = self.context.guest(token), self.lab.samples
        wanted = set(np.flatnonzero(np.isin(samples.labels, classes or [])).tolist())
        if subject and samples.subjects:
            wanted |= {row for row, s in enumerate(samples.subjects) if s == subject}
        left = wanted - set(visitor.forgotten)  # a forgotten image has no class any more
        return self.request.present(visitor, left | set(parse_numbers(numbers, len(samples))))

    def add(self, token: str | None, event: gr.EventData) -> Updates:
        """Add what one of the small actions names: the most similar images, or what is left of a group."""
        visitor = self.lab.ready(self.context.guest(token))
        rows = addable(self.lab, visitor, event._data.get("add") if isinstance(event._data, dict) else None)
        if not rows:
            raise InputError(texts.NONE_LIKE_IT)
        return self.request.reselected(visitor, sorted({*visitor.selection, *rows}))

    def draw(self, token: str | None, count: float | None, seed: float | None) -> Updates:
        """Select images at random, among those still in the model; raises InputError for a count or seed that cannot be."""
        visitor = self.context.guest(token)
        count = _whole("count", count, 1, len(self.lab.samples))
        seed = _whole("seed", seed, 0, permalink.MOST_SEED)
        samples = self.lab.samples if visitor.model is None else visitor.model.samples
        updates = self.request.reselected(visitor, sorted(self.lab.rows(visitor).of(select(samples, count=count, seed=seed))))
        visitor.seed, visitor.drawn = seed, 0 if visitor.requests or self.lab.shared else count  # a later draw would pick others
        return updates

    def opened(self, token: str | None, event: gr.EventData) -> Updates:
        """Select what a file names that the visitor opened; raises InputError saying what is wrong with it."""
        visitor = self.context.guest(token)
        data = event._data if isinstance(event._data, dict) else {}
        text, size = data.get("text"), data.get("size")
        if not isinstance(text, str):  # the page does not send what is too large
            size = size if isinstance(size, int) else 0
            raise InputError(texts.file_too_large(size, selection_file.MOST_BYTES))
        return self.request.present(visitor, selection_file.read(text, self.lab.engine.pair[0], len(self.lab.samples), self.lab.numbering))

    def saved(self, sent: Any) -> dict[str, str] | None:
        """Return name and text of the selection's file, to the visitor whose token is given; None for anyone else."""
        visitor = self.lab.find(sent.get("token")) if isinstance(sent, dict) else None
        if visitor is None:
            return None
        pair = self.lab.engine.pair
        return {
            "name": texts.SAVED_NAME.format(pair[0]),
            "text": selection_file.write(self._own(visitor.selection), pair, self.lab.numbering),
        }

    def linked(self, sent: Any) -> dict[str, Any] | None:
        """Return the part of a permalink that the server knows, and whether it fits into one; None for a stranger."""
        visitor = self.lab.find(sent.get("token")) if isinstance(sent, dict) else None
        if visitor is None:
            return None
        dataset, preset = self.lab.engine.pair
        chosen, forgot = _as_text(visitor, self._own(visitor.selection)), self._own(() if self.lab.shared else visitor.forgotten)
        gone = ranges(forgot)
        whole = len(chosen) + len(gone) <= permalink.MOST_CHARS
        known = {"dataset": dataset, "preset": preset, "seed": str(visitor.seed), "select": chosen, "forgot": gone if whole else ""}
        known |= {"data": self.lab.numbering.data} if chosen or known["forgot"] else {}
        taught = bool(visitor.taught_so_far)  # a picture of one's own does not travel in a link
        return known | {"fits": len(chosen) <= permalink.MOST_CHARS, "partial": taught or not whole}

    def too_long(self, token: str | None) -> Updates:
        """Say why the selection does not fit into a link; raises InputError."""
        visitor = self.context.guest(token)
        raise InputError(texts.LINK_TOO_LONG.format(len(_as_text(visitor, self._own(visitor.selection))), permalink.MOST_CHARS))

    def _own(self, rows: Sequence[int]) -> tuple[int, ...]:
        """Return those of the rows that are the data set's, which mean the same on everyone's page."""
        return tuple(row for row in rows if row < len(self.lab.samples))


def _as_text(visitor: Visitor, rows: Sequence[int]) -> str:
    return f"random-{visitor.drawn}" if visitor.drawn else ranges(rows)


def _whole(name: str, value: float | None, least: int, most: int) -> int:
    if value is None or not least <= value <= most or value != int(value):
        raise InputError(texts.BAD_NUMBER.format(name, "nothing" if value is None else f"{value:g}", texts.whole(least, most)))
    return int(value)


def _numbers(n: int) -> Parts:
    """Choosing by number."""
    parts: Parts = {}
    with gr.Row(elem_classes="lm-numbers"):
        parts["numbers"] = gr.Textbox(
            label=texts.NUMBERS,
            info=texts.NUMBERS_INFO.format(n - 1),
            placeholder=texts.NUMBERS_HINT,
            max_length=2000,
            min_width=120,
            scale=3,
        )
        parts["choose"] = gr.Button(texts.SELECT, size="md", min_width=110, scale=1, elem_id="lm-choose")
    return parts


def _random(n: int) -> Parts:
    """Drawing at random: how many, with which seed."""
    parts: Parts = {}
    with gr.Row(elem_classes="lm-numbers"):
        parts["count"] = gr.Number(
            min(10, n), label=texts.RANDOM, info=texts.RANDOM_COUNT, precision=0, minimum=1, maximum=n, min_width=90, elem_id="lm-count"
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
