"""Three ways in: teach a picture, forget a class, forget one picture whose loss can be seen. The page looks for such pictures itself."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import numpy as np

from core.errors import InputError
from demo import texts
from demo.panels.common import Context, Parts, Updates, html
from demo.session.jobs import Finished, QueueFullError
from demo.session.lab import Lab
from demo.session.visitor import Visitor
from demo.view import markup_request as markup
from demo.view.pictures import data_uri

WANTED = 4  # pictures whose loss changes the answer
MOST_TRIED = 40
MOST_SECONDS = 12.0  # of trying
FEW_CLASSES = 20  # up to here the class in the middle is offered, beyond it the smallest, which costs least
WAYS_JS = """
element.addEventListener("click", (event) => {
  const button = event.target.closest("[data-way]");
  if (button) trigger("click", { way: button.dataset.way });
});
"""


class Ways:
    """The cards of the three ways, for one lab. `found`: rows of pictures whose loss changes the answer; None until it was looked for."""

    def __init__(self, context: Context):
        self.context, self.lab = context, context.lab
        self.found: tuple[int, ...] | None = None
        self._looking = False

    def components(self) -> Parts:
        """Create the cards; what they name follows with the model."""
        return {"ways": html(self._cards(None), "lm-ways", js_on_load=WAYS_JS)}

    def show(self, visitor: Visitor) -> Updates:
        """Return the cards for what the visitor's model still holds."""
        return {"ways": self._cards(visitor)}

    def rows(self, visitor: Visitor, way: str) -> list[int]:
        """Return the rows that a way selects: `class` or `one`; raises InputError when there are none."""
        if way == "class":
            offered = self._class(visitor)
            if offered is not None:
                return np.flatnonzero(self._labels(visitor) == offered).tolist()
        elif way == "one":
            row = self._one(visitor)
            if row is not None:
                return [row]
        raise InputError(texts.WAY_ONE_NONE[1])

    async def look(self, token: str | None) -> AsyncIterator[Updates]:
        """Look once for pictures whose loss changes the answer, beside whatever else runs, and then show one."""
        visitor = self.lab.find(token)
        if visitor is None or visitor.model is None or self.found is not None or self._looking:
            return
        self._looking = True
        try:
            job = self.context.jobs.submit(lambda send, cancel: memorable(self.lab), study=True)
            async for event in self.context.jobs.follow(job):
                if isinstance(event, Finished):
                    self.found = event.result
        except QueueFullError:  # a busy machine; the next visitor's page looks again
            return
        finally:
            self._looking = False
        if not visitor.closed:
            yield self.show(visitor)

    def _cards(self, visitor: Visitor | None) -> str:
        ready = visitor is not None and visitor.model is not None
        offered, row = (self._class(visitor), self._one(visitor)) if ready and visitor else (None, None)
        cards = []
        if not self.lab.shared:
            cards.append(markup.Way("teach", *texts.WAY_TEACH, (), ready))
        if offered is not None and visitor:
            rows = np.flatnonzero(self._labels(visitor) == offered).tolist()
            name = self.lab.samples.classes[offered]
            cards.append(markup.Way("class", *texts.way_class(name, len(rows)), self._pictures(visitor, rows[:3]), True))
        elif not ready:
            cards.append(markup.Way("class", *texts.way_class(self.lab.samples.classes[self._usual()], 0), (), False))
        if row is not None and visitor:
            name = self.lab.samples.classes[self.lab.rows(visitor).label(row)]
            cards.append(markup.Way("one", *texts.way_one(row, name), self._pictures(visitor, [row]), True))
        else:
            cards.append(markup.Way("one", *(texts.WAY_ONE_SEARCHING if self.found is None else texts.WAY_ONE_NONE), (), False))
        return markup.ways(cards)

    def _pictures(self, visitor: Visitor, rows: list[int]) -> tuple[str, ...]:
        return tuple(data_uri(image) for image in self.lab.rows(visitor).images(rows))

    def _labels(self, visitor: Visitor) -> np.ndarray:
        labels = self.lab.rows(visitor).labels()
        labels[list(visitor.forgotten)] = -1
        return labels

    def _usual(self) -> int:
        """Return the class to offer while all are there."""
        labels, classes = self.lab.samples.labels, len(self.lab.samples.classes)
        sizes = np.bincount(labels, minlength=classes)
        if classes <= FEW_CLASSES and sizes[min(4, classes - 1)]:
            return min(4, classes - 1)
        return int(np.where(sizes > 0, sizes, sizes.max() + 1).argmin())

    def _class(self, visitor: Visitor) -> int | None:
        """Return the class that the visitor can forget: the usual one, or the next that is left; None when one at most is."""
        left, usual = np.unique(self._labels(visitor)), self._usual()
        left = left[left >= 0]
        if len(left) < 2:
            return None
        return int(left[np.argmax(left >= usual)]) if (left >= usual).any() else int(left[0])

    def _one(self, visitor: Visitor) -> int | None:
        forgotten = set(visitor.forgotten)
        return next((row for row in self.found or () if row not in forgotten), None)


def memorable(lab: Lab) -> tuple[int, ...]:
    """Return rows of pictures that the base model names right, and wrong once they alone are forgotten; each is tried out.

    The candidates are those whose answer in closed form rests most on having seen them.
    """
    base = lab.base
    if base is None or base.model is None:
        return ()
    model, rows, began = base.model, lab.rows(base), time.monotonic()
    drops = model.memorized()
    if drops is None:
        return ()
    found: list[int] = []
    for place in np.argsort(-drops, kind="stable")[:MOST_TRIED].tolist():
        if len(found) == WANTED or time.monotonic() - began > MOST_SECONDS or lab.closing:
            break
        sample = model.samples.take([place])
        if model.probabilities(sample)[0].argmax() != sample.labels[0]:
            continue
        if model.without(sample.ids).probabilities(sample)[0].argmax() != sample.labels[0]:
            found += rows.of(sample.ids)
    return tuple(found)
