"""Reads a page's address: selection, seed, the step of the lesson, the open tab, hidden parts. Needed to restore a permalink.

`?dataset=digits&preset=fast&seed=3&select=3,17,200-240&data=0123456789abcdef&tab=proof&step=2&hide=map,results`. Instead of numbers,
`select=random-10` draws that many images with `seed`, the only random choice on the page: training derives its seeds from
what it trains. `forgot` lists what the sender had forgotten; a page that opens the link selects it, too. `data` says which pictures the
numbers refer to (`numbering.py`); a selection made for other pictures is ignored.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from core.data.samples import Samples
from core.data.selection import select
from core.errors import InputError
from demo import texts
from demo.selection.numbering import Numbering
from demo.selection.numbers import parse_numbers

STEPS = 5
MOST_SEED = 2**32 - 1
MOST_CHARS = 1800  # of a selection inside a link: longer addresses are cut by some programs
HIDEABLE = ("top", "status", "map", "choose", "request", "results")
CONTENT = {"map", "choose", "request", "results"}  # without all of these nothing is left to see


@dataclass(frozen=True)
class Link:
    """The valid parameters of an address, and the problems with the others, in words."""

    rows: tuple[int, ...] = ()
    drawn: int = 0  # how many of the rows were drawn at random
    forgot: tuple[int, ...] = ()  # rows that the sender had forgotten, not among the others
    seed: int = 0
    problems: tuple[str, ...] = ()


def read(query: Mapping[str, str], samples: Samples, numbering: Numbering) -> Link:
    """Return the parameters of an address for a page with these samples; invalid ones keep their default and are listed in `problems`."""
    problems: list[str] = []

    def attempt(value, default):
        try:
            return value()
        except InputError as error:
            problems.append(str(error))
            return default

    seed = attempt(lambda: _whole(query, "seed", 0, MOST_SEED), 0)
    drawn = attempt(lambda: _drawn(query.get("select") or "", len(samples)), 0)
    same = attempt(lambda: _same_pictures(query, numbering, drawn), False)
    rows = attempt(lambda: draw(samples, drawn, seed) if drawn else _rows(query.get("select") or "", len(samples)), []) if same else []
    forgot = attempt(lambda: _rows(query.get("forgot") or "", len(samples)), []) if same else []
    forgotten = sum(row in numbering.forgotten for row in {*rows, *forgot})
    rows, forgot = ([row for row in some if row not in numbering.forgotten] for some in (rows, forgot))
    if forgotten:
        problems.append(texts.forgotten_numbers(forgotten))
    if rows and numbering.permanent and not query.get("data"):
        problems.append(texts.LINK_UNCHECKED)
    attempt(lambda: _whole(query, "step", 1, STEPS), 0)
    attempt(lambda: _known(query, "tab", texts.TABS, texts.TABS_RENAMED), None)
    attempt(lambda: _known(query, "hide", HIDEABLE), None)
    if set((query.get("hide") or "").split(",")) >= CONTENT:
        problems.append(texts.LINK_HIDES_ALL)
    only = tuple(row for row in forgot if row not in set(rows))
    return Link(tuple(rows), drawn if rows else 0, only, seed, tuple(dict.fromkeys(problems)))


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


def _same_pictures(query: Mapping[str, str], numbering: Numbering, drawn: int) -> bool:
    """Return True; raises InputError if the selection was made for other pictures."""
    try:
        numbering.check(query.get("data"))
    except InputError as error:
        raise InputError(texts.LINK_SELECTION.format(error)) from error
    if drawn and numbering.forgotten:
        raise InputError(texts.LINK_SELECTION.format(texts.draws_others(len(numbering.forgotten))))
    return True


def _rows(text: str, n: int) -> list[int]:
    try:
        return [] if text.startswith("random-") else parse_numbers(text, n)
    except InputError as error:
        raise InputError(texts.LINK_SELECTION.format(error)) from error


def _known(query: Mapping[str, str], name: str, allowed: tuple[str, ...], earlier: Collection[str] = ()) -> None:
    for part in filter(None, (query.get(name) or "").split(",")):
        if part not in allowed and part not in earlier:
            raise InputError(texts.BAD_LINK.format(name, part[:40], texts.one_of(allowed)))
