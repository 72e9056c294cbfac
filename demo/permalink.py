"""A page's address, read: the selection, the seed, the lesson's step, the open tab and what is hidden. Pure; opens nothing.

`?dataset=digits&preset=fast&seed=3&select=3,17,200-240&tab=proof&step=2&hide=map,results`. Instead of numbers, `select=random-10`
draws so many images with `seed`, the only thing on the page that is left to chance: training draws its own seeds from what it trains.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from core.errors import InputError
from core.selection import select
from core.types import Samples
from demo import texts
from demo.rows import parse_numbers

STEPS = 5
MOST_SEED = 2**32 - 1
MOST_CHARS = 1800  # of a selection inside a link: longer addresses are cut by some programs
HIDEABLE = ("top", "status", "map", "choose", "request", "results")


@dataclass(frozen=True)
class Link:
    """What an address asks for, and in words what it asks for in vain."""

    rows: tuple[int, ...] = ()
    drawn: int = 0  # so many of the rows were drawn at random
    seed: int = 0
    problems: tuple[str, ...] = ()


def read(query: Mapping[str, str], samples: Samples) -> Link:
    """Return what an address asks of a page with these samples; what cannot be is left at its default and named in `problems`."""
    problems: list[str] = []

    def attempt(value, default):
        try:
            return value()
        except InputError as error:
            problems.append(str(error))
            return default

    seed = attempt(lambda: _whole(query, "seed", 0, MOST_SEED), 0)
    drawn = attempt(lambda: _drawn(query.get("select") or "", len(samples)), 0)
    rows = attempt(lambda: draw(samples, drawn, seed) if drawn else _rows(query.get("select") or "", len(samples)), [])
    attempt(lambda: _whole(query, "step", 1, STEPS), 0)
    attempt(lambda: _known(query, "tab", texts.TABS), None)
    attempt(lambda: _known(query, "hide", HIDEABLE), None)
    return Link(tuple(rows), drawn if rows else 0, seed, tuple(dict.fromkeys(problems)))


def draw(samples: Samples, count: int, seed: int) -> list[int]:
    """Return the rows of `count` samples drawn at random; raises InputError when there are fewer."""
    return samples.rows(select(samples, count=count, seed=seed)).tolist()


def _whole(query: Mapping[str, str], name: str, least: int, most: int) -> int:
    text = query.get(name) or ""
    if not text:
        return least
    if not re.fullmatch(r"\d{1,10}", text) or not least <= int(text) <= most:
        raise InputError(texts.BAD_LINK.format(name, text[:40], texts.whole(least, most)))
    return int(text)


def _drawn(text: str, n: int) -> int:
    if not text.startswith("random-"):
        return 0
    found = re.fullmatch(r"random-([1-9]\d{0,8})", text)
    if not found or int(found[1]) > n:
        raise InputError(texts.BAD_LINK.format("select", text[:40], f"random- and {texts.whole(1, n)}"))
    return int(found[1])


def _rows(text: str, n: int) -> list[int]:
    try:
        return [] if text.startswith("random-") else parse_numbers(text, n)
    except InputError as error:
        raise InputError(texts.LINK_SELECTION.format(error)) from error


def _known(query: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> None:
    for part in filter(None, (query.get(name) or "").split(",")):
        if part not in allowed:
            raise InputError(texts.BAD_LINK.format(name, part[:40], texts.one_of(allowed)))
