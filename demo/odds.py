"""The probability card of the Result tab: what the model thought of a forgotten image before the request and thinks after it.

The images themselves are deleted, so the card names them by number and class and shows no picture.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from demo import markup_methods, texts
from demo.session import Lab, Odds, Visitor

MOST_CLASSES = 10  # bars of one card: the likeliest classes, the true one always among them


def show(lab: Lab, visitor: Visitor) -> dict[str, Any]:
    """Return the card of the last request, once the model was asked after it."""
    odds = visitor.requests[-1].odds if visitor.requests else None
    if odds is None:
        return {"odds": ""}
    if odds.after is None:
        return {"odds": markup_methods.odds_waiting()}
    cards = [_card(lab, odds, i) for i in range(len(odds.rows))]
    return {"odds": markup_methods.odds(cards, len(visitor.requests[-1].rows) - len(cards))}


def _card(lab: Lab, odds: Odds, i: int) -> tuple[int, str, list[tuple[str, float, float, bool]]]:
    """Return one image's number, class, and (class, before, after, whether it is the true one) of its likeliest classes."""
    row, classes = odds.rows[i], lab.samples.classes
    true = int(lab.samples.labels[row])
    highest = np.maximum(odds.before[i], odds.after[i])
    highest[true] = np.inf
    shown = sorted(np.argsort(-highest, kind="stable")[:MOST_CLASSES].tolist())
    bars = [(classes[c], float(odds.before[i, c]), float(odds.after[i, c]), c == true) for c in shown]
    return row, f"{texts.SCHEMES['class']} {classes[true]}", bars
