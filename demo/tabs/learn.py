"""The Learn tab: how the method works, drawn with the visitor's own clusters, and the lesson beside it."""

from __future__ import annotations

import gradio as gr

from demo import texts
from demo.panels.common import STATIC, Context, Parts, Updates, html
from demo.session.visitor import Visitor
from demo.view import markup, markup_learn

LESSON_JS = (STATIC / "lesson.js").read_text()


class LearnTab:
    """The tab's components and contents, for one lab."""

    def __init__(self, context: Context):
        self.lab = context.lab
        context.tabs.add("learn", self.show)

    def components(self) -> Parts:
        """Create the figure and the lesson."""
        html(markup.lead(texts.LEAD_LEARN))
        with gr.Row(elem_classes="lm-learn"):
            how = html(markup_learn.how(1, (), ""), "lm-learn-how")
            lesson = html(markup_learn.lesson(texts.lesson(0, 0, "")), "lm-learn-lesson", js_on_load=LESSON_JS)
        return {"how": how, "lesson": lesson}

    def show(self, visitor: Visitor) -> Updates:
        """Return the figure for the selection, and the lesson with the figures of the model as it is now."""
        model = visitor.model
        clusters = model.clusters if model else None
        touched = visitor.plan.touched if visitor.plan else ()
        return {
            "how": markup_learn.how(clusters or 1, touched, texts.how_note(clusters, len(touched))),
            "lesson": markup_learn.lesson(texts.lesson(clusters or 0, len(model.samples) if model else 0, self._took(visitor))),
        }

    def _took(self, visitor: Visitor) -> str:
        """Return how long full retraining took: for the last request if it ran, else as it was measured last."""
        request, m = visitor.last, self.lab.measured
        if request and request.clean:
            return texts.retrained_here(request.clean.seconds)
        return texts.retrained_before(m.samples, m.seconds, m.day) if m else ""
