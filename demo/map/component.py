"""`Scatter`, a `gr.HTML` subclass, and the records that travel to its JavaScript.

Long arrays travel as base64 (16 bits a point, or one bit), never as JSON lists, which Gradio would stringify at every update.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

HERE = Path(__file__).parent
SCRIPT = ("state", "drawing", "selecting", "gestures", "pictures", "legend", "messages")  # joined in this order
NOWHERE = 0xFFFF  # the code of a point that belongs to no group


def pack_bits(rows: Iterable[int], n: int) -> str:
    """Return rows (each in 0..n-1) as a base64 bitset, the lowest bit of each byte first."""
    mask = np.zeros(n, bool)
    mask[np.asarray(list(rows), np.int64)] = True
    return base64.b64encode(np.packbits(mask, bitorder="little").tobytes()).decode()


def encode_selection(rows: Iterable[int], n: int) -> dict[str, Any]:
    """Return the message that makes the page select these rows; raises ValueError for a row out of range."""
    rows = _checked_rows(list(rows), n)
    return {"n": n, "count": len(rows), "bits": pack_bits(rows, n)}


def decode_selection(payload: Any, n: int) -> list[int]:
    """Return the sorted rows in a message from the page, or in a plain list from an API client.

    Anyone can post anything: raises ValueError naming the wrong value.
    """
    if payload is None:
        return []
    if isinstance(payload, list):
        return _checked_rows(payload, n)
    if not isinstance(payload, dict) or not isinstance(payload.get("bits"), str):
        raise ValueError("A selection is a list of row numbers, or an object with n, count and bits.")
    if payload.get("n") != n:
        raise ValueError(f"The selection is for {payload.get('n')!r} points; this map has {n:,}.")
    return _rows_of_bits(payload["bits"], n)


def _checked_rows(rows: list, n: int) -> list[int]:
    if len(rows) > n:
        raise ValueError(f"{len(rows):,} rows were sent; this map has {n:,} points.")
    for row in rows:
        if isinstance(row, bool) or not isinstance(row, (int, np.integer)) or not 0 <= row < n:
            raise ValueError(f"{row!r:.40} is not a row number from 0 to {n - 1:,}.")
    return sorted({int(row) for row in rows})


def _rows_of_bits(bits: str, n: int) -> list[int]:
    size = (n + 7) // 8
    if len(bits) > 4 * ((size + 2) // 3):
        raise ValueError(f"The selection is longer than {size:,} bytes.")
    try:
        raw = base64.b64decode(bits, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("The selection is not valid base64.") from error
    if len(raw) != size:
        raise ValueError(f"The selection holds {len(raw):,} bytes; {n:,} points need {size:,}.")
    mask = np.unpackbits(np.frombuffer(raw, np.uint8), bitorder="little")
    if mask[n:].any():
        raise ValueError(f"The selection names points beyond the last one, {n - 1:,}.")
    return np.flatnonzero(mask[:n]).tolist()


@dataclass(frozen=True, eq=False)
class Scheme:
    """One way to color the points: `codes` (n,) of integers, an index into `names`; -1 means no group.

    Without codes the page asks for them when a person first wants to see the scheme. ordered: the names are levels, from low to high.
    about: what the scheme shows; abouts: what each name means.
    """

    title: str
    names: tuple[str, ...]
    codes: np.ndarray | None = None
    ordered: bool = False
    about: str = ""
    abouts: tuple[str, ...] = ()

    def message(self) -> dict[str, Any]:
        words = {"title": self.title, "names": list(self.names), "about": self.about, "abouts": list(self.abouts)}
        return words | {"ordered": self.ordered, "codes": None if self.codes is None else pack_codes(self.codes)}


def pack_codes(codes: np.ndarray) -> str:
    """Return codes (n,) of integers, -1 for no group, as base64 of 16 bits each."""
    return base64.b64encode(np.where(codes < 0, NOWHERE, codes).astype("<u2").tobytes()).decode()


@dataclass(frozen=True, eq=False)
class Paint:
    """The color schemes of the map, by key, and the one to show first."""

    schemes: dict[str, Scheme]
    active: str

    def message(self) -> str:
        return json.dumps({"active": self.active, "schemes": {k: s.message() for k, s in self.schemes.items()}})


@dataclass(frozen=True)
class Marks:
    """The state of a request: all forgotten rows, those of the last request, the clusters it touches, whether it runs.

    done: those of the touched clusters that have been retrained so far.
    """

    forgotten: tuple[int, ...] = ()
    recent: tuple[int, ...] = ()
    touched: tuple[int, ...] = ()
    working: bool = False
    done: tuple[int, ...] = ()

    def message(self, n: int) -> str:
        bits = {"forgotten": pack_bits(self.forgotten, n), "recent": pack_bits(self.recent, n)}
        return json.dumps({**bits, "touched": list(self.touched), "working": self.working, "done": list(self.done)})


class Scatter(gr.HTML):
    """A map of n points. Its value is the list of selected rows; `select` fires when a person changes the selection.

    n: of all rows, those in the file and spare ones after them for pictures that come later; every array has as many entries.
    points: path of a little-endian float32 file (rows, 2) in 0..1 under Gradio's static paths. own: the spare rows in use, as JSON
    [[row, x, y], ...]; the others are not on the map. texts: the words shown on the component. thumbnail: answers the browser,
    which sends {"token", ...} with "row" for the card of a picture {"src", "title", "lines"}; "rows" for {"pictures": [[row, src], ...]};
    or "scheme" for {"codes"} of a scheme that came without any, as `pack_codes` returns them. None: nothing to show.
    """

    def __init__(
        self,
        value: list[int] | None = None,
        *,
        n: int = 0,
        points: str = "",
        own: str = "",
        token: str = "",
        paint: str = "",
        marks: str = "",
        texts: dict[str, str] | None = None,
        thumbnail: Callable[[dict], dict] | None = None,
        **kwargs: Any,
    ):
        self.n = n
        super().__init__(
            value=value,
            html_template=filled((HERE / "scatter.html").read_text(), texts or {}),
            css_template=(HERE / "scatter.css").read_text(),
            js_on_load="\n".join((HERE / "script" / f"{part}.js").read_text() for part in SCRIPT),
            apply_default_css=False,
            server_functions=[thumbnail] if thumbnail else None,
            n=n,
            points=points,
            own=own,
            token=token,
            paint=paint,
            marks=marks,
            **kwargs,
        )

    def preprocess(self, payload: Any) -> list[int]:  # type: ignore[override]
        """Check and decode what the browser sent; an invalid message becomes a `gr.Error`."""
        try:
            return decode_selection(payload, self.n)
        except ValueError as error:
            raise gr.Error(str(error), title="Selection") from error

    def postprocess(self, value: list[int] | None) -> dict[str, Any]:  # type: ignore[override]
        """Encode the rows to select."""
        return encode_selection(value or [], self.n)

    def api_info(self) -> dict[str, Any]:
        return {"type": "array", "items": {"type": "integer"}, "description": "row numbers of selected samples"}

    def example_payload(self) -> list[int]:
        return [0, 1]

    def example_value(self) -> list[int]:
        return [0, 1]


def filled(template: str, texts: dict[str, str]) -> str:
    for key, text in texts.items():
        template = template.replace(f"[[{key}]]", html.escape(text, quote=True))
    return template
