"""Finds what a model has forgotten since it was made of a data set, so that a residue scan can search for it."""

from __future__ import annotations

import numpy as np

from core.audit.signatures import Signatures
from core.backbone.map_layout import load_layout
from core.data.samples import Samples
from core.errors import DataError, InputError
from core.lmeraser.eraser import LMEraser


def signatures_of_forgotten(eraser: LMEraser, name: str, known: Samples) -> Signatures:
    """Return signatures of what was forgotten earlier: the samples of data set `known`, called `name`, that the model lacks.

    Raises InputError when the model holds them all.
    """
    retained = eraser.samples_
    held = set(retained.ids)
    forgotten = known.take(np.array([i not in held for i in known.ids], bool))
    if not len(forgotten):
        raise InputError(f"The model holds all {len(known)} samples of {name}, so nothing can be left over. Forget something first.")
    here, there = places_of(name, forgotten), places_of(name, retained)
    return Signatures.of_samples(eraser, forgotten, retained, None if here is None or there is None else (here, there))


def places_of(name: str, samples: Samples) -> np.ndarray | None:
    """Return the samples' coordinates (n, 2) on the map that ships with the program, or None where it lacks one of them."""
    try:
        return load_layout(name, samples) if len(samples) else np.zeros((0, 2), np.float32)
    except DataError:
        return None
