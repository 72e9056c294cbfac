"""Turns what a person asks for (ids, a count, a label, a subject) into sample ids."""

from __future__ import annotations

import numpy as np

from core.data.samples import Samples
from core.errors import InputError


def select(
    samples: Samples,
    ids: str | None = None,
    subject: str | None = None,
    label: str | None = None,
    count: int | None = None,
    seed: int = 0,
) -> tuple[str, ...]:
    """Return the ids that a request names, in the samples' order.

    `ids` is a comma-separated list of ids or unique beginnings of them; `label` a class name; `count` draws that many at random,
    from all samples or from those of the subject and label. Raises InputError naming what is not there.
    """
    if ids is not None:
        if not (subject is None and label is None and count is None):
            raise InputError("ids name the samples already; leave subject, label and count out, or the ids.")
        if not ids.replace(",", "").strip():
            raise InputError("0 ids were given; name at least one, or give a subject, a label or a count.")
        return tuple(_complete(samples, part.strip()) for part in ids.split(",") if part.strip())
    rows = np.arange(len(samples))
    if subject is not None:
        rows = rows[_of_subject(samples, subject)]
    if label is not None:
        if label not in samples.classes:
            raise InputError(f"label {label!r} is not one of {', '.join(samples.classes[:12])}.")
        rows = rows[samples.labels[rows] == samples.classes.index(label)]
    if count is not None:
        if not 1 <= count <= len(rows):
            raise InputError(f"count is {count}, but {len(rows)} samples fit; give 1 to {len(rows)}.")
        if seed < 0:
            raise InputError(f"seed is {seed}; give a whole number of at least 0.")
        rows = np.sort(np.random.default_rng(seed).choice(rows, count, replace=False))
    elif subject is None and label is None:
        raise InputError("Nothing says what to forget; give ids, a subject, a label or a count.")
    if not len(rows):
        raise InputError("No sample has that subject and label together; loosen one of them.")
    return tuple(samples.ids[r] for r in rows)


def _of_subject(samples: Samples, subject: str) -> np.ndarray:
    if samples.subjects is None:
        raise InputError(f"subject {subject!r} cannot be found: this data set names no subjects. Use a label, ids or a count.")
    chosen = np.array([s == subject for s in samples.subjects], bool)
    if not chosen.any():
        raise InputError(f"subject {subject!r} is not among the {len(set(samples.subjects))} subjects of this data set.")
    return chosen


def _complete(samples: Samples, start: str) -> str:
    matches = [i for i in samples.ids if i.startswith(start)]
    if len(matches) != 1:
        raise InputError(f"id {start[:80]!r} fits {len(matches)} samples; give enough of it to name one that is in the model.")
    return matches[0]
