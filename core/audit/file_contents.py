"""Reads what a file holds in ways that plain bytes do not show: images, data URIs, archives, compressed files and parquet columns.

The residue scan uses it to look inside files and buffers. Everything is unpacked in memory, under size limits.
"""

from __future__ import annotations

import base64
import binascii
import bz2
import gzip
import io
import lzma
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import numpy as np

from core.data.images import InputLimits, decode_image
from core.errors import DataError

BLOCK = 256 << 20  # bytes of a file in memory at a time
OVERLAP = 1 << 20  # bytes that two blocks of a file share
UNPACKED = 1 << 30  # most bytes that one compressed file is unpacked to
_IMAGES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF", b"BM")
_DATA_URI = re.compile(rb"data:image/[a-z+]{1,10};base64,([A-Za-z0-9+/=]{16,})")
_OPENERS: dict[bytes, Callable[[io.BytesIO], io.BufferedIOBase]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
}


def file_blocks(path: Path) -> Iterator[bytes]:
    """Yield a file's content, cut into overlapping blocks if it is large."""
    with path.open("rb") as file:
        block = file.read(BLOCK)
        while block:
            yield block
            tail = block[-OVERLAP:]
            more = file.read(BLOCK)
            block = tail + more if more else b""


def images_in(data: bytes) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (kind, decoded image (h, w, 3) uint8) for every image in the data, as an image file or in a data URI."""
    for magic in _IMAGES:
        at = data.find(magic)
        while at >= 0 and (magic != b"BM" or at == 0):
            image = _decode_at(data, at)
            if image is not None:
                yield "encoded image", image
            at = data.find(magic, at + 1)
    for match in _DATA_URI.finditer(data):
        try:
            image = _decode_at(base64.b64decode(match[1] + b"=" * (-len(match[1]) % 4)), 0)
        except binascii.Error:
            continue
        if image is not None:
            yield "thumbnail", image


def _decode_at(data: bytes, at: int) -> np.ndarray | None:
    """Return the image that begins at a position in the data, or None. Its length is unknown until it is decoded, so sizes are tried."""
    for size in (1 << 14, 1 << 18, InputLimits().image_bytes):
        try:
            return decode_image(data[at : at + size])
        except DataError:
            if at + size >= len(data):
                break
    return None


def unpacked(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the name and content of each member of a compressed file; nothing for other files. Raises what the format's reader raises."""
    if data.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.infolist():
                with archive.open(member) as file:
                    yield member.filename, _read_limited(file)
    elif data.startswith(b"PAR1"):
        yield from _parquet_columns(data)
    for magic, opener in _OPENERS.items():
        if data.startswith(magic):
            with opener(io.BytesIO(data)) as file:
                yield "content", _read_limited(file)


def _read_limited(file: IO[bytes] | io.BufferedIOBase) -> bytes:
    data = file.read(UNPACKED + 1)
    if len(data) > UNPACKED:
        raise DataError(f"it unpacks to more than {UNPACKED:,} bytes")
    return data


def _parquet_columns(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the buffers of a parquet table's columns, as Arrow decodes them."""
    from pyarrow import parquet

    file = parquet.ParquetFile(io.BytesIO(data))
    if file.metadata.num_rows and sum(file.metadata.row_group(g).total_byte_size for g in range(file.num_row_groups)) > UNPACKED:
        raise DataError(f"it unpacks to more than {UNPACKED:,} bytes")
    for name, column in zip(file.schema_arrow.names, file.read().columns, strict=True):
        for chunk in column.chunks:
            yield from ((name, buffer.to_pybytes()) for buffer in chunk.buffers() if buffer is not None)
