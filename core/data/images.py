"""Reads images, archives and folders from outside into memory under limits: every data set of one's own passes through here.

Nothing is written to disk, and whatever cannot be used raises DataError.
"""

from __future__ import annotations

import io
import os
import re
import stat
import struct
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from core.errors import DataError

FORMATS = ("PNG", "JPEG", "WEBP", "BMP")  # the only decoders that input reaches
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
METADATA = "metadata.csv"
COMMON_SIDE = 48  # px: images of different or large sizes are resized to a square of this side, the embedded backbone's input
LARGEST_SIDE = 256  # px: images that all have one size keep it up to here
MIB = 2**20


@dataclass(frozen=True)
class InputLimits:
    """The most that is accepted from outside; each can be lowered for a public page."""

    image_bytes: int = 20 * MIB  # one encoded image
    image_pixels: int = 25_000_000  # one decoded image; a phone's photo has 12 million
    set_images: int = 200_000  # images in one set
    set_pixels: int = 5_000_000_000  # decoded pixels of one set, before resizing: bounds the time spent
    set_bytes: int = 1024 * MIB  # all encoded images of one set, or one data file
    array_bytes: int = 2048 * MIB  # all images of one set after resizing
    classes: int = 1_000  # different labels
    zip_bytes: int = 512 * MIB  # the archive itself
    zip_entries: int = 50_000  # members, folders included
    zip_ratio: int = 100  # bytes unpacked for each byte of the archive; photos have about 1
    name_chars: int = 255  # one member's path, one label or one subject
    metadata_bytes: int = 16 * MIB  # one metadata.csv


def within(what: str, value: int, limit: int, remedy: str) -> None:
    """Raise DataError when the value is over the limit."""
    if value > limit:
        raise DataError(f"{what}: {value:,} is over the limit of {limit:,}; {remedy}.")


def shown(text: object) -> str:
    """Return text from outside for a message: printable, on one line, at most 80 characters."""
    line = ascii(str(text))
    return line if len(line) <= 80 else f"{line[:76]}...'"


def decode_image(data: bytes, name: str = "image", limits: InputLimits = InputLimits()) -> np.ndarray:
    """Return an encoded image as (h, w, 3) uint8: first frame, upright by its EXIF tag, transparency over white.

    Raises DataError for other formats than PNG, JPEG, WebP and BMP, for damaged or truncated data, and over the limits.
    """
    within(f"{shown(name)} in bytes", len(data), limits.image_bytes, "save it smaller")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            within(f"{shown(name)} in pixels", image.width * image.height, limits.image_pixels, "scale it down")
            pixels = np.array(_flat_rgb(ImageOps.exif_transpose(image)))
    except DataError:
        raise
    except UnidentifiedImageError as error:  # its own words name an object in memory
        raise DataError(
            f"{shown(name)} ({len(data):,} bytes) is not an image of a supported format; give a complete PNG, JPEG, WebP or BMP."
        ) from error
    except Exception as error:  # the decoders raise nearly everything on damaged data
        raise DataError(
            f"{shown(name)} ({len(data):,} bytes) cannot be read as an image ({type(error).__name__}: {shown(error)}); "
            "give a complete PNG, JPEG, WebP or BMP."
        ) from error
    if pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise DataError(f"{shown(name)} has shape {pixels.shape}; give an image with at least one pixel.")
    return pixels


def _flat_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    if not image.has_transparency_data:
        return image.convert("RGB")
    rgba = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")


