"""More ways to select than drawing on the map: by likeness, by group, at random, from a file; and the selection as link and file.

Rows and words only: what could be added is said by `groups`, HTML is written by `toolbar`.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from core.errors import InputError
from core.selection import select
from demo import permalink, selection_file, texts
from demo.groups import addable
from demo.handlers import Handlers, Updates
from demo.rows import ranges
from demo.session import Visitor


class Selecting:
    """The events of the top bar, of the small actions beside the selection and of drawing at random, for one lab."""

    def __init__(self, handlers: Handlers):
        self.handlers, self.lab = handlers, handlers.lab

    def add(self, token: str | None, event: gr.EventData) -> Updates:
        """Add what one of the small actions names: the most similar images, or what is left of a group."""
        visitor = self.lab.ready(self.handlers.guest(token))
        rows = addable(self.lab, visitor, event._data.get("add") if isinstance(event._data, dict) else None)
        if not rows:
            raise InputError(texts.NONE_LIKE_IT)
        return self.handlers.reselected(visitor, sorted({*visitor.selection, *rows}))

    def draw(self, token: str | None, count: float | None, seed: float | None) -> Updates:
        """Select images at random, among those still in the model; raises InputError for a count or seed that cannot be."""
        visitor = self.handlers.guest(token)
        count = _whole("count", count, 1, len(self.lab.samples))
        seed = _whole("seed", seed, 0, permalink.MOST_SEED)
        samples = self.lab.samples if visitor.eraser is None else visitor.eraser.samples_
        updates = self.handlers.reselected(visitor, self.lab.rows(select(samples, count=count, seed=seed)))
        visitor.seed, visitor.drawn = seed, 0 if visitor.requests else count
        return updates

    def opened(self, token: str | None, event: gr.EventData) -> Updates:
        """Select what a file names that the visitor opened; raises InputError saying what is wrong with it."""
        visitor = self.handlers.guest(token)
        data = event._data if isinstance(event._data, dict) else {}
        text, size = data.get("text"), data.get("size")
        if not isinstance(text, str):  # the page does not send what is too large
            size = size if isinstance(size, int) else 0
            raise InputError(texts.file_too_large(size, selection_file.MOST_BYTES))
        return self.handlers.present(visitor, selection_file.read(text, self.lab.engine.pair[0], self.lab.samples))

    def saved(self, asked: Any) -> dict[str, str] | None:
        """Return name and text of the selection's file, to the visitor whose token is given; None for anyone else."""
        visitor = self.lab.find(asked.get("token")) if isinstance(asked, dict) else None
        if visitor is None:
            return None
        pair = self.lab.engine.pair
        return {"name": texts.SAVED_NAME.format(pair[0]), "text": selection_file.write(visitor.selection, pair, self.lab.samples)}

    def linked(self, asked: Any) -> dict[str, Any] | None:
        """Return the part of a permalink that the server knows, and whether it fits into one; None for a stranger."""
        visitor = self.lab.find(asked.get("token")) if isinstance(asked, dict) else None
        if visitor is None:
            return None
        dataset, preset = self.lab.engine.pair
        chosen = _as_text(visitor)
        known = {"dataset": dataset, "preset": preset, "seed": str(visitor.seed), "select": chosen}
        return known | {"fits": len(chosen) <= permalink.MOST_CHARS}

    def too_long(self, token: str | None) -> Updates:
        """Say why the selection does not fit into a link; raises InputError."""
        raise InputError(texts.LINK_TOO_LONG.format(len(_as_text(self.handlers.guest(token))), permalink.MOST_CHARS))


def _as_text(visitor: Visitor) -> str:
    return f"random-{visitor.drawn}" if visitor.drawn else ranges(visitor.selection)


def _whole(name: str, value: float | None, least: int, most: int) -> int:
    if value is None or not least <= value <= most or value != int(value):
        raise InputError(texts.BAD_NUMBER.format(name, "nothing" if value is None else f"{value:g}", texts.whole(least, most)))
    return int(value)
