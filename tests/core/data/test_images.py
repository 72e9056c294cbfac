"""Decoding one image, its limits and its words, and reading one file."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from core.data.images import InputLimits, decode_image, shown
from core.data.imports.files import is_archive, read_bytes
from core.errors import DataError, UnusableImage
from tests.core.data.makers import encoded as encoded_as

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)


def encoded(pixels=PIXELS, kind="PNG", mode=None, **options) -> bytes:
    return encoded_as(pixels, kind, mode, **options)


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("BMP", {}), ("WEBP", {"lossless": True})])
def test_lossless_formats_come_back_exactly(kind, options):
    assert np.array_equal(decode_image(encoded(kind=kind, **options)), PIXELS)


def test_jpeg_is_close():
    smooth = np.tile(np.linspace(0, 255, 16, dtype=np.uint8)[None, :, None], (16, 1, 3))
    assert np.abs(decode_image(encoded(smooth, "JPEG", quality=95)).astype(int) - smooth).max() < 16


@pytest.mark.parametrize(("kind", "mode"), [("PNG", "L"), ("PNG", "P"), ("PNG", "1"), ("PNG", "RGBA"), ("PNG", "LA"), ("JPEG", "CMYK")])
def test_every_mode_becomes_rgb(kind, mode):
    image = decode_image(encoded(kind=kind, mode=mode))
    assert image.shape == (6, 9, 3) and image.dtype == np.uint8


def test_sixteen_bit_grey_keeps_its_high_byte():
    wide = np.arange(0, 65536, 1024, dtype=np.uint16).reshape(8, 8)
    assert np.array_equal(decode_image(encoded(wide))[..., 0], wide >> 8)


def test_transparency_lies_over_white():
    clear = np.zeros((4, 4, 4), np.uint8)
    clear[0, 0] = (10, 20, 30, 255)
    image = decode_image(encoded(clear))
    assert image[0, 0].tolist() == [10, 20, 30] and (image[1:] == 255).all()


def test_exif_orientation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn clockwise
    assert np.array_equal(decode_image(encoded(exif=exif)), np.rot90(PIXELS, -1))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP"])
def test_truncated_images_are_refused(kind):
    data = encoded(np.tile(PIXELS, (8, 8, 1)), kind)
    for share in (0.0, 0.2, 0.6, 0.9):
        with pytest.raises(UnusableImage, match="'cat.png'.*give a complete PNG, JPEG, WebP, BMP, GIF, TIFF, AVIF or HEIC"):
            decode_image(data[: int(len(data) * share)], "cat.png")


@pytest.mark.parametrize("kind", ["PDF", "EPS", "PCX", "SGI", "MSP"])
def test_other_formats_are_refused(kind):
    data = encoded(kind=kind, mode="1" if kind == "MSP" else None)
    with pytest.raises(UnusableImage, match="not an image of a format that is read here; give a complete PNG"):
        decode_image(data)


def test_limits_of_one_image():
    with pytest.raises(DataError, match=r"in pixels: 54 is over the limit of 53; scale it down"):
        decode_image(encoded(), limits=InputLimits(image_pixels=53))
    with pytest.raises(DataError, match=r"in bytes: .* over the limit of 10; save it smaller"):
        decode_image(encoded(), limits=InputLimits(image_bytes=10))


def test_a_decompression_bomb_is_refused_by_its_header():
    data = bytearray(encoded())
    data[16:24] = struct.pack(">II", 60_000, 60_000)  # the header's width and height, and its checksum
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    with pytest.raises(UnusableImage, match="far too many pixels"):
        decode_image(bytes(data))
    data[16:24] = struct.pack(">II", 10_000, 9_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    with pytest.raises(UnusableImage, match="in pixels: 90,000,000 is over the limit of 80,000,000; scale it down"):
        decode_image(bytes(data))


def test_only_regular_files_of_at_most_so_many_bytes_are_read(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded())
    (tmp_path / "b.png").symlink_to(tmp_path / "a.png")
    size = len(encoded())
    assert read_bytes(tmp_path / "a.png", size) == encoded()
    with pytest.raises(DataError, match="in bytes"):
        read_bytes(tmp_path / "a.png", size - 1)
    for name in ("b.png", "absent.png", "", "nul\0.png"):
        with pytest.raises(DataError):
            read_bytes(tmp_path / name, size)


def test_text_from_outside_is_shown_on_one_line_and_readable():
    assert shown("Zoë 猫 été.png") == "'Zoë 猫 été.png'"
    assert shown("a\nb\x1b[31m\u202e\u2028\u202f\ud800") == r"'a\nb\x1b[31m\u202e\u2028\u202f\ud800'"
    assert shown("x" * 100) == f"'{'x' * 75}...'" and len(shown("\x1b" * 100)) == 80


def test_archives_are_known_by_their_names(tmp_path):
    assert all(is_archive(tmp_path / name) for name in ("a.zip", "A.ZIP", "a.tar", "a.tar.gz", "a.tgz"))
    assert not any(is_archive(tmp_path / name) for name in ("a.gz", "a.png", "zip", "a.rar"))


def test_one_row_and_one_column_are_images():
    assert decode_image(encoded(PIXELS[:1, :1])).shape == (1, 1, 3)
    out = io.BytesIO()
    Image.new("L", (1, 300)).save(out, "PNG")
    assert decode_image(out.getvalue()).shape == (300, 1, 3)
