"""The panel where a visitor teaches the model a picture of their own: draw it, name it, ask, teach, ask again, forget."""

from __future__ import annotations

import functools
import json
from collections.abc import AsyncIterator
from typing import Any

import gradio as gr
import numpy as np

from core.data.pictures import PictureFrame
from core.errors import InputError
from core.runtime.progress import Progress
from demo import texts
from demo.panels.common import Context, Parts, Show, Updates, html
from demo.request.drawing import Drawing
from demo.request.teaching import as_sample, check_new, teach
from demo.session.jobs import Waiting
from demo.session.visitor import Visitor
from demo.session.work import Work, carry, progress_of
from demo.view import markup, markup_request
from demo.view.pictures import data_uri

EXAMPLES = 6  # test images, which the model has not seen
LIKELIEST = 3  # answers shown
FEW_LABELS = 12  # up to here labels are buttons, beyond it a list


class TeachPanel:
    """The panel's components, events and contents, for one lab. `everything` returns the whole page for a visitor."""

    def __init__(self, context: Context, everything: Show):
        self.context, self.lab, self.everything = context, context.lab, everything

    @functools.cached_property
    def frame(self) -> PictureFrame:
        """What the data set's pictures are like."""
        return PictureFrame.of(self.lab.samples)

    def components(self) -> Parts:
        """Create the sheet, the names, and the buttons."""
        parts: Parts = {}
        with gr.Row(elem_classes="lm-title"):
            html(markup.heading(texts.TEACH_TITLE))
            parts["teach_back"] = gr.Button(texts.TEACH_BACK, size="sm", min_width=64, scale=0, elem_id="lm-teach-back")
        parts["sheet"] = Drawing(strokes=self.frame.strokes, examples=self._examples(), elem_id="lm-sheet", elem_classes="lm-sheet-box")
        names = [(name, i) for i, name in enumerate(self.lab.samples.classes)]
        if len(names) <= FEW_LABELS:
            parts["teach_label"] = gr.Radio(names, label=texts.TEACH_LABEL, elem_id="lm-teach-label", elem_classes="lm-classes")
        else:
            parts["teach_label"] = gr.Dropdown(names, label=texts.TEACH_LABEL, value=None, elem_id="lm-teach-label")
        with gr.Row(elem_classes="lm-teach-go"):
            parts["ask"] = gr.Button(texts.ASK, size="md", min_width=110, elem_id="lm-ask")
            parts["teach"] = gr.Button(texts.TEACH, size="md", variant="primary", min_width=110, elem_id="lm-teach")
        parts["said"] = html(self._hint(), "lm-said-box", elem_id="lm-said")
        return parts

    def show(self, visitor: Visitor) -> Updates:
        """Return the panel at rest; what the visitor has drawn stays."""
        ready = visitor.model is not None and not visitor.job
        return {name: gr.update(interactive=ready) for name in ("ask", "teach", "teach_label")}

    def opened(self, visitor: Visitor) -> Updates:
        """Return an empty sheet."""
        return self.show(visitor) | {"said": self._hint(), "sheet": gr.update(sheet=visitor.taught_so_far + 1, seen="")}

    def ask(self, token: str | None, picture: bytes | None) -> Updates:
        """Say what the model makes of the picture on the sheet; nothing of it stays."""
        visitor = self.lab.free(token)
        image = self._image(picture)
        answers = self._answers(visitor, image)
        return {"said": markup_request.said([answers], [texts.TEACH_STEPS[0]], ""), "sheet": self._seen(None, image)}

    async def teach(self, token: str | None, picture: bytes | None, label: int | None) -> AsyncIterator[Updates]:
        """Let the visitor's model learn the picture under this name, and select it, so that it can be forgotten."""
        visitor = self.lab.free(token)
        image = self._image(picture)
        if label is None:
            raise InputError(texts.NO_LABEL)
        sample = as_sample(self.lab, image, label)
        check_new(self.lab, visitor, sample)
        visitor.end_study()
        work = Work(
            run=lambda send, cancel: teach(self.lab, visitor, sample, progress_of(send, self.lab), cancel),
            busy=lambda job: self._busy(Waiting(self.context.jobs.ahead(job))),
            event=lambda event, job: self._busy(event),
            done=lambda row: self._done(visitor, row, image),
            stopped=lambda error: self.show(visitor) | {"said": self._hint()},
        )
        job = visitor.begin(self.context.jobs.submit(work.run))
        async for updates in carry(self.context.jobs, visitor, job, work):
            yield updates

    def _done(self, visitor: Visitor, row: int, image: np.ndarray) -> Updates:
        taught, model = visitor.taught[row], self.lab.model(visitor)
        outcome = model.outcome
        answers = [self._likeliest(taught.answers), self._answers(visitor, image)]
        note = f"{texts.taught_in(outcome.seconds.total, len(outcome.trained))} {texts.TEACH_NEXT}"
        visitor.selection, visitor.drawn = (row,), 0
        visitor.plan = model.plan([taught.id])
        return self.everything(visitor) | {
            "said": markup_request.said(answers, texts.TEACH_STEPS, note),
            "sheet": self._seen(row, image),
        }

    def _busy(self, event: Any) -> Updates:
        if isinstance(event, Progress):
            words, share = texts.teaching(event.done, event.total, event.stage), markup.share_of(event.done, event.total)
        else:
            words, share = (texts.waiting(event.ahead) if event.ahead else texts.teaching(0, 0, "")), None
        off = {name: gr.update(interactive=False) for name in ("ask", "teach", "teach_label", "forget", "clear", "start_over")}
        return off | {"said": markup.running(words, share)}

    def _image(self, picture: bytes | None) -> np.ndarray:
        if not picture:
            raise InputError(texts.NO_PICTURE)
        return self.frame.fitted(picture)

    def _answers(self, visitor: Visitor, image: np.ndarray) -> list[tuple[str, float]]:
        return self._likeliest(self.lab.model(visitor).probabilities(as_sample(self.lab, image, 0))[0])

    def _likeliest(self, probabilities: np.ndarray) -> list[tuple[str, float]]:
        best = np.argsort(-probabilities, kind="stable")[:LIKELIEST].tolist()
        return [(self.lab.samples.classes[c], float(probabilities[c])) for c in best]

    def _seen(self, row: int | None, image: np.ndarray) -> Updates:
        return gr.update(seen=json.dumps({"row": row, "src": data_uri(image)}))

    def _examples(self) -> list[str]:
        return [data_uri(image) for image in self.lab.engine.examples()[:EXAMPLES]]

    @staticmethod
    def _hint() -> str:
        return markup.note(texts.TEACH_HINT)
