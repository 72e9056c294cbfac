"""The Result tab: what a request cost and changed, downloads and the report, and what the model says about a forgotten image.

A report has several megabytes, so it is not part of the page: it is written on request, under a name nobody can guess, and deleted
with the visitor.
"""

from __future__ import annotations

import secrets
from pathlib import Path

import gradio as gr
import numpy as np
from gradio.utils import get_upload_folder

from core.errors import InputError
from demo import texts
from demo.panels.common import Context, Parts, Updates, full_row, html, plot
from demo.reports import exports
from demo.reports.request_report import report
from demo.request.card import full_time
from demo.session.lab import Lab
from demo.session.requests import Probabilities, Request
from demo.session.visitor import Visitor
from demo.view import charts, markup, markup_methods

REPORT_NAME, MODEL_NAME = "lmeraser-report.html", "lmeraser-model.zip"
MOST_CLASSES = 10  # bars of one probability card: the likeliest classes, the true one always among them


class ResultTab:
    """The tab's components, events and contents, for one lab."""

    def __init__(self, context: Context):
        self.context, self.lab = context, context.lab
        context.tabs.add("result", self.show)

    def components(self) -> Parts:
        """Create the tab's contents."""
        html(markup.lead(texts.LEAD_RESULT))
        parts: Parts = {"result": html(markup.empty(texts.EMPTY_RESULT), elem_id="lm-result")}
        with gr.Row(elem_classes="lm-charts"):
            parts["times"], parts["changes"] = plot(), plot()
        with gr.Row(elem_classes="lm-report"):
            parts["report"] = gr.Button(texts.REPORT, size="md", min_width=170, scale=0, visible=False, elem_id="lm-report")
            parts["take_home"] = gr.Button(texts.TAKE_HOME, size="md", min_width=170, scale=0, visible=False, elem_id="lm-take-home")
            parts["report_file"] = gr.DownloadButton(visible="hidden", elem_id="lm-report-file")
        parts["probabilities"] = html()
        return parts | full_row("result")

    def make_report(self, token: str | None) -> Updates:
        """Write the report of a visitor's requests where the page may fetch it; raises InputError when there are none."""
        visitor = self.context.guest(token)
        if not visitor.requests:
            raise InputError(texts.NOTHING_FORGOTTEN)
        visitor.rate.count()
        cancelled = visitor.model.withdrawn() if visitor.model else 0
        content = report(tuple(visitor.requests), self.lab, lambda request: self.lab.verdict(visitor, request.number), cancelled)
        path = self._place(REPORT_NAME)
        path.write_text(content, encoding="utf-8")
        visitor.keep_file(path)
        return {"report_file": str(path)}

    def make_export(self, token: str | None) -> Updates:
        """Write the visitor's model, without its images, where the page may fetch it; raises NotFittedError, InputError."""
        visitor = self.lab.free(token)
        path = self._place(MODEL_NAME)
        self.lab.model(visitor).export(path, len(visitor.requests))
        visitor.keep_file(path)
        return {"report_file": str(path)}

    @staticmethod
    def _place(name: str) -> Path:
        path = Path(get_upload_folder()).resolve() / secrets.token_hex(32) / name
        path.parent.mkdir(parents=True, mode=0o700)
        return path

    def show(self, visitor: Visitor) -> Updates:
        """Return the tab for the last request."""
        request = visitor.last
        rest = {
            "report": gr.update(visible=request is not None, interactive=True),
            "take_home": gr.update(visible=visitor.model is not None, interactive=not visitor.job),
            "report_file": None,
            "row_result": gr.update(visible=request is not None),
            "full_result": gr.update(interactive=request is not None and not visitor.job),
            **show_probabilities(self.lab, visitor),
        }
        if request is None:
            return rest | {
                "result": markup.empty(texts.EMPTY_RESULT),
                "times": gr.update(visible=False),
                "changes": gr.update(visible=False),
            }
        taken, full = request.outcome.seconds.total, request.full_seconds(self.lab.measured)
        times = gr.update(value=charts.times(taken, full), visible=True) if full else gr.update(visible=False)
        return rest | {"result": self._text(visitor, request, taken, full), "times": times, "changes": self._changes(request)}

    def _changes(self, request: Request) -> Updates:
        names = [c for c in self.lab.samples.classes if c in request.after.per_class and request.after.per_class[c].n]
        pairs = [(request.before.per_class[c].accuracy, request.after.per_class[c].accuracy) for c in names]
        changes = [100 * ((after or 0.0) - (before or 0.0)) for before, after in pairs]
        return gr.update(value=charts.class_changes(names, changes), visible=True) if names else gr.update(visible=False)

    def _text(self, visitor: Visitor, request: Request, taken: float, full: float | None) -> str:
        scores = {k: (getattr(request.before, k), getattr(request.after, k)) for k in ("test", "retained", "forgotten")}
        pairs = {k: (b, a) for k, (b, a) in scores.items() if b and a and b.n and a.n}
        spoken = {k: (texts.percent(b.accuracy), texts.percent(a.accuracy)) for k, (b, a) in pairs.items()}
        cards = [(texts.ACCURACY[k], texts.ACCURACY_INFO[k], *spoken[k], texts.count(a.n, "image")) for k, (_, a) in pairs.items()]
        notes = [texts.untouched(*request.untouched)]
        if request.clean:
            notes.append(texts.passes(request.outcome.sample_passes, request.full_passes))
        if request.emptied:
            notes.append(texts.emptied(request.emptied))
        verdict = self.lab.verdict(visitor, request.number)
        headline = texts.headline(len(request.rows), taken, full, request.clean is not None, verdict.kind)
        said = texts.result_summary(spoken, taken, full)
        shown = markup.result(verdict.kind, headline, texts.doubt(verdict), cards, notes, full_time(request, self.lab.measured), said)
        return shown + self._downloads(visitor, request)

    def _downloads(self, visitor: Visitor, request: Request) -> str:
        verdict_of = lambda r: self.lab.verdict(visitor, r.number)  # noqa: E731
        everything = exports.files(visitor.requests, self.lab, verdict_of) if len(visitor.requests) > 1 else ()
        return markup.downloads([*exports.files([request], self.lab, verdict_of), *everything])


def show_probabilities(lab: Lab, visitor: Visitor) -> Updates:
    """Return the probability cards of the last request, once the model was asked after it.

    A card names its image by number and class and shows no picture: a workspace has none left.
    """
    request = visitor.last
    probabilities = request.probabilities if request else None
    if request is None or probabilities is None:
        return {"probabilities": ""}
    cards = [_card(lab, probabilities, i) for i in range(len(probabilities.rows))]
    return {"probabilities": markup_methods.probabilities(cards, len(request.rows) - len(cards))}


def _card(lab: Lab, probabilities: Probabilities, i: int) -> tuple[int, str, list[tuple[str, float, float, bool]]]:
    """Return one image's number, class, and (class, before, after, whether it is the true one) of its likeliest classes."""
    row, classes, after = probabilities.rows[i], lab.samples.classes, probabilities.after
    true = int(probabilities.labels[i])
    highest = np.maximum(probabilities.before[i], after[i])
    highest[true] = np.inf
    shown = sorted(np.argsort(-highest, kind="stable")[:MOST_CLASSES].tolist())
    bars = [(classes[c], float(probabilities.before[i, c]), float(after[i, c]), c == true) for c in shown]
    return row, f"{texts.SCHEMES['class']} {classes[true]}", bars
