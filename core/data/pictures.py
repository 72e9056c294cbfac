"""Turns one picture from outside, drawn or photographed, into an image like those of a data set: its size, and its kind of strokes.

You need it to let a person teach a model a picture of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from core.data.images import InputLimits, decode_image
from core.data.samples import Samples
from core.errors import DataError

LIMITS = InputLimits(image_bytes=4 * 2**20, image_pixels=16_000_000)
LOOKED_AT = 500  # samples that say what the pictures of a data set are like
INK = 64  # of 255: what counts as part of a stroke
FAINT = 24  # of 255: a picture with less contrast is empty


@dataclass(frozen=True)
class PictureFrame:
    """What the pictures of a data set are like, and how another picture becomes one of them.

    size: (h, w) in px. gray: whether they have no color. strokes: whether they show light strokes on a dark ground; a picture then
    becomes such strokes, `height` px high and in the middle. Otherwise it is cut to their shape and scaled.
    """

    size: tuple[int, int]
    gray: bool = False
    strokes: bool = False
    height: int = 0

    @classmethod
    def of(cls, samples: Samples) -> PictureFrame:
        """Return the frame of a data set's pictures."""
        looked = samples.images[:LOOKED_AT]
        size = (looked.shape[1], looked.shape[2])
        gray = bool(len(looked)) and not np.ptp(looked, axis=3).any()
        strokes = gray and float(np.median(looked)) < INK / 2
        heights = [_box(image[..., 0])[1] - _box(image[..., 0])[0] for image in looked] if strokes else []
        return cls(size, gray, strokes, int(np.median(heights)) if heights else size[0])

    def fitted(self, data: bytes, name: str = "your picture", limits: InputLimits = LIMITS) -> np.ndarray:
        """Return an encoded picture as an image (h, w, 3) uint8 of this frame; one of this size and kind stays as it is.

        Raises DataError for what is no picture, is over the limits, or shows nothing.
        """
        pixels = decode_image(data, name, limits)
        fits = pixels.shape[:2] == self.size and not (self.gray and np.ptp(pixels, axis=2).any())
        if not self.strokes:
            image = pixels if fits else self._cut(pixels)
            return np.repeat(_luminance(image)[..., None], 3, axis=2) if self.gray else image
        ink = _luminance(pixels)
        if fits and float(np.median(ink)) < INK / 2:
            return _shown(pixels)
        return self._drawn(ink)

    def _cut(self, pixels: np.ndarray) -> np.ndarray:
        """Return the middle of a picture, in this frame's shape, scaled to its size."""
        (height, width), (h, w) = pixels.shape[:2], self.size
        scale = min(height / h, width / w)
        tall, wide = max(1, round(h * scale)), max(1, round(w * scale))
        top, left = (height - tall) // 2, (width - wide) // 2
        middle = Image.fromarray(pixels[top : top + tall, left : left + wide])
        return np.asarray(middle.resize((w, h), Image.Resampling.LANCZOS))

    def _drawn(self, ink: np.ndarray) -> np.ndarray:
        """Return a picture's strokes (h, w), light or dark, as light ones on black in the middle of the frame."""
        ground = np.median(np.concatenate([ink[0], ink[-1], ink[:, 0], ink[:, -1]]))
        strength = np.abs(ink.astype(np.float64) - ground)
        if strength.max() < FAINT:
            raise DataError("Your picture is empty, or its strokes can hardly be told from the ground. Draw or photograph it again.")
        strength = strength / strength.max() * 255
        top, bottom, left, right = _box(strength)
        cut = strength[top:bottom, left:right]
        (h, w), scale = self.size, self.height / cut.shape[0]
        scale = min(scale, (self.size[1] - (2 if self.size[1] > 12 else 0)) / cut.shape[1])
        tall, wide = (int(np.clip(round(side * scale), 1, most)) for side, most in zip(cut.shape, (h, w), strict=True))
        small = np.asarray(Image.fromarray(cut.astype(np.float32)).resize((wide, tall), Image.Resampling.BOX))
        frame = np.zeros((h, w))
        frame[(h - tall) // 2 :, (w - wide) // 2 :][:tall, :wide] = small * (255 / max(small.max(), 1.0))
        return _shown(np.repeat(np.rint(frame).astype(np.uint8)[..., None], 3, axis=2))


def _luminance(pixels: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).convert("L"))


def _box(ink: np.ndarray) -> tuple[int, int, int, int]:
    """Return top, bottom, left and right of what is inked (h, w); the whole where nothing is."""
    rows, columns = np.flatnonzero((ink >= INK).any(1)), np.flatnonzero((ink >= INK).any(0))
    if not len(rows):
        return 0, ink.shape[0], 0, ink.shape[1]
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def _shown(image: np.ndarray) -> np.ndarray:
    if image.max() < FAINT:
        raise DataError("Your picture is empty. Draw or photograph something first.")
    return image
