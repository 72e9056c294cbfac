"""Teaching the model one picture of a visitor's own: the checks before, the learning, and where the picture then lies on the map."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from core.data.samples import Samples
from core.errors import InputError
from core.runtime.progress import ProgressCallback
from demo import texts
from demo.selection.rows import SPARE, Taught
from demo.session.carrying_out import update_correct
from demo.session.lab import Lab
from demo.session.protocol import Model
from demo.session.visitor import Visitor

LIKES = 4  # the most similar pictures, among which a taught one is placed
NEAR = 0.006  # of the map's width: how far a picture lies from the middle of its likes, so that it covers none


def as_sample(lab: Lab, image: np.ndarray, label: Any) -> Samples:
    """Return a picture (h, w, 3) under the class with this number, as one sample of the data set; raises InputError for another number."""
    classes, subjects = lab.samples.classes, None if lab.samples.subjects is None else (texts.YOURS,)
    if isinstance(label, bool) or not isinstance(label, int) or not 0 <= label < len(classes):
        raise InputError(texts.bad_label(label, len(classes)))
    return Samples.build(image[None], [label], classes, subjects)


def check_new(lab: Lab, visitor: Visitor, sample: Samples) -> None:
    """Raise InputError when the visitor can teach no more, or when the model has this picture under this class already."""
    if visitor.taught_so_far >= SPARE:
        raise InputError(texts.taught_too_many(SPARE))
    own = {taught.sample.digests[0] for taught in visitor.taught.values()}
    if sample.digests[0] in own or f"{sample.digests[0]}-0" in lab.row_of:
        raise InputError(texts.TAUGHT_ALREADY)


def teach(lab: Lab, visitor: Visitor, sample: Samples, progress: ProgressCallback, cancel: threading.Event) -> int:
    """Let the visitor's model learn a sample, recorded in the ledger, and return its row; for the thread that runs requests.

    Raises InputError as `check_new`, CancelledError, StoreError; the model is then as before.
    """
    check_new(lab, visitor, sample)
    model = lab.model(visitor)
    root, answers = model.root, model.probabilities(sample)[0]
    lab.open_ledger(visitor)
    names = model.learn(sample, progress, cancel)
    row = len(lab.samples) + visitor.taught_so_far
    learned = model.samples.take(model.samples.rows(names))
    visitor.taught[row] = Taught(learned, _place(lab, visitor, model, names), root, answers, len(visitor.requests))
    visitor.taught_so_far += 1
    visitor.report = None  # of the model before; the next request measures again
    update_correct(lab, visitor)
    return row


def _place(lab: Lab, visitor: Visitor, model: Model, names: Sequence[str]) -> tuple[float, float]:
    """Return where a picture lies on the map: in the middle of those most similar to it that lie closest together."""
    if lab.points is None:
        return 0.5, 0.5
    places = np.fromfile(lab.points, "<f4").reshape(-1, 2)
    rows = lab.rows(visitor).of(model.similar(names, LIKES)) if len(model.samples) > len(names) else []
    known = np.array([visitor.taught[row].place if row in visitor.taught else places[row] for row in rows])
    if not len(known):
        return 0.5, 0.5
    middle = np.median(known, axis=0)
    angle = 2.4 * visitor.taught_so_far  # in another direction each time
    x, y = np.clip(middle + NEAR * np.array([np.cos(angle), np.sin(angle)]), 0, 1)
    return float(x), float(y)
