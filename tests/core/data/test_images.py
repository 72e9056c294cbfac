"""Decoding, folders and archives: what comes back, and what is refused with which words."""

from __future__ import annotations

import io
import os
import stat
import struct
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from core.data.images import InputLimits, check_name, decode_image, read_bytes, read_folder, read_zip, stack_images
from core.errors import DataError

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)


def encoded(pixels=PIXELS, kind="PNG", mode=None, **options) -> bytes:
    image, out = Image.fromarray(pixels), io.BytesIO()
    (image.convert(mode) if mode else image).save(out, kind, **options)
    return out.getvalue()


def zipped(path, members: dict, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


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
        with pytest.raises(DataError, match="complete PNG, JPEG, WebP or BMP"):
            decode_image(data[: int(len(data) * share)], "cat.png")


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "PPM", "ICO", "PDF"])
def test_other_formats_are_refused(kind):
    with pytest.raises(DataError, match="give a complete PNG"):
        decode_image(encoded(kind=kind))


def test_limits_of_one_image():
    with pytest.raises(DataError, match=r"in pixels: 54 is over the limit of 53; scale it down"):
        decode_image(encoded(), limits=InputLimits(image_pixels=53))
    with pytest.raises(DataError, match=r"in bytes: .* over the limit of 10; save it smaller"):
        decode_image(encoded(), limits=InputLimits(image_bytes=10))


def test_a_decompression_bomb_is_refused_by_its_header():
    data = bytearray(encoded())
    data[16:24] = struct.pack(">II", 60_000, 60_000)  # the header's width and height
    with pytest.raises(DataError):
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


def test_stack_keeps_one_common_size():
    assert np.array_equal(stack_images([encoded(), encoded(PIXELS[::-1])], ["a", "b"]), np.stack([PIXELS, PIXELS[::-1]]))


def test_stack_resizes_different_and_large_sizes():
    assert stack_images([encoded(), encoded(PIXELS[:5])], ["a", "b"]).shape == (2, 48, 48, 3)
    assert stack_images([encoded(np.zeros((300, 20, 3), np.uint8))], ["a"]).shape == (1, 48, 48, 3)


def test_stack_limits():
    blobs, names = [encoded()] * 3, ["a", "b", "c"]
    for limits in (InputLimits(set_images=2), InputLimits(set_pixels=161), InputLimits(array_bytes=485)):
        with pytest.raises(DataError, match="over the limit"):
            stack_images(blobs, names, limits)
    assert len(stack_images(blobs, names, InputLimits(set_images=3, set_pixels=162, array_bytes=486))) == 3
    with pytest.raises(DataError, match="0 images"):
        stack_images([], [])


@pytest.mark.parametrize(
    "name", ["/a.png", "../a.png", "a/../b.png", "a//b.png", "./a.png", "a\\b.png", "C:a.png", "a\nb.png", "", "\u202egnp.a", "\ud800"]
)
def test_unsafe_names(name):
    with pytest.raises(DataError, match="not a plain relative path"):
        check_name(name)


def test_names_of_people_and_places_are_fine():
    for name in ("train/Zoë/été 1.png", "猫/一.png", "a..b/c.png"):
        assert check_name(name) == name
    with pytest.raises(DataError, match="limit of 255"):
        check_name("a" * 256)


def test_zip_returns_images_and_metadata_and_skips_leftovers(tmp_path):
    members = {
        "cat/": "",
        "cat/b.PNG": b"1",
        "cat/a.jpg": b"2",
        "metadata.csv": b"3",
        ".DS_Store": b"",
        "__MACOSX/cat/._a.jpg": b"",
        "cat/Thumbs.db": b"",
    }
    assert read_zip(zipped(tmp_path / "a.zip", members)) == {"cat/a.jpg": b"2", "cat/b.PNG": b"1", "metadata.csv": b"3"}
    assert [p.name for p in tmp_path.iterdir()] == ["a.zip"]


@pytest.mark.parametrize("name", ["../a.png", "/etc/a.png", "a/../../b.png", "C:/a.png", "a\\..\\b.png", "inner.zip", "run.py", "x.pkl"])
def test_zip_refuses_climbing_and_foreign_members(tmp_path, name):
    with pytest.raises(DataError):
        read_zip(zipped(tmp_path / "a.zip", {"cat/ok.png": b"1", name: b"2"}))
    assert [p.name for p in tmp_path.iterdir()] == ["a.zip"]


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_zip_refuses_links_and_special_files(tmp_path, kind):
    member = zipfile.ZipInfo("cat/a.png")
    member.create_system, member.external_attr = 3, (kind | 0o777) << 16
    with pytest.raises(DataError, match="link or a special file"):
        read_zip(zipped(tmp_path / "a.zip", {member: b"/etc/passwd"}))


