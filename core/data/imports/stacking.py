"""Decodes the images of a set one after another into one array of one size; those that cannot be used are reported and left out."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageOps

from core.data.images import LARGEST_SIDE, MIB, Decoded, decode, within
from core.data.imports.options import ImportOptions
from core.data.imports.placing import Found
from core.data.imports.report import ImportReport
from core.errors import UnusableImage

IN_MEMORY = 1024 * MIB  # a larger array lies in a file without a name, which ends with the process
Tell = Callable[[int, int], None]  # images done, images in all


def stacked(
    images: Sequence[Found], options: ImportOptions, report: ImportReport, tell: Tell | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the images that can be used (k, h, w, 3) uint8, and their rows (k,) among the given ones.

    Squares of one common size up to 256 px stay as they are. Otherwise all become squares of the options' size, fitted as the options say.
    Raises DataError over the limits of the whole set.
    """
    stack = _Stack(len(images), options)
    rows, pixels = [], 0
    for row, image in enumerate(images):
        try:
            decoded = decode(image.read(), image.name, options.limits, options.size)
        except UnusableImage as error:
            report.skip(image.name, error.reason)
        else:
            pixels += decoded.pixels.shape[0] * decoded.pixels.shape[1]
            within("pixels in the set", pixels, options.limits.set_pixels, "scale the images down")
            stack.add(decoded)
            report.repair(decoded.repairs)
            rows.append(row)
        if tell is not None:
            tell(row + 1, len(images))
    if stack.scaled:
        report.repaired["scaled"] += stack.scaled
    return stack.images(), np.array(rows, np.int64)


def room(shape: tuple[int, ...]) -> np.ndarray:
    """Return an array of bytes to fill: in memory, or in a file without a name where it is large."""
    if int(np.prod(shape, dtype=np.int64)) <= IN_MEMORY:
        return np.empty(shape, np.uint8)
    with tempfile.TemporaryFile(prefix="lmeraser-") as file:
        return np.memmap(file, np.uint8, "w+", shape=shape)


class _Stack:
    """An array that keeps the first image's size until another one comes; then all are fitted to the square."""

    def __init__(self, n: int, options: ImportOptions):
        self._n, self._options = n, options
        self._out: np.ndarray | None = None
        self._done = self.scaled = 0
        self._common: tuple[int, int] | None = None

    def add(self, image: Decoded) -> None:
        size = (image.pixels.shape[0], image.pixels.shape[1])
        if self._out is None:
            self._common = size if size[0] == size[1] <= LARGEST_SIDE else None
            self._out = self._room(self._common or self._square)
        if self._common is not None and size != self._common:
            kept, self._common, self._out = self._out, None, self._room(self._square)
            for row in range(self._done):
                self._out[row] = self._fitted(kept[row])
        self._out[self._done] = image.pixels if self._common else self._fitted(image.pixels)
        self._done += 1

    @property
    def _square(self) -> tuple[int, int]:
        return (self._options.size, self._options.size)

    def images(self) -> np.ndarray:
        return np.zeros((0, *self._square, 3), np.uint8) if self._out is None else self._out[: self._done]

    def _room(self, size: tuple[int, int]) -> np.ndarray:
        shape = (self._n, *size, 3)
        needed = int(np.prod(shape, dtype=np.int64))
        within("bytes of all images as stored", needed, self._options.limits.array_bytes, "give fewer images, or use a smaller backbone")
        return room(shape)

    def _fitted(self, pixels: np.ndarray) -> np.ndarray:
        if pixels.shape[:2] == self._square:
            return pixels
        self.scaled += 1
        image, bicubic = Image.fromarray(pixels), Image.Resampling.BICUBIC
        if self._options.fit == "crop":
            return np.asarray(ImageOps.fit(image, self._square, bicubic))
        if self._options.fit == "pad":
            return np.asarray(ImageOps.pad(image, self._square, bicubic))
        return np.asarray(image.resize(self._square, bicubic))
