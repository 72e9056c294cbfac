"""Decodes images from outside under limits: every picture that a person brings passes through here.

Nothing is written to disk, and whatever cannot be used raises an error that names it, the limit and the remedy.
"""

from __future__ import annotations

import io
import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from core.errors import DataError, UnusableImage

FORMATS = ["PNG", "JPEG", "WEBP", "BMP", "DIB", "GIF", "TIFF", "AVIF", "JPEG2000", "PPM", "TGA", "ICO"]  # all that input reaches
KINDS = "PNG, JPEG, WebP, BMP, GIF, TIFF, AVIF or HEIC"
SUFFIXES: tuple[str, ...] = (
    ".png",
    ".jpg",
    ".jpeg",
    ".jpe",
    ".jfif",
    ".mpo",
    ".webp",
    ".bmp",
    ".dib",
    ".gif",
    ".tif",
    ".tiff",
    ".avif",
    ".jp2",
    ".j2k",
)
SUFFIXES += (".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".ico", ".heic", ".heif", ".hif")
LARGEST_SIDE = 256  # px: images that all have one size keep it up to here
DETAIL = 2  # a JPEG is decoded at no less than this multiple of the size that is asked for
MIB = 2**20

try:
    import pillow_heif
except ImportError:  # where only the engine is installed
    pass
else:
    pillow_heif.register_heif_opener(thumbnails=False)
    FORMATS.append("HEIF")


@dataclass(frozen=True)
class InputLimits:
    """The most that is accepted from outside; each can be lowered for a public page."""

    image_bytes: int = 64 * MIB  # one encoded image
    image_pixels: int = 80_000_000  # one decoded image; a JPEG may have more, since it is decoded smaller
    set_images: int = 200_000  # images in one set
    set_pixels: int = 50_000_000_000  # decoded pixels of one set: bounds the time spent
    set_bytes: int = 4096 * MIB  # all encoded images of one set, or one data file
    array_bytes: int = 8192 * MIB  # all images of one set after resizing
    classes: int = 1_000  # different labels
    zip_bytes: int = 4096 * MIB  # the archive itself
    zip_entries: int = 250_000  # members, folders included
    zip_ratio: int = 100  # bytes unpacked for each byte of the archive; photos have about 1
    name_chars: int = 255  # one label or one subject
    path_chars: int = 1_000  # one member's path
    metadata_bytes: int = 64 * MIB  # one table of labels


@dataclass
class Decoded:
    """An image's pixels (h, w, 3) uint8, and what had to be done to get them."""

    pixels: np.ndarray
    repairs: set[str] = field(default_factory=set)


def within(what: str, value: int, limit: int, remedy: str) -> None:
    """Raise DataError when the value is over the limit."""
    if value > limit:
        raise DataError(f"{what}: {value:,} is over the limit of {limit:,}; {remedy}.")


def shown(text: object) -> str:
    """Return text from outside for a message: on one line, at most 80 characters, with control and invisible characters escaped."""
    hidden = lambda c: unicodedata.category(c)[0] in "C" or unicodedata.category(c) in ("Zl", "Zp", "Zs") and c != " "  # noqa: E731
    line = "".join(c.encode("unicode_escape").decode() if hidden(c) else c for c in str(text))
    return f"'{line}'" if len(line) <= 78 else f"'{line[:75]}...'"


def decode_image(data: bytes, name: str = "image", limits: InputLimits = InputLimits()) -> np.ndarray:
    """Return an encoded image as (h, w, 3) uint8: first frame, upright by its EXIF tag, transparency over white.

    Raises UnusableImage for other formats than `FORMATS`, for damaged or truncated data, and over the limits.
    """
    return decode(data, name, limits).pixels


def decode(data: bytes, name: str = "image", limits: InputLimits = InputLimits(), side: int = 0) -> Decoded:
    """Return an image as `decode_image` does, with its repairs: rotated, flattened, converted, first frame.

    With a side in px, a JPEG far larger than it is decoded at a half, quarter or eighth of its size, but at twice the side at least.
    """
    check_size(len(data), name, limits)
    repairs: set[str] = set()
    try:
        with _opened(data) as image:
            many = image.width * image.height
            if side and image.format in ("JPEG", "MPO") and min(image.size) > max(4 * DETAIL * side, LARGEST_SIDE):
                image.draft("RGB", (DETAIL * side, DETAIL * side))
            _check_pixels(image, many, name, limits)
            if getattr(image, "is_animated", False) and image.format not in ("MPO", "ICO"):
                repairs.add("first frame")
            image.load()
            pixels = np.array(_rgb(_upright(image, repairs), repairs))
    except DataError:
        raise
    except (UnidentifiedImageError, Image.DecompressionBombError) as error:  # the first one's own words name an object in memory
        bomb = isinstance(error, Image.DecompressionBombError)
        reason = "far too many pixels" if bomb else "not an image of a format that is read here"
        raise UnusableImage(f"{shown(name)} ({len(data):,} bytes): {reason}; give a complete {KINDS}.", reason) from error
    except Exception as error:  # the decoders raise nearly everything on damaged data
        raise UnusableImage(
            f"{shown(name)} ({len(data):,} bytes) cannot be read as an image ({type(error).__name__}: {shown(error)}); "
            f"give a complete {KINDS}.",
            "damaged or cut off",
        ) from error
    if pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise UnusableImage(f"{shown(name)} has shape {pixels.shape}; give an image with at least one pixel.", "no pixels")
    return Decoded(pixels, repairs)


def check_size(size: int, name: str, limits: InputLimits) -> None:
    """Raise UnusableImage for an empty file, or one of more bytes than an image may have."""
    if not size:
        raise UnusableImage(f"{shown(name)} is empty; give a complete {KINDS}.", "empty file")
    if size > limits.image_bytes:
        raise UnusableImage(
            f"{shown(name)} in bytes: {size:,} is over the limit of {limits.image_bytes:,}; save it smaller.",
            f"over {limits.image_bytes:,} bytes",
        )


@contextmanager
def _opened(data: bytes) -> Iterator[Image.Image]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd metadata, and of sizes, which are checked here
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            yield image


def _check_pixels(image: Image.Image, many: int, name: str, limits: InputLimits) -> None:
    if image.width * image.height > limits.image_pixels:
        raise UnusableImage(
            f"{shown(name)} in pixels: {many:,} is over the limit of {limits.image_pixels:,}; scale it down.",
            f"over {limits.image_pixels:,} pixels",
        )


def _upright(image: Image.Image, repairs: set[str]) -> Image.Image:
    """Return an image as its EXIF tag says it is to be seen; a tag that cannot be read says nothing."""
    try:
        if image.getexif().get(0x0112, 1) not in range(2, 9):
            return image
        upright = ImageOps.exif_transpose(image)
    except Exception:  # the pixels are sound
        return image
    repairs.add("rotated")
    return upright


def _rgb(image: Image.Image, repairs: set[str]) -> Image.Image:
    """Return an image of any mode in RGB; 16 bits keep the high eight, other numbers are spread over 0..255."""
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
        repairs.add("converted")
    elif image.mode in ("I", "F"):
        image = Image.fromarray(_spread(np.asarray(image).astype(np.float64)))
        repairs.add("converted")
    if not image.has_transparency_data:
        if image.mode not in ("RGB", "L"):
            repairs.add("converted")
        return image.convert("RGB")
    rgba = image.convert("RGBA")
    if rgba.getchannel("A").getextrema() != (255, 255):
        repairs.add("flattened")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")


def _spread(values: np.ndarray) -> np.ndarray:
    """Return numbers as 0..255: as they are where they fit, times 255 where none is over 1, else from their least to their greatest."""
    values = np.nan_to_num(values, posinf=0.0, neginf=0.0)
    low, high = values.min(), values.max()
    if low >= 0 and high <= 255:
        values = values * 255 if 0 < high <= 1 else values
    elif high > low:
        values = (values - low) / (high - low) * 255
    else:
        values = np.zeros_like(values)
    return np.rint(values).astype(np.uint8)
