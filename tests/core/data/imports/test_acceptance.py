"""A person's set as it comes: 600 images of every kind, 50 broken ones among them, and what else lies there; by library and command."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from core.cli.main import main
from core.data.datasets import load_dataset
from core.data.imports.files import LINK, SYSTEM
from tests.core.data.makers import encoded, pixels, png, write_files, write_zip

KINDS = [
    ("PNG", "png"),
    ("JPEG", "JPG"),
    ("WEBP", "webp"),
    ("BMP", "bmp"),
    ("GIF", "gif"),
    ("TIFF", "tif"),
    ("AVIF", "avif"),
    ("HEIF", "HEIC"),
]
CLASSES = ["cat", "Hund", "Vögel", "猫", "2", "10"]
NOT_READ = "not an image of a format that is read here"


def good(number: int) -> tuple[str, bytes]:
    """Return one of the usable images: its path and its content."""
    kind, ending = KINDS[number % len(KINDS)]
    label = CLASSES[number % len(CLASSES)]
    label = unicodedata.normalize("NFD", label) if number % 4 == 2 else label
    height, width = [(40, 60), (64, 48), (50, 50)][number % 3]
    path, image, options = f"{label}/IMG {number:04}.{ending}", pixels(number, height, width), {}
    special = number // 8 % 9
    if kind == "PNG" and special < 6:
        mode = ["L", "P", "RGBA", "LA", "1", "RGB"][special]
        if special == 5:
            return path, encoded(np.arange(height * width, dtype=np.uint16).reshape(height, width) * 16 + number)
        if mode in ("RGBA", "LA"):
            image = np.dstack([image, image[..., 0]])
        return path, encoded(image, kind, mode)
    if kind == "JPEG":
        exif = Image.Exif()
        exif[0x0112] = 1 + special % 8
        options = {"exif": exif}
        image = np.asarray(Image.fromarray(image).convert("CMYK")) if special == 8 else image
        if special == 8:
            return path, encoded(pixels(number, height, width), kind, "CMYK")
    if kind == "GIF" and special % 2:
        options = {"save_all": True, "append_images": [Image.fromarray(pixels(number + 5000, height, width))]}
    if kind == "TIFF" and special % 3 == 1:
        return path, encoded(pixels(number, height, width)[..., 0].astype(np.float32) / 255, kind)
    return path, encoded(image, kind, **options)


def broken(number: int) -> tuple[str, bytes, str]:
    """Return one of the unusable images: its path, its content, and the reason that the report must give."""
    kind, ending = KINDS[number % 6]
    path, whole = f"{CLASSES[number % len(CLASSES)]}/broken {number:02}.{ending}", encoded(pixels(number, 60, 60), kind)
    return [
        (path, whole[: len(whole) // 2], "damaged or cut off"),
        (path, b"", "empty file"),
        (path, b"<html>404</html>", NOT_READ),
        (path, np.random.default_rng(number).bytes(400), NOT_READ),
        (path, whole[200:], NOT_READ),
    ][number // 6 % 5]


BESIDE = {
    "README.md": "not an image",
    "LICENSE": "not an image",
    "notes/todo.txt": "not an image",
    "prices.csv": "a table that names no image here",
    "Thumbs.db": SYSTEM,
    "cat/.DS_Store": SYSTEM,
    "cat/._IMG 0000.png": SYSTEM,
}


@pytest.fixture(scope="module")
def everything():
    """All files by path, and the reason for each one that must be left out."""
    files, reasons = dict(good(number) for number in range(600)), dict(BESIDE)
    files |= dict.fromkeys(BESIDE, b"day,price\n1,2\n")
    for number in range(50):
        path, data, reason = broken(number)
        path = unicodedata.normalize("NFC", path)
        files[path], reasons[path] = data, reason
    return files, reasons


def check(data, reasons: dict[str, str]) -> None:
    report = data.report
    assert dict(report.skipped) == reasons and len(report.skipped) == len(reasons)
    assert report.read == 600 and report.size == (48, 48) and report.repaired["scaled"] == 600
    assert data.train.classes == ("2", "10", "cat", "Hund", "Vögel", "猫") and set(report.classes.values()) == {100}
    assert report.repaired["flattened"] >= 5
    assert report.repaired["rotated"] > 50 and report.repaired["first frame"] > 25 and report.repaired["converted"] > 50
    assert report.splits == {"train": 480, "test": 120}
    text = report.text(every_name=True)
    assert all(f"broken {number:02}." in text for number in range(50)) and text.count("broken") == 50


@pytest.mark.slow
def test_each_broken_image_is_named_and_all_others_are_read(tmp_path, everything):
    files, reasons = everything
    root = write_files(tmp_path / "mine", files)
    (root / "cat" / "link.png").symlink_to(root / "README.md")
    data = load_dataset(str(root))
    check(data, {**reasons, "cat/link.png": LINK})
    assert any("two Unicode forms" in warning for warning in data.report.warnings)
    packed = load_dataset(str(write_zip(tmp_path / "mine.zip", files)))
    check(packed, reasons)
    assert Counter(packed.train.ids) == Counter(data.train.ids)


@pytest.mark.slow
def test_the_command_says_what_the_library_says(tmp_path, everything, capsys):
    files, reasons = everything
    root = write_files(tmp_path / "mine", files)
    assert main(["data", "check", str(root), "--json", "--backbone", "embedded"]) == 0
    said = json.loads(capsys.readouterr().out)
    want = load_dataset(str(root)).report
    assert {key: value for key, value in said.items() if key in want.to_json()} == want.to_json()
    assert {entry["name"]: entry["reason"] for entry in said["skipped"]} == reasons


def test_the_command_says_of_a_small_set_what_the_library_says(tmp_path, capsys):
    files = {f"{kind}/{i}.png": png(seed + i) for kind, seed in (("cat", 0), ("dog", 20)) for i in range(5)}
    root = write_files(tmp_path / "mine", {**files, "cat/cut.png": png(1)[:60], "README": "x"})
    assert main(["data", "check", str(root), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    want = load_dataset(str(root)).report.to_json()
    assert {key: said[key] for key in want} == want and len(said["skipped"]) == 2
