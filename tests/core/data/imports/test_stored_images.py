"""How images of different shapes become one size, how large arrays are kept, and the finished report."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from core.data.datasets import load_dataset
from core.data.images import InputLimits
from core.data.imports import stacking
from core.data.imports.report import ImportReport
from core.errors import DataError
from tests.core.data.makers import encoded, load, members, names, pixels, png, write_files

KEYS = ["name", "read", "skipped", "repaired", "renamed", "warnings", "classes", "splits", "subjects", "size"]


def bars(height: int, width: int, green: int = 255) -> bytes:
    """Return an image whose outer thirds along the longer side are red, and whose middle is green."""
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = 255
    long = max(height, width)
    middle = slice(long // 3, long - long // 3)
    image[(middle, slice(None)) if height > width else (slice(None), middle)] = (0, green, 0)
    return encoded(image)


def shapes(tmp_path):
    files = {"wide/0.png": bars(60, 180), "wide/1.png": bars(64, 192, 250), "tall/0.png": bars(180, 60), "tall/1.png": bars(192, 64, 250)}
    return write_files(tmp_path, files)


def mapped(images: np.ndarray | None) -> bool:
    """Return whether an array lies in a file."""
    return isinstance(images, np.memmap) or (isinstance(images, np.ndarray) and mapped(images.base))


def red(image: np.ndarray) -> float:
    return float((image[..., 0] > 200).mean())


def black(image: np.ndarray) -> float:
    return float((image.max(axis=2) < 40).mean())


@pytest.mark.parametrize(("fit", "reds", "blacks"), [("crop", 0, 0), ("pad", 2 / 9, 2 / 3), ("stretch", 2 / 3, 0)])
def test_fits_by_their_pixels(tmp_path, fit, reds, blacks):
    data = load(shapes(tmp_path), fit=fit, size=48)
    for image in np.concatenate([data.train.images, data.test.images]):
        assert image.shape == (48, 48, 3) and abs(red(image) - reds) < 0.06 and abs(black(image) - blacks) < 0.06
        if fit == "pad":
            assert (image[0, 0] < 40).all() and image[24, 24].tolist() in ([0, 255, 0], [0, 250, 0])
    assert data.report.repaired == {"scaled": 4} and data.report.size == (48, 48)


@pytest.mark.parametrize("side", [8, 32, 224, 256])
@pytest.mark.parametrize("size", [8, 48, 224])
def test_squares_of_one_common_size_stay_as_they_are(tmp_path, side, size):
    files = {f"{kind}/{i}.png": png(seed + i, side) for kind, seed in (("cat", 0), ("dog", 5)) for i in range(2)}
    data = load(write_files(tmp_path, files), size=size)
    assert data.report.size == (side, side) and not data.report.repaired
    assert np.array_equal(data.train.images[0], pixels(0, side, side)) or np.array_equal(data.train.images[0], pixels(1, side, side))


@pytest.mark.parametrize(("height", "width"), [(8, 9), (257, 257), (300, 20)])
def test_other_common_sizes_are_fitted(tmp_path, height, width):
    files = {f"{kind}/{i}.png": png(seed + i, height, width) for kind, seed in (("cat", 0), ("dog", 5)) for i in range(2)}
    data = load(write_files(tmp_path, files))
    assert data.report.size == (48, 48) and data.report.repaired == {"scaled": 4}


def test_one_image_of_another_size_has_all_fitted_to_what_the_backbone_takes(tmp_path):
    write_files(tmp_path, {**members(names("cat", "dog")), "dog/9.png": png(60, 9)})
    assert load(tmp_path).train.images.shape[1:] == (48, 48, 3)
    data = load(tmp_path, size=224)
    assert data.train.images.shape[1:] == (224, 224, 3) and data.report.repaired == {"scaled": 11}
    want = np.asarray(Image.fromarray(pixels(60, 9, 9)).resize((224, 224), Image.Resampling.BICUBIC))
    assert any(np.array_equal(image, want) for side in (data.train, data.test) for image in side.images)


def test_photos_decoded_small_look_like_those_decoded_whole(tmp_path):
    smooth = np.asarray(Image.fromarray(pixels(3, 6, 8)).resize((1600, 1200), Image.Resampling.BICUBIC))
    files = {f"{kind}/{i}.jpg": encoded(np.roll(smooth, 100 * i, 1), "JPEG", quality=95) for kind in ("cat",) for i in range(4)}
    data = load(write_files(tmp_path, files))
    want = [np.asarray(Image.fromarray(np.roll(smooth, 100 * i, 1)).resize((64, 48), Image.Resampling.BICUBIC))[:, 8:56] for i in range(4)]
    for image in np.concatenate([data.train.images, data.test.images]).astype(int):
        assert min(np.abs(image - other).mean() for other in want) < 3


def test_a_large_array_lies_in_a_nameless_file_and_is_the_same(tmp_path, monkeypatch):
    files = {**members(names("cat", "dog", each=20)), "dog/99.png": png(99, 30), "cat/99.png": b"x"}
    small = load(write_files(tmp_path, files))
    opened = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(stacking, "IN_MEMORY", 1000)
    large = load(tmp_path)
    assert mapped(large.train.images) and mapped(large.test.images) and not mapped(small.train.images)
    assert large.train.ids == small.train.ids and np.array_equal(large.test.images, small.test.images)
    assert large.report.to_json() == small.report.to_json()
    taken = large.train.without(large.train.ids[:3])
    assert np.array_equal(taken.images, small.train.images[3:])
    del large, taken
    assert len(os.listdir("/proc/self/fd")) <= opened


def test_limits_of_the_whole_set(tmp_path):
    write_files(tmp_path, members(names("cat", "dog")))
    for limits, words in (
        (InputLimits(set_pixels=639), "pixels in the set: 640 is over the limit of 639; scale the images down"),
        (InputLimits(array_bytes=1919), "bytes of all images as stored: 1,920 is over the limit of 1,919; give fewer images"),
        (InputLimits(set_images=9), "images in the set: 10 is over the limit of 9; give fewer"),
        (InputLimits(zip_entries=9), "files in the set: 10 is over the limit of 9; give fewer"),
        (InputLimits(classes=1), "classes: 2 is over the limit of 1; merge some"),
    ):
        with pytest.raises(DataError, match=words):
            load(tmp_path, limits=limits)
    assert load(tmp_path, limits=InputLimits(set_pixels=640, array_bytes=1920, set_images=10, classes=2)).report.read == 10


def test_tell_hears_of_every_image_and_may_stop(tmp_path):
    write_files(tmp_path, {**members(names("cat", "dog")), "cat/x.png": b"x"})
    heard = []
    load_dataset(str(tmp_path), tell=lambda *steps: heard.append(steps))
    assert heard == [(i, 11) for i in range(1, 12)]
    with pytest.raises(KeyboardInterrupt):
        load_dataset(str(tmp_path), tell=lambda *steps: (_ for _ in ()).throw(KeyboardInterrupt))


def test_limit_reads_only_what_it_keeps_of_given_splits(tmp_path):
    files = members(names("cat", "dog", each=20, prefix="train/")) | members(names("cat", "dog", each=10, prefix="test/"), 90)
    write_files(tmp_path, files)
    heard = []
    data = load_dataset(str(tmp_path), limit=8, tell=lambda *steps: heard.append(steps))
    assert data.report.splits == {"train": 8, "test": 8} and len(heard) == 16
    more = load_dataset(str(tmp_path), limit=12)
    assert set(data.train.ids) < set(more.train.ids) and set(data.test.ids) < set(more.test.ids)


def test_the_reports_json_has_these_keys_and_plain_values(tmp_path):
    import json

    data = load(write_files(tmp_path / "pets", {**members(names("cat", "dog")), "dog\u200b/a.png": png(50), "cat/cut.png": b"x"}))
    made = data.report.to_json()
    assert list(made) == KEYS and json.loads(json.dumps(made)) == made
    assert made["name"] == "pets" and made["read"] == 11 and made["size"] == [8, 8] and made["classes"] == {"cat": 5, "dog": 6}
    assert made["splits"] == {"train": 9, "test": 2} and made["renamed"] == [{"name": "dog\u200b", "new": "dog"}]
    assert made["skipped"] == [{"name": "cat/cut.png", "reason": "not an image of a format that is read here"}]
    assert list(ImportReport().to_json()) == KEYS


def test_the_reports_text_names_five_files_a_reason_unless_all_are_asked_for(tmp_path):
    files = {**members(names("cat", "dog")), **{f"cat/bad{i}.png": b"x" for i in range(8)}, "cat/empty.png": b"", "README": b"x"}
    report = load(write_files(tmp_path / "pets", files)).report
    few, every = report.text(), report.text(every_name=True)
    assert few.splitlines()[:3] == [
        "'pets': 10 images read, stored at 8 x 8 px.",
        "splits: train 8, test 2",
        "classes (2): 'cat' 5, 'dog' 5",
    ]
    assert "left out: 10 files" in few
    assert "  8 x not an image of a format that is read here: 'cat/bad0.png'" in few and "'cat/bad4.png' and 3 more" in few
    assert "bad5" not in few and all(f"'cat/bad{i}.png'" in every for i in range(8)) and "more" not in every
    assert list(report.reasons)[0] == "not an image of a format that is read here"
