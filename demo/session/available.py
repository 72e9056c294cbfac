"""Which pairs of data set and preset are available, and under which path each has its page. Knows no labs and no components."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from core.errors import InputError
from demo import texts

Pair = tuple[str, str]  # data set, preset


@dataclass(frozen=True)
class Offers:
    """The pairs in the order of their pages; the first is at home, without a path."""

    pairs: tuple[Pair, ...]
    own: str = ""  # where the page for a visitor's own images is, from the root of this site; '' where there is none
    back: bool = False  # whether this site shows such images, so that `own` leads back to them

    def __post_init__(self):
        paths = [self.path(pair) for pair in self.pairs]
        twice = next((p for p in paths if paths.count(p) > 1), None)
        if not self.pairs:
            raise InputError(texts.NO_MODELS)
        if twice is not None:
            raise InputError(texts.SAME_PAGE.format(twice))

    @property
    def datasets(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(dataset for dataset, _ in self.pairs))

    @property
    def presets(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(preset for _, preset in self.pairs))

    def path(self, pair: Pair) -> str:
        """Return where a pair has its page, below the root of the site."""
        return "" if pair == self.pairs[0] else re.sub(r"[^a-z0-9]+", "-", "-".join(pair).lower()).strip("-")

    def chosen(self, query: Mapping[str, str], here: Pair) -> Pair:
        """Return the pair that an address on the page of `here` asks for; raises InputError for one that is not offered."""
        wanted = (query.get("dataset") or here[0], query.get("preset") or here[1])
        if wanted not in self.pairs:
            raise InputError(texts.NOT_AVAILABLE.format(" · ".join(wanted)[:60], ", ".join(" · ".join(pair) for pair in self.pairs)))
        return wanted