def read_bytes(path: Path, limit: int) -> bytes:
    """Return a regular file's content, at most `limit` bytes; raises DataError."""
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            raise DataError(f"{shown(path.name)} is a link or not a regular file; give the file itself.")
        with open(path, "rb") as file:
            data = file.read(limit + 1)
    except (OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{shown(path.name)} cannot be read ({type(error).__name__}); check that it exists and may be read.") from error
    within(f"{shown(path.name)} in bytes", len(data), limit, "give a smaller file")
    return data


def stack_images(blobs: Sequence[bytes], names: Sequence[str], limits: InputLimits = InputLimits()) -> np.ndarray:
    """Decode images into one array (n, h, w, 3) uint8.

    Images of one common size up to 256 px keep it; otherwise all are resized (bicubic, the aspect ratio is not kept) to
    48x48. Raises DataError for the first that cannot be used, or when there is none.
    """
    if not blobs:
        raise DataError("There are 0 images; give at least 1.")
    within("images in the set", len(blobs), limits.set_images, "give fewer")
    first = decode_image(blobs[0], names[0], limits).shape[:2]
    unscaled = _stacked(blobs, names, first, limits) if max(first) <= LARGEST_SIDE else None
    return unscaled if unscaled is not None else _resized(blobs, names, (COMMON_SIDE, COMMON_SIDE), limits)


def _stacked(blobs: Sequence[bytes], names: Sequence[str], size: tuple[int, int], limits: InputLimits) -> np.ndarray | None:
    """Return the images in one array, or None when they do not all have this size."""
    out = _empty(len(blobs), size, limits)
    for row, image in enumerate(_decoded(blobs, names, limits)):
        if image.shape[:2] != size:
            return None
        out[row] = image
    return out


def _resized(blobs: Sequence[bytes], names: Sequence[str], size: tuple[int, int], limits: InputLimits) -> np.ndarray:
    out = _empty(len(blobs), size, limits)
    for row, image in enumerate(_decoded(blobs, names, limits)):
        same = image.shape[:2] == size
        out[row] = image if same else np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.BICUBIC))
    return out


def _empty(n: int, size: tuple[int, int], limits: InputLimits) -> np.ndarray:
    within("images in memory, in bytes", n * size[0] * size[1] * 3, limits.array_bytes, "give fewer or smaller images")
    return np.empty((n, *size, 3), np.uint8)


def _decoded(blobs: Sequence[bytes], names: Sequence[str], limits: InputLimits) -> Iterator[np.ndarray]:
    pixels = 0
    for blob, name in zip(blobs, names, strict=True):
        image = decode_image(blob, name, limits)
        pixels += image.shape[0] * image.shape[1]
        within("pixels in the set", pixels, limits.set_pixels, "scale the images down")
        yield image


def read_folder(path: Path | str, limits: InputLimits = InputLimits()) -> dict[str, bytes]:
    """Return the images and metadata.csv files under a folder: relative path with slashes -> content, sorted by path.

    Hidden files and system leftovers are skipped; links, odd names and other kinds of files raise DataError.
    """
    files, total = {}, 0
    for name, entry in _walk(Path(path), "", limits):
        files[name] = read_bytes(Path(entry.path), _size_limit(name, limits))
        total += len(files[name])
        within("bytes in the folder", total, limits.set_bytes, "give fewer or smaller images")
        within("files in the folder", len(files), limits.set_images, "give fewer")
    return dict(sorted(files.items()))


def _walk(folder: Path, prefix: str, limits: InputLimits, depth: int = 4) -> Iterator[tuple[str, os.DirEntry]]:
    try:
        entries = sorted(os.scandir(folder), key=lambda e: e.name)
    except OSError as error:
        raise DataError(f"{shown(folder.name)} cannot be listed ({type(error).__name__}); check that it may be read.") from error
    for entry in entries:
        name = check_name(prefix + entry.name, limits)
        if entry.is_symlink():
            raise DataError(f"{shown(name)} is a link; put the file itself there.")
        if entry.is_dir():
            if not depth:
                raise DataError(f"{shown(name)} lies deeper than split/class/image; move it up.")
            yield from _walk(Path(entry.path), f"{name}/", limits, depth - 1)
        elif _wanted(name):
            yield name, entry