def test_zip_refuses_bombs(tmp_path):
    bomb = zipped(tmp_path / "a.zip", {"cat/a.png": bytes(4_000_000)})
    with pytest.raises(DataError, match="for each byte of the zip.*limit of 100"):
        read_zip(bomb)
    with pytest.raises(DataError, match=r"'cat/a.png' in bytes: 1,001 is over the limit of 1,000"):
        read_zip(bomb, InputLimits(image_bytes=1000, zip_ratio=10**6))


def test_zip_counts_bytes_really_unpacked(tmp_path):
    path = zipped(tmp_path / "a.zip", {"cat/a.png": bytes(range(256)) * 100})
    data = path.read_bytes()
    for lie in (7, 10**9):  # the size in both headers
        path.write_bytes(data.replace(struct.pack("<I", 25_600), struct.pack("<I", lie)))
        with pytest.raises(DataError):
            read_zip(path)


def test_zip_limits(tmp_path):
    path = zipped(tmp_path / "a.zip", {f"cat/{i}.png": os.urandom(100) for i in range(5)})
    fits = InputLimits(zip_entries=5, set_bytes=500, image_bytes=100, zip_bytes=path.stat().st_size)
    assert len(read_zip(path, fits)) == 5
    for over in ({"zip_entries": 4}, {"set_bytes": 499}, {"image_bytes": 99}, {"zip_bytes": fits.zip_bytes - 1}, {"name_chars": 8}):
        with pytest.raises(DataError, match="over the limit"):
            read_zip(path, replace(fits, **over))


def test_zip_directory_is_bounded_before_it_is_parsed(tmp_path):
    path = zipped(tmp_path / "a.zip", {f"{i}.png": b"" for i in range(200)})
    with pytest.raises(DataError, match="zip's directory"):
        read_zip(path, InputLimits(zip_entries=10))


def test_zip_refuses_other_packings_doubles_passwords_and_truncation(tmp_path):
    with pytest.raises(DataError, match="packed by method 14"):
        read_zip(zipped(tmp_path / "a.zip", {"a.png": b"1"}, zipfile.ZIP_LZMA))
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("a.png", b"1")
        archive.writestr("a.png", b"2")
    with pytest.raises(DataError, match="more than once"):
        read_zip(tmp_path / "b.zip")
    data = bytearray(zipped(tmp_path / "c.zip", {"a.png": b"1"}).read_bytes())
    (tmp_path / "d.zip").write_bytes(data[:-10])
    with pytest.raises(DataError, match="truncated or not a zip"):
        read_zip(tmp_path / "d.zip")
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "c.zip").write_bytes(data)
    with pytest.raises(DataError, match="encrypted"):
        read_zip(tmp_path / "c.zip")


def test_folder_returns_files_by_relative_path(tmp_path):
    (tmp_path / "train" / "cat").mkdir(parents=True)
    (tmp_path / "train" / "cat" / "a.png").write_bytes(b"1")
    (tmp_path / "train" / "metadata.csv").write_bytes(b"2")
    (tmp_path / ".hidden").write_bytes(b"3")
    assert read_folder(tmp_path) == {"train/cat/a.png": b"1", "train/metadata.csv": b"2"}


def test_folder_refuses_links_special_and_foreign_files(tmp_path):
    for name, make in (
        ("link", lambda p: (p / "a.png").symlink_to(__file__)),
        ("linked", lambda p: (p / "cat").symlink_to(tmp_path)),
        ("pipe", lambda p: os.mkfifo(p / "a.png")),
        ("text", lambda p: (p / "notes.txt").write_text("x")),
        ("deep", lambda p: (p / "a/b/c/d/e/f").mkdir(parents=True)),
    ):
        (tmp_path / name).mkdir()
        make(tmp_path / name)
        with pytest.raises(DataError):
            read_folder(tmp_path / name)
    with pytest.raises(DataError, match="cannot be listed"):
        read_folder(tmp_path / "absent")


def test_folder_limits(tmp_path):
    for i in range(3):
        (tmp_path / f"{i}.png").write_bytes(b"x" * 10)
    assert len(read_folder(tmp_path, InputLimits(set_images=3, set_bytes=30, image_bytes=10))) == 3
    for limits in (InputLimits(set_images=2), InputLimits(set_bytes=29), InputLimits(image_bytes=9)):
        with pytest.raises(DataError, match="over the limit"):
            read_folder(tmp_path, limits)
