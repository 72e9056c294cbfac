"""Images as PNG data URIs, and a cluster's prompt as such a picture.

Tokens become a heat map, pixel prompts a frame around the mean image that the backbone expects. Arrays come from
`core.lmeraser.prompts.drawable`. Blue is below zero and orange above, which reads without color vision.
"""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from demo.session.requests import Portrait

LOW, MIDDLE, HIGH = np.array([33, 92, 168]), np.array([243, 244, 244]), np.array([208, 96, 12])
REACH = 110  # grey levels that the strongest pixel is drawn away from the mean image


def data_uri(image: np.ndarray) -> str:
    """Return a PNG of an image (h, w, 3) uint8 as a data URI, so that it is stored nowhere."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def portrait(before: np.ndarray | None, after: np.ndarray) -> Portrait:
    """Return a prompt before and after, and the difference, on one scale: of tokens (p, dim), or offsets of pixels (s, s, 3)."""
    draw, kind = (_frame, "frame") if after.ndim == 3 else (_heat, "matrix")
    comparable = before is not None and before.shape == after.shape
    shown = [before, after, after - before] if comparable else [after]
    scale = max(max(float(np.abs(a).max(initial=0)) for a in shown), 1e-9)
    pictures = [data_uri(draw(a / scale)) for a in shown]
    return Portrait(kind, *pictures) if comparable else Portrait(kind, None, pictures[0], None)


def _heat(values: np.ndarray) -> np.ndarray:
    """Return values (p, d) in -1..1 as an RGB image, one pixel each."""
    share = np.abs(values)[..., None]
    return (MIDDLE + share * (np.where(values[..., None] < 0, LOW, HIGH) - MIDDLE)).astype(np.uint8)


def _frame(offsets: np.ndarray) -> np.ndarray:
    """Return offsets (s, s, 3) in -1..1 as an RGB image around mid-grey."""
    return np.clip(128 + REACH * offsets, 0, 255).astype(np.uint8)
