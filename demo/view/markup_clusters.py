"""The Clusters tab as HTML. Pure functions over `templates/`, like `markup.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from demo import texts
from demo.session.requests import Portrait
from demo.view.render import render


@dataclass(frozen=True)
class Card:
    """One cluster: tiles are (picture as data URI, words) of some of its members, `more` how many it has besides."""

    title: str
    facts: str
    tiles: Sequence[tuple[str, str]]
    more: int
    prompt: Portrait | None = None

    @property
    def pictures(self) -> list[tuple[str, str]]:
        """The prompt as pictures with their names: now alone, or before, after and the difference."""
        if self.prompt is None:
            return []
        if self.prompt.before is None:
            return [(self.prompt.after, texts.PICTURE_NOW)]
        return [(uri, name) for key, name in texts.PICTURES.items() if (uri := getattr(self.prompt, key))]


def cards(title: str, info: str, shown: Sequence[Card], more: str) -> Markup:
    """Several clusters side by side; `more` says how many are not shown."""
    return render("clusters", "cards", title=title, info=info, shown=shown, more=more)


def chosen(card: Card, prompt: str, losses: Sequence[float]) -> Markup:
    """One cluster with more of its pictures, what its prompt is, and its training curve."""
    curve = texts.curve(len(losses), losses[0], losses[-1]) if losses else ""
    return render("clusters", "chosen", card=card, prompt=prompt, points=_sparkline(losses), curve=curve)


def _sparkline(losses: Sequence[float]) -> str:
    """Return the training loss, step by step, as the points of a line 200 wide and 36 high."""
    top, last = max(losses, default=1.0) or 1.0, max(1, len(losses) - 1)
    return " ".join(f"{200 * i / last:.1f},{34 - 30 * loss / top:.1f}" for i, loss in enumerate(losses))
