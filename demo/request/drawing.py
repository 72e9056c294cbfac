"""`Drawing`, a `gr.HTML` subclass: a sheet that a visitor draws on, or lays a photo on. Its value is the encoded picture."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from core.data.pictures import LIMITS
from demo import texts
from demo.map.component import filled

HERE = Path(__file__).parent


def decode_picture(payload: Any) -> bytes | None:
    """Return the bytes of a picture in a message from the page: base64, alone or as a data URI; None when the sheet is empty.

    Anyone can post anything: raises ValueError naming what is wrong.
    """
    if payload in (None, ""):
        return None
    if not isinstance(payload, str):
        raise ValueError("A picture is sent as base64 text, or as a data URI of an image.")
    if len(payload) > LIMITS.image_bytes * 4 // 3 + 100:
        raise ValueError(f"The picture has more than {LIMITS.image_bytes:,} bytes; save it smaller.")
    try:
        return base64.b64decode(payload.partition("base64,")[2] if payload.startswith("data:") else payload, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("The picture is not valid base64.") from error


class Drawing(gr.HTML):
    """A sheet. strokes: whether one draws light on dark. examples: pictures as data URIs, laid on the sheet one after another."""

    def __init__(self, value: str | None = None, *, strokes: bool = True, examples: Sequence[str] = (), **kwargs: Any):
        super().__init__(
            value=value,
            html_template=filled((HERE / "drawing.html").read_text(), texts.DRAWING),
            css_template=(HERE / "drawing.css").read_text(),
            js_on_load=(HERE / "drawing.js").read_text(),
            apply_default_css=False,
            strokes="yes" if strokes else "no",
            examples=json.dumps(list(examples)),
            seen=kwargs.pop("seen", ""),
            sheet=kwargs.pop("sheet", 0),
            **kwargs,
        )

    def preprocess(self, payload: Any) -> bytes | None:  # type: ignore[override]
        """Check and decode what the browser sent; an invalid message becomes a `gr.Error`."""
        try:
            return decode_picture(payload)
        except ValueError as error:
            raise gr.Error(str(error), title=texts.ERROR_TITLE) from error

    def postprocess(self, value: Any) -> str:
        """A picture never travels from the server to the sheet."""
        return ""

    def api_info(self) -> dict[str, Any]:
        return {"type": "string", "description": "a picture, base64"}

    def example_payload(self) -> str:
        return ""

    def example_value(self) -> str:
        return ""
