"""The Learn tab as HTML: the figure of the method, and the lesson. Pure functions over `templates/`, like `markup.py`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from demo.view.render import render

FIGURE_MOST = 96  # clusters in the figure


def how(clusters: int, touched: Sequence[int], note: str) -> Markup:
    """The figure of the method, with the visitor's own clusters."""
    shown, on = min(max(1, clusters), FIGURE_MOST), set(touched)
    return render("learn", "how", wide=_squares(shown, on, 250, 46, 400, 120), tall=_squares(shown, on, 18, 136, 284, 120), note=note)


@dataclass(frozen=True)
class Square:
    """One cluster in the figure."""

    x: float
    y: float
    side: float
    on: bool


def _squares(clusters: int, touched: set[int], x: float, y: float, width: float, height: float) -> list[Square]:
    """Return one square per cluster, in a frame of this place and size."""
    columns = math.ceil(math.sqrt(clusters * 2.2))
    step = min(width / columns, height / math.ceil(clusters / columns))
    left = x + (width - step * columns) / 2
    return [Square(left + step * (c % columns), y + step * (c // columns), step * 0.8, c in touched) for c in range(clusters)]


def lesson(steps: Sequence[dict]) -> Markup:
    """The lesson: choosing an answer reveals its step's explanation."""
    return render("learn", "lesson", steps=steps)
