"""Files beside images, images of every format, and broken ones: what is read, what is left out, and the words for it."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from core.data.images import InputLimits, decode
from core.data.imports.files import SYSTEM
from core.errors import DataError, UnusableImage
from tests.core.data.makers import class_of, encoded, labels_of, load, members, names, pixels, png, why, write_files, write_zip

GOOD = names("cat", "dog")
SMOOTH = np.tile(np.linspace(0, 255, 16, dtype=np.uint8)[None, :, None], (16, 1, 3))


def test_files_beside_images_are_named_and_left_out(tmp_path):
    beside = {
        "README.md": "# Pets",
        "LICENSE": "MIT",
        "cat/notes.txt": "x",
        "prices.csv": "day,price\n1,2\n",
        "cat/prices.tsv": "",
        "model.safetensors": b"x",
        "inner.zip": b"PK",
    }
    system = [
        "cat/Thumbs.db",
        ".DS_Store",
        "cat/._0.png",
        "__MACOSX/cat/._0.png",
        "cat/@eaDir/0.png/thumb.jpg",
        ".git/HEAD",
        "dog/desktop.ini",
    ]
    root = write_files(tmp_path, {**members(GOOD), **beside, **dict.fromkeys(system, b"junk")})
    data = load(root)
    left_out = why(data)
    assert data.report.read == 10 and data.train.classes == ("cat", "dog")
    for name in ("README.md", "LICENSE", "cat/notes.txt", "model.safetensors", "inner.zip"):
        assert left_out[name] == "not an image"
    assert left_out["prices.csv"] == "a table that names no image here" and left_out["cat/prices.tsv"] == "empty file"
    for name in ("cat/Thumbs.db", ".DS_Store", "cat/._0.png", "__MACOSX", "cat/@eaDir", ".git", "dog/desktop.ini"):
        assert left_out[name] == SYSTEM
    assert len(left_out) == 14


def test_broken_images_are_named_and_left_out(tmp_path):
    whole = encoded(pixels(9, 40, 40), "JPEG")
    broken = {
        "cat/cut.jpg": whole[: len(whole) // 2],
        "cat/cut.png": png(9, 40)[:900],
        "cat/empty.png": b"",
        "dog/page.jpg": "<html>404 Not Found</html>",
        "dog/noise.webp": bytes(range(200)),
        "dog/header.gif": b"GIF89a",
    }
    data = load(write_files(tmp_path, {**members(GOOD), **broken}))
    assert data.report.read == 10
    assert why(data) == {
        "cat/cut.jpg": "damaged or cut off",
        "cat/cut.png": "damaged or cut off",
        "cat/empty.png": "empty file",
        "dog/page.jpg": "not an image of a format that is read here",
        "dog/noise.webp": "not an image of a format that is read here",
        "dog/header.gif": "not an image of a format that is read here",
    }


@pytest.mark.parametrize(
    ("kind", "ending", "options", "exact"),
    [
        ("PNG", "png", {}, True),
        ("BMP", "bmp", {}, True),
        ("DIB", "dib", {}, True),
        ("WEBP", "webp", {"lossless": True}, True),
        ("TIFF", "tiff", {}, True),
        ("TIFF", "tif", {"compression": "tiff_lzw"}, True),
        ("PPM", "ppm", {}, True),
        ("TGA", "tga", {}, True),
        ("JPEG2000", "jp2", {"irreversible": False}, True),
        ("JPEG", "jpe", {"quality": 95}, False),
        ("MPO", "mpo", {"save_all": True, "append_images": [Image.fromarray(SMOOTH[::-1])], "quality": 95}, False),
        ("AVIF", "avif", {"quality": 95}, False),
        ("HEIF", "heic", {"quality": 95}, False),
        ("GIF", "gif", {}, False),
    ],
)
def test_every_format_comes_back(tmp_path, kind, ending, options, exact):
    files = {name: png(seed, 16) for seed, name in enumerate(names("cat", "dog", each=3))}
    data = load(write_files(tmp_path, {**files, f"dog/x.{ending}": encoded(SMOOTH, kind, **options)}))
    assert data.report.read == 7 and not data.report.skipped and not data.report.repaired.get("first frame")
    both = np.concatenate([data.train.images, data.test.images]).astype(int)
    assert min(np.abs(image - SMOOTH).max() for image in both) <= (0 if exact else 16)


def test_the_content_tells_the_format_not_the_ending(tmp_path):
    files = members(GOOD) | {"cat/4.png": encoded(pixels(4), "BMP"), "dog/4.JPG": encoded(pixels(20), "PNG")}
    data = load(write_files(tmp_path, files))
    assert class_of(data, 4) == "cat" and class_of(data, 20) == "dog" and data.report.read == 11


@pytest.mark.parametrize(
    ("image", "kind", "mode", "repair"),
    [
        (np.arange(0, 65536, 1024, dtype=np.uint16).reshape(8, 8), "PNG", None, "converted"),
        (np.arange(0, 65536, 1024, dtype=np.uint16).reshape(8, 8), "TIFF", None, "converted"),
        (np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8), "TIFF", None, "converted"),
        (pixels(9), "JPEG", "CMYK", "converted"),
        (pixels(9), "PNG", "P", "converted"),
        (pixels(9), "PNG", "1", "converted"),
        (np.full((8, 8, 4), 100, np.uint8), "PNG", None, "flattened"),
        (pixels(9), "PNG", "L", None),
    ],
)
def test_every_mode_becomes_rgb_and_is_said(image, kind, mode, repair):
    made = decode(encoded(image, kind, mode))
    assert made.pixels.shape == (8, 8, 3) and made.pixels.dtype == np.uint8 and made.pixels.std() >= (0 if repair == "flattened" else 10)
    assert made.repairs == ({repair} if repair else set())


def test_sixteen_bits_floats_and_alpha_by_value():
    wide = np.arange(0, 65536, 1024, dtype=np.uint16).reshape(8, 8)
    assert np.array_equal(decode(encoded(wide, "TIFF")).pixels[..., 0], wide >> 8)
    unit = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    assert np.array_equal(decode(encoded(unit, "TIFF")).pixels[..., 1], np.rint(unit.astype(float) * 255))
    odd = np.array([[-1, 3], [np.nan, np.inf]], np.float32)
    assert decode(encoded(odd, "TIFF")).pixels[..., 0].tolist() == [[0, 255], [64, 64]]
    half = np.zeros((2, 2, 4), np.uint8)
    half[..., 3] = 128
    assert decode(encoded(half)).pixels[0, 0].tolist() == [127] * 3


def test_animations_give_their_first_frame(tmp_path):
    frames = [Image.fromarray(np.full((8, 8, 3), value, np.uint8)) for value in (10, 200)]
    for kind in ("GIF", "WEBP", "PNG", "TIFF"):
        out = io.BytesIO()
        frames[0].save(out, kind, save_all=True, append_images=frames[1:], **({"lossless": True} if kind == "WEBP" else {}))
        made = decode(out.getvalue())
        assert (made.pixels == 10).all() and "first frame" in made.repairs, kind


@pytest.mark.parametrize("turn", range(1, 9))
def test_exif_rotation_is_applied_and_said(turn):
    exif = Image.Exif()
    exif[0x0112] = turn
    seen = {2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud, 6: lambda a: np.rot90(a, -1), 8: np.rot90}
    seen |= {5: lambda a: a.transpose(1, 0, 2), 7: lambda a: np.rot90(a, 2).transpose(1, 0, 2)}
    made = decode(encoded(pixels(3, 4, 6), exif=exif))
    assert np.array_equal(made.pixels, seen.get(turn, lambda a: a)(pixels(3, 4, 6)))
    assert made.repairs == ({"rotated"} if turn > 1 else set())


@pytest.mark.parametrize("kind", ["HEIF", "AVIF", "WEBP", "TIFF"])
@pytest.mark.parametrize("turn", [1, 3, 6, 8])
def test_rotation_of_other_formats_is_applied_once(kind, turn):
    exif = Image.Exif()
    exif[0x0112] = turn
    image = np.full((40, 64, 3), 250, np.uint8)
    image[:16, :16] = 0  # the corner above left
    made = decode(encoded(image, kind, exif=exif.tobytes() if kind == "HEIF" else exif, **({"lossless": True} if kind == "WEBP" else {})))
    rows, columns = np.nonzero(made.pixels[..., 0] < 100)
    assert made.pixels.shape[:2] == ((40, 64) if turn in (1, 3) else (64, 40))
    assert (rows.mean() < 20, columns.mean() < 20) == {1: (True, True), 3: (False, False), 6: (True, False), 8: (False, True)}[turn]


def test_a_damaged_exif_block_costs_no_image():
    data = encoded(pixels(3), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7fgarbage")
    assert np.array_equal(decode(data).pixels, decode(encoded(pixels(3), "JPEG")).pixels)


@pytest.mark.parametrize(("width", "height"), [(8000, 6000), pytest.param(12000, 9000, marks=pytest.mark.slow)])
def test_a_large_photo_is_decoded_small(width, height):
    photo = Image.new("RGB", (width, height), (200, 100, 50))
    out = io.BytesIO()
    photo.save(out, "JPEG", quality=60)
    made = decode(out.getvalue(), side=48)
    assert made.pixels.shape[:2] == (height // 8, width // 8) and np.abs(made.pixels.astype(int) - (200, 100, 50)).max() < 6
    if width * height > InputLimits().image_pixels:
        with pytest.raises(DataError, match="in pixels: 108,000,000 is over the limit of 80,000,000; scale it down"):
            decode(out.getvalue())


def test_a_small_side_leaves_images_of_a_common_size_whole():
    assert decode(encoded(pixels(0, 256, 256), "JPEG"), side=8).pixels.shape == (256, 256, 3)


def test_a_png_that_claims_too_many_pixels_is_left_out(tmp_path):
    bomb = bytearray(png(0))
    bomb[16:24] = struct.pack(">II", 60_000, 60_000)
    bomb[29:33] = struct.pack(">I", zlib.crc32(bomb[12:29]))
    data = load(write_files(tmp_path, {**members(GOOD), "cat/bomb.png": bytes(bomb)}))
    assert why(data) == {"cat/bomb.png": "far too many pixels"}
    small = load(write_files(tmp_path, {"cat/bomb.png": png(50, 9)}), limits=InputLimits(image_pixels=80))
    assert why(small) == {"cat/bomb.png": "over 80 pixels"}
    assert why(load(tmp_path, limits=InputLimits(image_bytes=len(png(50, 9)) - 1)))["cat/bomb.png"].startswith("over ")


def test_a_set_of_nothing_useful_is_refused_with_its_main_reason(tmp_path):
    write_files(
        tmp_path / "a",
        {"a.txt": "x", "b.txt": "x", "c.txt": "x", "d.txt": "x", "cat/0.png": b"", "cat/1.png": "text", "dog/0.png": b"", "dog/1.png": b""},
    )
    with pytest.raises(DataError, match=r"0 of 4 images can be used, mostly because: empty file \('cat/0.png'\)"):
        load(tmp_path / "a")
    with pytest.raises(DataError, match=r"There are 0 images among 2 files; give PNG"):
        load(write_files(tmp_path / "b", {"a.txt": "x", "b/c.txt": "x"}))
    with pytest.raises(DataError, match="None of 2 images has a label.*--label-all"):
        load(write_files(tmp_path / "c", {"a.png": png(0), "b.png": png(1)}))


def test_strict_refuses_what_would_be_left_out_but_not_a_systems_own_files(tmp_path):
    write_files(tmp_path, {**members(GOOD), ".DS_Store": b"x"})
    assert load(tmp_path, strict=True).report.read == 10
    write_files(tmp_path, {"cat/cut.png": png(0)[:50]})
    with pytest.raises(DataError, match="1 file would be left out, first 'cat/cut.png': damaged or cut off. Take them out"):
        load(tmp_path, strict=True)


def test_zip_and_folder_agree(tmp_path):
    files = {**members(GOOD), "README": b"x", "cat/cut.png": png(0)[:60], "dog/big.gif": encoded(pixels(70), "GIF")}
    folder, packed = load(write_files(tmp_path / "x", files)), load(write_zip(tmp_path / "x.zip", files))
    assert folder.report.to_json() == packed.report.to_json() and labels_of(folder) == labels_of(packed)


def test_an_error_of_one_image_names_it_and_the_remedy():
    with pytest.raises(UnusableImage, match="'a.png' is empty; give a complete PNG") as caught:
        decode(b"", "a.png", replace(InputLimits(), image_bytes=1))
    assert caught.value.reason == "empty file"
