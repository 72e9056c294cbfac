"""What could be added to a selection: the most similar images, and the rest of the groups it touches. Rows of one visitor's map."""

from __future__ import annotations

from typing import Any

import numpy as np

from demo import texts
from demo.session.lab import Lab
from demo.session.visitor import Visitor

SIMILAR = 10
MOST_LIKENED = 200  # selected images that others are compared with: beyond it the answer takes seconds


def addable(lab: Lab, visitor: Visitor, what: Any) -> list[int]:
    """Return the rows that an action adds: "similar", or a scheme of `texts.GROUPS`; none for one that does not apply."""
    if not visitor.selection or visitor.model is None:
        return []
    return _similar(lab, visitor) if what == "similar" else _rest(lab, visitor, what)


def offered(lab: Lab, visitor: Visitor) -> list[tuple[str, str, str]]:
    """Return (what, words, tooltip) of each action that would add something."""
    if not visitor.selection or visitor.model is None:
        return []
    left = len(visitor.model.samples) - len(visitor.selection)
    found = [("similar", texts.SIMILAR, texts.SIMILAR_INFO)] if left and len(visitor.selection) <= MOST_LIKENED else []
    for scheme in texts.GROUPS:
        more = len(_rest(lab, visitor, scheme))
        if more:
            found.append((scheme, texts.group(scheme, _names(lab, visitor, scheme), more), texts.group_info(scheme)))
    return found


def _similar(lab: Lab, visitor: Visitor) -> list[int]:
    if len(visitor.selection) > MOST_LIKENED:
        return []
    rows = lab.rows(visitor)
    return sorted(rows.of(lab.model(visitor).similar(rows.ids(visitor.selection), SIMILAR)))


def _rest(lab: Lab, visitor: Visitor, scheme: Any) -> list[int]:
    """Return the rows in the same groups as selected ones that are neither selected nor forgotten."""
    codes = _codes(lab, visitor, scheme)
    if codes is None:
        return []
    same = np.isin(codes, codes[list(visitor.selection)])
    rows = lab.rows(visitor)
    empty = [row for row in range(len(rows.data), len(rows)) if row not in rows]
    same[[*visitor.selection, *visitor.forgotten, *empty]] = False
    return np.flatnonzero(same).tolist()


def _codes(lab: Lab, visitor: Visitor, scheme: Any) -> np.ndarray | None:
    """Return the group (n,) of each row of the map under a scheme; None for one that does not apply."""
    if scheme == "class":
        return lab.rows(visitor).labels()
    if scheme == "cluster":
        return lab.row_clusters(visitor)
    if scheme == "subject" and lab.samples.subjects:
        return np.array([*lab.samples.subjects, *[texts.YOURS] * (lab.size - len(lab.samples))])
    return None


def _names(lab: Lab, visitor: Visitor, scheme: str) -> list[str]:
    every = _codes(lab, visitor, scheme)
    codes = [] if every is None else np.unique(every[list(visitor.selection)]).tolist()
    return [lab.samples.classes[c] for c in codes] if scheme == "class" else [str(c) for c in codes]