def read_zip(path: Path | str, limits: InputLimits = InputLimits()) -> dict[str, bytes]:
    """Return the images and metadata.csv files of a zip archive: path -> content, sorted by path; nothing is extracted.

    Raises DataError for absolute or climbing paths, links, encrypted, doubled or foreign members (archives in the archive
    among them), and over the limits, which count the bytes really unpacked: headers are not trusted.
    """
    path = Path(path)
    data = read_bytes(path, limits.zip_bytes)
    _check_directory(data, path.name, limits)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [m for m in archive.infolist() if _usable(m, limits)]
            within("members of the zip", len(archive.infolist()), limits.zip_entries, "give fewer files")
            return _unpack(archive, members, len(data), limits)
    except DataError:
        raise
    except Exception as error:  # zipfile raises many kinds on damaged archives
        raise DataError(
            f"{shown(path.name)} ({len(data):,} bytes) is not a usable zip archive ({type(error).__name__}: {shown(error)}); pack it again."
        ) from error


def _check_directory(data: bytes, name: str, limits: InputLimits) -> None:
    """Bound the member list before zipfile parses it: it alone could fill the memory."""
    end = data.rfind(b"PK\x05\x06")
    if end < 0 or len(data) < end + 22:
        raise DataError(f"{shown(name)} ({len(data):,} bytes) has no zip directory: it is truncated or not a zip archive; pack it again.")
    if data[max(end - 20, 0) : end].startswith(b"PK\x06\x07"):
        raise DataError(f"{shown(name)} is a zip64 archive, made for over 65,535 members or 4 GiB; pack it as plain zip.")
    (size,) = struct.unpack("<I", data[end + 12 : end + 16])
    within("bytes in the zip's directory", size, limits.zip_entries * (46 + limits.name_chars), "give fewer files, with shorter names")


def _usable(member: zipfile.ZipInfo, limits: InputLimits) -> bool:
    """Check one member by its header; return whether to read it."""
    name = check_name(member.orig_filename.removesuffix("/"), limits)
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise DataError(f"{shown(name)} is a link or a special file in the zip; pack the file itself.")
    if member.is_dir():
        return False
    if member.flag_bits & 1:
        raise DataError(f"{shown(name)} is encrypted; pack it without a password.")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError(f"{shown(name)} is packed by method {member.compress_type}; use 'deflate' or 'store'.")
    return _wanted(name)


def _unpack(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], packed: int, limits: InputLimits) -> dict[str, bytes]:
    files, total = {}, 0
    for member in members:
        name = member.filename
        if name in files:
            raise DataError(f"{shown(name)} is in the zip more than once; pack it again.")
        with archive.open(member) as file:
            files[name] = file.read(_size_limit(name, limits) + 1)
        total += len(files[name])
        within(f"{shown(name)} in bytes", len(files[name]), _size_limit(name, limits), "save it smaller")
        within("bytes unpacked for each byte of the zip", total // packed, limits.zip_ratio, "pack photos, not blank images")
        if len(files[name]) != member.file_size:
            raise DataError(f"{shown(name)} claims {member.file_size:,} bytes but holds {len(files[name]):,}; pack it again.")
        within("bytes in the zip", total, limits.set_bytes, "give fewer or smaller images")
    return dict(sorted(files.items()))


def check_name(name: str, limits: InputLimits = InputLimits()) -> str:
    """Return a relative path that is safe to show and to compare; raises DataError for any other."""
    within("characters in a file's path", len(name), limits.name_chars, "use a shorter one")
    climbs = any(part in ("", ".", "..") for part in name.split("/"))
    if climbs or "\\" in name or re.match("[A-Za-z]:", name) or not name.isprintable():
        raise DataError(f"{shown(name)} is not a plain relative path; use names without '..', '\\', drive letters and control characters.")
    return name


def _wanted(name: str) -> bool:
    """Tell images and metadata from leftovers to skip; anything else raises DataError."""
    parts = name.split("/")
    if any(part.startswith(".") or part == "__MACOSX" for part in parts) or parts[-1] in ("Thumbs.db", "desktop.ini"):
        return False
    if parts[-1] != METADATA and not name.lower().endswith(SUFFIXES):
        raise DataError(f"{shown(name)} is neither {', '.join(SUFFIXES)} nor {METADATA}; take it out.")
    return True


def _size_limit(name: str, limits: InputLimits) -> int:
    return limits.metadata_bytes if name.endswith(METADATA) else limits.image_bytes
