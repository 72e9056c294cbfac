"""The result's card, in the request's place: speed, answers, accuracy, and the badge of the proof, which runs by itself where it can."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import gradio as gr

from core.errors import CancelledError, LMEraserError
from core.runtime.progress import Progress
from demo import texts
from demo.panels.common import STATIC, Context, Parts, Updates, html
from demo.session.jobs import Finished, QueueFullError
from demo.session.requests import Measurement, Request
from demo.session.visitor import Visitor
from demo.session.work import progress_of
from demo.view import markup_request as markup
from demo.view.pictures import data_uri

SOON = 60.0  # seconds of full retraining up to which the proof starts by itself
GROUPS = ("test", "retained", "forgotten")
CARD_JS = (STATIC / "card.js").read_text()


class ResultCard:
    """The card's components, contents and proof, for one lab."""

    def __init__(self, context: Context):
        self.context, self.lab = context, context.lab
        context.card = self.judged

    def components(self) -> Parts:
        """Create the card, its badge and its buttons."""
        parts: Parts = {
            "card": html("", "lm-card-box", js_on_load=CARD_JS),
            "badge": html("", "lm-badge-box"),
            "shares": html("", "lm-shares-outer"),
        }
        with gr.Row(elem_classes="lm-card-go"):
            parts["prove"] = gr.Button(texts.CHECK_NOW, size="md", visible=False, min_width=120, elem_id="lm-prove")
            parts["more"] = gr.Button(texts.FORGET_MORE, size="md", min_width=150, elem_id="lm-more")
        return parts

    def show(self, visitor: Visitor, fresh: bool = False) -> Updates:
        """Return the card of the last request; `fresh`: it was just carried out."""
        request = visitor.last
        if request is None:
            return {"card": "", "badge": "", "shares": "", "prove": gr.update(visible=False)}
        return {"card": self._card(visitor, request, fresh), "shares": markup.shares(accuracies(request))} | self._badge(visitor, request)

    def judged(self, visitor: Visitor) -> Updates:
        """Return the card after a new verdict."""
        return self.show(visitor) if visitor.story == "result" else {}

    async def prove(self, token: str | None) -> AsyncIterator[Updates]:
        """Train from scratch without the images, beside whatever the visitor does next, and show what that proves.

        It starts by itself after a request on a model of one's own when it should take no more than a minute and nobody waits. Another
        request ends it.
        """
        visitor = self.lab.find(token)
        if visitor is None or visitor.closed or visitor.check or not self._by_itself(visitor):
            return
        request = visitor.requests[-1]
        try:
            job = self.context.jobs.submit(lambda send, cancel: self.lab.prove(visitor, progress_of(send), cancel), study=True)
        except QueueFullError:
            return
        visitor.begin_check(job, request.number)
        yield self._running(visitor, request, None)
        try:
            async for event in self.context.jobs.follow(job):
                if visitor.closed or not visitor.at(request):
                    return
                if isinstance(event, Progress):
                    yield self._running(visitor, request, event)
                elif isinstance(event, Finished):
                    yield self.context.verdict_changed(visitor)
        except CancelledError:
            return
        except LMEraserError as error:  # a proof that could not run has shown nothing; the button is there
            gr.Warning(str(error))
            yield self.judged(visitor)

    def _by_itself(self, visitor: Visitor) -> bool:
        full = visitor.last.full_seconds(self.lab.measured) if visitor.last and not visitor.last.clean else None
        return full is not None and full <= SOON and not self.lab.shared and self.context.jobs.idle

    def _running(self, visitor: Visitor, request: Request, event: Progress | None) -> Updates:
        verdict = self.lab.verdict(visitor, request.number)
        if visitor.story != "result" or verdict.kind == "equal":  # it is over already; what it has shown follows
            return {}
        words = texts.proving(event.done, event.total, event.stage) if event else texts.proving(0, 0, "")
        share = event.done / event.total if event and event.stage == "train" and event.total else None
        return {"badge": markup.badge(verdict, words, share, ("", "")), "prove": gr.update(visible=False)}

    def _badge(self, visitor: Visitor, request: Request) -> Updates:
        verdict = self.lab.verdict(visitor, request.number)
        roots = (request.outcome.root_after, request.clean.root if request.clean else "")
        words = texts.BADGES[verdict.kind]
        waits = verdict.kind == "unchecked" and not self._by_itself(visitor)
        return {"badge": markup.badge(verdict, words, None, roots), "prove": gr.update(visible=waits, interactive=not visitor.job)}

    def _card(self, visitor: Visitor, request: Request, fresh: bool) -> str:
        taken, full = request.outcome.seconds.total, request.full_seconds(self.lab.measured)
        verdict = self.lab.verdict(visitor, request.number)
        asked, picture, answers, remark = self._answers(request)
        return markup.card(
            kind=verdict.kind,
            title=texts.card_title(len(request.rows), verdict.kind),
            speed=texts.speed(taken, full, verdict.kind),
            bars=markup.race(taken, full),
            badge=_how_known(request, self.lab.measured),
            asked=asked,
            picture=picture,
            answers=answers,
            remark=remark,
            doubt=texts.doubt(verdict),
            fresh=fresh,
        )

    def _answers(self, request: Request) -> tuple[str, str, list[markup.Answer], str]:
        """Return title, picture, answers and remark about the image whose answer the request changed most."""
        asked = request.probabilities
        if asked is None:
            return "", "", [], ""
        outcome, names = request.outcome, self.lab.samples.classes
        mine = [place for place, row in enumerate(asked.rows) if row >= len(self.lab.samples)]
        place = mine[0] if request.taught else asked.telling
        row, own = asked.rows[place], place in mine
        title = texts.asked_about(row, names[int(asked.labels[place])], own, len(request.rows))
        before, after = (self._answer(when, p[place], "") for when, p in ((texts.SAID, asked.before), (texts.SAYS, asked.after)))
        if request.taught is None:
            return title, self._picture(row), [before, after], ""
        first = self._answer(texts.SAID_UNTAUGHT, request.taught.answers, request.taught.root)
        second = self._answer(texts.SAID_TAUGHT, asked.before[place], outcome.root_before or "")
        third = self._answer(texts.SAYS_NOW, asked.after[place], outcome.root_after)
        same = first.root == third.root and bool((request.taught.answers == asked.after[place]).all())
        return title, str(row), [first, second, third], texts.SAME_AGAIN if same else texts.NOT_THE_SAME

    def _picture(self, row: int) -> str:
        """Return the picture as a data URI from the data set that every visitor starts from; none where it is deleted for good."""
        return "" if self.lab.shared or row >= len(self.lab.samples) else data_uri(self.lab.samples.images[row])

    def _answer(self, when: str, probabilities: Any, root: str) -> markup.Answer:
        best = int(probabilities.argmax())
        return markup.Answer(when, self.lab.samples.classes[best], float(probabilities[best]), root)


def _how_known(request: Request, measured: Measurement | None) -> str:
    if request.clean:
        return texts.JUST_MEASURED
    return texts.estimated_from(measured.day, measured.here) if measured else texts.NOT_MEASURED


def full_time(request: Request, measured: Measurement | None) -> str:
    """Return how the time of full retraining is known: measured for this request, scaled from an earlier one, or not at all."""
    if request.clean:
        return texts.measured(request.clean.seconds, "", True)
    m = measured
    return texts.estimated(m.seconds, m.day, m.here, m.samples, request.outcome.samples) if m else texts.NOT_MEASURED


def accuracies(request: Request) -> list[tuple[str, str]]:
    """Return title and change of accuracy for each group of images that has some before a request and after it."""
    pairs = ((name, getattr(request.before, name), getattr(request.after, name)) for name in GROUPS)
    return [
        (texts.ACCURACY_SHORT[name], texts.change(before.accuracy, after.accuracy))
        for name, before, after in pairs
        if before and after and before.n and after.n
    ]
