"""The tabs that explain: how it works, drawn with the model's clusters, and the lesson."""

from __future__ import annotations

from demo import texts
from demo.session.visitor import Visitor
from demo.tabs.common import STATIC, Context, Parts, Updates, html
from demo.view import markup

LESSON_JS = (STATIC / "lesson.js").read_text()


class HowTab:
    """How it works."""

    def __init__(self, context: Context):
        context.tabs.add("how", self.show)

    def components(self) -> Parts:
        """Create the tab's contents."""
        html(markup.lead(texts.LEAD_HOW))
        return {"how": html(markup.how(1, (), ""))}

    def show(self, visitor: Visitor) -> Updates:
        """Return the drawing for the plan that is shown."""
        clusters = visitor.model.clusters if visitor.model else 0
        touched = visitor.plan.touched if visitor.plan else ()
        return {"how": markup.how(clusters, touched, texts.how_note(clusters, len(touched)))}


class LessonTab:
    """The lesson."""

    def __init__(self, context: Context):
        self.lab = context.lab
        context.tabs.add("lesson", self.show)

    def components(self) -> Parts:
        """Create the tab's contents."""
        html(markup.lead(texts.LEAD_LESSON))
        return {"lesson": html(markup.lesson(texts.lesson(0, 0, None)), js_on_load=LESSON_JS)}

    def show(self, visitor: Visitor) -> Updates:
        """Return the lesson with the base model's figures."""
        model, m = self.lab.base.model if self.lab.base else None, self.lab.measured
        if model is None:
            return {"lesson": markup.lesson(texts.lesson(0, 0, None))}
        return {"lesson": markup.lesson(texts.lesson(model.clusters, len(model.samples), m.seconds if m else None))}
