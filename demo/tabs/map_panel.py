"""The map: its colors and marks, the hover card, and what is asked of the model after a request is on the page."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import gradio as gr
import numpy as np

from demo import texts
from demo.map import Marks, Paint, Scatter, Scheme
from demo.session.carrying_out import update_correct
from demo.session.jobs import Finished, QueueFullError
from demo.session.visitor import Visitor
from demo.tabs.common import Context, Parts, Updates
from demo.view.pictures import data_uri


class MapPanel:
    """The map's component and contents, for one lab."""

    def __init__(self, context: Context):
        self.context, self.lab = context, context.lab

    def components(self, thumbnail: Any) -> Parts:
        """Create the map; `thumbnail` is the function behind the hover card."""
        return {
            "map": Scatter(
                n=self.size(),
                points=self.points(),
                texts=texts.MAP,
                thumbnail=thumbnail,
                elem_id="lm-map",
                elem_classes="lm-map-box",
            )
        }

    def show(self, visitor: Visitor) -> Updates:
        """Return the whole map with the selection."""
        marks, paint = self.marks(visitor), self.paint(visitor)
        places = {"points": self.points(), "own": self.own(visitor)}
        return {"map": gr.update(value=list(visitor.selection), token=visitor.token, paint=paint, marks=marks, **places)}

    def size(self) -> int:
        """Return how many rows the map has."""
        return self.lab.size

    def own(self, visitor: Visitor) -> str:
        """Return the places of the visitor's own pictures, as `Scatter` takes them."""
        return json.dumps([[row, *taught.place] for row, taught in visitor.taught.items()])

    def points(self) -> str:
        """Return the file of the places; empty until they are known."""
        return str(self.lab.points or "")

    def marks(self, visitor: Visitor, working: bool = False) -> str:
        """Return what is marked: forgotten images, those of the last request, touched clusters."""
        touched = visitor.plan.touched if visitor.plan else ()
        return Marks(visitor.forgotten, visitor.fresh, touched, working).message(self.size())

    def paint(self, visitor: Visitor) -> str:
        """Return the ways to color the map."""
        samples, model, rows = self.lab.samples, visitor.model, self.lab.rows(visitor)
        labels = rows.labels()
        labels[list(visitor.forgotten)] = -1
        schemes = {"class": Scheme(texts.SCHEMES["class"], samples.classes, labels)}
        if model is not None:
            names = tuple(texts.CLUSTER.format(c) for c in range(model.clusters))
            schemes["cluster"] = Scheme(texts.SCHEMES["cluster"], names, self.lab.row_clusters(visitor))
            known, correct = rows.of(model.samples.ids), visitor.correct
            if correct is not None and len(correct) == len(known):  # not while a request is changing a shared model
                schemes["correct"] = Scheme(texts.SCHEMES["correct"], texts.CORRECT, rows.scattered(np.where(correct, 0, 1), known))
        if samples.subjects:
            own = [texts.YOURS] * (len(rows) - len(samples))
            subjects, codes = np.unique([*samples.subjects, *own], return_inverse=True)
            schemes["subject"] = Scheme(texts.SCHEMES["subject"], tuple(subjects.tolist()), codes)
        return Paint(schemes, "class").message()

    def title(self, visitor: Visitor, row: int) -> str:
        """Return an image's class in words."""
        return texts.picture(self.lab.samples.classes[self.lab.rows(visitor).label(row)], row in visitor.taught)

    def thumbnail(self, sent: Any) -> dict | None:
        """Return the hover card of one picture, to the visitor whose token is given; None for anything else."""
        sent = sent if isinstance(sent, dict) else {}
        visitor, row = self.lab.find(sent.get("token")), sent.get("row")
        if visitor is None or not isinstance(row, int) or row not in self.lab.rows(visitor) or row in visitor.forgotten:
            return None
        lines = [texts.CLUSTER.format(self.lab.row_clusters(visitor)[row])] if visitor.model else []
        if self.lab.samples.subjects and row < len(self.lab.samples):
            lines.append(f"{texts.SCHEMES['subject']} {self.lab.samples.subjects[row]}")
        title, lines = texts.card(row, self.title(visitor, row), lines)
        return {"src": data_uri(self.lab.rows(visitor).images([row])[0]), "title": title, "lines": lines}

    async def recolor(self, token: str | None) -> AsyncIterator[Updates]:
        """Bring the map's right-or-wrong colors up to date, after the result is already on the page.

        An event of its own: when one ends, Gradio shows its last state once more, and by then a visitor may have made another selection.
        """
        visitor = self.lab.find(token)
        if visitor is None or visitor.model is None or visitor.job or not visitor.requests:
            return
        try:
            job = self.context.jobs.submit(lambda send, cancel: self._ask_again(visitor))
        except QueueFullError:  # the request is done; only these wait for the next one
            return
        async for event in self.context.jobs.follow(job):
            if isinstance(event, Finished) and not visitor.job and self.lab.find(visitor.token) and visitor.model is not None:
                yield {"map": gr.update(paint=await asyncio.to_thread(self.paint, visitor))}

    def _ask_again(self, visitor: Visitor) -> None:
        update_correct(self.lab, visitor)
        if visitor.model is not None:
            visitor.model.prepare()
