"""The map: its colors and marks, the hover card, and what is asked of the model after a request is on the page."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator
from typing import Any
from weakref import WeakKeyDictionary

import gradio as gr
import numpy as np

from demo import texts
from demo.map import Marks, Paint, Scatter, Scheme, pack_codes
from demo.panels.common import Context, Parts, Updates
from demo.session.carrying_out import update_correct
from demo.session.engine import MOST_COLORED
from demo.session.jobs import Finished, QueueFullError
from demo.session.visitor import Visitor
from demo.view.pictures import data_uri

MOST_PICTURES = 200  # sent at once
SIDE = 48  # px of a picture in place of a point, at most about
LEVELS = (0.01, 0.1, 0.5, 0.9)  # of memorization: where the next of `texts.MEMORIZED` begins


class MapPanel:
    """The map's component and contents, for one lab."""

    def __init__(self, context: Context):
        self.context, self.lab = context, context.lab
        self._measuring = threading.Lock()
        self._memorized: WeakKeyDictionary[Visitor, tuple[str, str]] = WeakKeyDictionary()  # root of the model, and its codes

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
        looks: dict[str, Any] = {"paint": self.paint(visitor), "marks": self.marks(visitor)}
        places: dict[str, Any] = {"points": self.points(), "own": self.own(visitor)}
        return {"map": gr.update(value=list(visitor.selection), token=visitor.token, **looks, **places)}

    def size(self) -> int:
        """Return how many rows the map has."""
        return self.lab.size

    def own(self, visitor: Visitor) -> str:
        """Return the places of the visitor's own pictures, as `Scatter` takes them."""
        return json.dumps([[row, *taught.place] for row, taught in visitor.taught.items()])

    def points(self) -> str:
        """Return the file of the places; empty until they are known."""
        return str(self.lab.points or "")

    def marks(self, visitor: Visitor, working: bool = False, done: tuple[int, ...] = ()) -> str:
        """Return what is marked: forgotten images, those of the last request, touched clusters, those `done` so far."""
        touched = visitor.plan.touched if visitor.plan else ()
        return Marks(visitor.forgotten, visitor.fresh, touched, working, done).message(self.size())

    def paint(self, visitor: Visitor) -> str:
        """Return the ways to color the map."""
        samples, model, rows = self.lab.samples, visitor.model, self.lab.rows(visitor)
        labels = rows.labels()
        labels[list(visitor.forgotten)] = -1
        schemes = {"class": Scheme(texts.SCHEMES["class"], samples.classes, labels)}
        if model is not None:
            if self._memorized.get(visitor, ("", ""))[0] != model.root:
                self._memorized.pop(visitor, None)  # it knows of images that are forgotten by now
            names = tuple(texts.CLUSTER.format(c) for c in range(model.clusters))
            schemes["cluster"] = Scheme(texts.SCHEMES["cluster"], names, self.lab.row_clusters(visitor))
            known, correct = rows.of(model.samples.ids), visitor.correct
            if correct is not None and len(correct) == len(known):  # not while a request is changing a shared model
                schemes["correct"] = Scheme(texts.SCHEMES["correct"], texts.CORRECT, rows.scattered(np.where(correct, 0, 1), known))
            if len(known) <= MOST_COLORED:
                names, abouts, title = tuple(texts.MEMORIZED), tuple(texts.MEMORIZED.values()), texts.SCHEMES["memorized"]
                schemes["memorized"] = Scheme(title, names, ordered=True, about=texts.MEMORIZED_ABOUT, abouts=abouts)
        if samples.subjects:
            own = [texts.YOURS] * (len(rows) - len(samples))
            subjects, codes = np.unique([*samples.subjects, *own], return_inverse=True)
            schemes["subject"] = Scheme(texts.SCHEMES["subject"], tuple(subjects.tolist()), codes)
        return Paint(schemes, "class").message()

    def title(self, visitor: Visitor, row: int) -> str:
        """Return an image's class in words."""
        return texts.picture(self.lab.samples.classes[self.lab.rows(visitor).label(row)], row in visitor.taught)

    def image(self, visitor: Visitor, row: Any) -> np.ndarray | None:
        """Return the image (h, w, 3) of a row; None for one that is not on the visitor's map."""
        rows = self.lab.rows(visitor)
        if isinstance(row, bool) or not isinstance(row, int) or row not in rows or row in visitor.forgotten:
            return None
        return rows.images([row])[0]

    def thumbnail(self, sent: Any) -> dict | None:
        """Return what the map asks for, as `Scatter` says, to the visitor whose token is given; None for anything else."""
        sent = sent if isinstance(sent, dict) else {}
        visitor = self.lab.find(sent.get("token"))
        if visitor is None:
            return None
        if "scheme" in sent:
            return self._codes(visitor) if sent["scheme"] == "memorized" else None
        if "rows" in sent:
            return self._pictures(visitor, sent["rows"])
        return self._card(visitor, sent.get("row"))

    def _card(self, visitor: Visitor, row: Any) -> dict | None:
        image = self.image(visitor, row)
        if image is None:
            return None
        lines = [texts.CLUSTER.format(self.lab.row_clusters(visitor)[row])] if visitor.model else []
        if self.lab.samples.subjects and row < len(self.lab.samples):
            lines.append(f"{texts.SCHEMES['subject']} {self.lab.samples.subjects[row]}")
        title, lines = texts.card(row, self.title(visitor, row), lines)
        return {"src": data_uri(image), "title": title, "lines": lines}

    def _pictures(self, visitor: Visitor, rows: Any) -> dict | None:
        """Return small pictures of rows, without those that are not on the visitor's map."""
        if not isinstance(rows, list) or len(rows) > MOST_PICTURES:
            return None
        images = [(row, self.image(visitor, row)) for row in rows]
        return {"pictures": [[row, data_uri(_small(image))] for row, image in images if image is not None]}

    def _codes(self, visitor: Visitor) -> dict | None:
        """Return the level of memorization of each row, computed once for each model while it is shown."""
        model, base = visitor.model, self.lab.base
        if model is None or visitor.job or self.lab.under_way is not None or len(model.samples) > MOST_COLORED:
            return None
        owner = base if base is not None and base.model is not None and base.model.root == model.root else visitor
        with self._measuring:  # one at a time: it takes all cores
            root, codes = self._memorized.get(owner, ("", None))
            if root != model.root or codes is None:
                rows, ids, drop, root = self.lab.rows(visitor), model.samples.ids, model.memorized(), model.root
                if drop is None:
                    return None
                codes = pack_codes(rows.scattered(np.digitize(drop, LEVELS), rows.of(ids)))
                self._memorized[owner] = root, codes
        return {"codes": codes}

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

    def catch_up(self, visitor: Visitor) -> None:
        """Bring right and wrong up to date after a request that no page made, for the pages that show the same model."""
        with contextlib.suppress(QueueFullError):  # the next request does it
            self.context.jobs.submit(lambda send, cancel: self._ask_again(visitor))

    def _ask_again(self, visitor: Visitor) -> None:
        update_correct(self.lab, visitor)
        if visitor.model is not None:
            visitor.model.prepare()


def _small(image: np.ndarray) -> np.ndarray:
    """Return every so manieth pixel of an image (h, w, 3), so that a map full of pictures travels quickly."""
    step = max(1, min(image.shape[:2]) // SIDE)
    return image[::step, ::step]
