"""Images as PNG data URIs, and a cluster's pixel prompt as such a picture: a frame around mid-gray.

Arrays come from `core.lmeraser.prompts.drawable`. Prompts of tokens are no pictures and are not drawn.
"""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from demo.session.requests import Portrait

REACH = 110  # gray levels that the strongest pixel is drawn away from mid-gray


def data_uri(image: np.ndarray) -> str:
    """Return a PNG of an image (h, w, 3) uint8 as a data URI, so that it is stored nowhere."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def portrait(before: np.ndarray | None, after: np.ndarray | None) -> Portrait | None:
    """Return a pixel prompt (s, s, 3) as pictures on one scale: before, after, and the difference; None for tokens, or without a prompt."""
    if after is None or after.ndim != 3:
        return None
    comparable = before is not None and before.shape == after.shape
    shown = [before, after, after - before] if comparable else [after]
    scale = max(max(float(np.abs(a).max(initial=0)) for a in shown), 1e-9)
    pictures = [data_uri(_frame(a / scale)) for a in shown]
    return Portrait(*pictures) if comparable else Portrait(None, pictures[0], None)


def _frame(offsets: np.ndarray) -> np.ndarray:
    """Return offsets (s, s, 3) in -1..1 as an RGB image around mid-gray."""
    return np.clip(128 + REACH * offsets, 0, 255).astype(np.uint8)
