"""File and class names in any script and Unicode form, the order of classes, and splits in every usual spelling."""

from __future__ import annotations

import os
import unicodedata

import pytest

from core.data.imports.metadata import Facts
from core.data.imports.names import hidden, natural, plain_path
from core.data.imports.options import ImportOptions
from core.data.imports.placing import arranged, placed
from core.data.imports.report import ImportReport
from core.errors import DataError, InputError
from tests.core.data.makers import class_of, load, members, names, png, subject_of, why, write_files

NFC, NFD = unicodedata.normalize("NFC", "été"), unicodedata.normalize("NFD", "été")


def test_two_unicode_forms_of_a_class_are_one_and_lose_no_image(tmp_path):
    files = members([f"{NFC}/{i}.png" for i in range(3)]) | members([f"{NFD}/{i}.png" for i in range(2, 5)], 50) | members(names("cat"), 90)
    data = load(write_files(tmp_path, files))
    assert data.train.classes == ("cat", NFC) and data.report.classes == {"cat": 5, NFC: 6} and not data.report.skipped
    assert [class_of(data, seed) for seed in (0, 1, 2, 50, 51, 52)] == [NFC] * 6
    assert any("two Unicode forms" in warning for warning in data.report.warnings)


def test_unicode_forms_that_never_meet_in_one_file_name_are_warned_of_too(tmp_path):
    files = members([f"{NFC}/{i}.png" for i in range(3)]) | members([f"{NFD}/x{i}.png" for i in range(3)], 50) | members(names("cat"), 90)
    data = load(write_files(tmp_path, files))
    assert data.report.classes == {"cat": 5, NFC: 6}
    assert [w for w in data.report.warnings if "Unicode" in w] == [
        f"Folder '{NFC}' is there in two Unicode forms of one name; they count as one."
    ]


def test_one_unicode_form_is_no_reason_to_warn(tmp_path):
    data = load(write_files(tmp_path, members([f"{NFD}/{i}.png" for i in range(5)]) | members(names("cat"), 50)))
    assert data.train.classes == ("cat", NFC) and data.report.warnings == [] and class_of(data, 4) == NFC


@pytest.mark.parametrize(
    "name",
    ["猫", "кошка", "γάτα", "قطة", "חתול", "बिल्ली", "แมว", "ねこ", "🐈", "Zoë O'Hara", "a & b", "50%", "C: drive", "back\\slash", "-rf"],
)
def test_class_names_of_any_script_and_sign(tmp_path, name):
    data = load(write_files(tmp_path, members(names(name)) | members(names("dog"), 50)))
    assert data.report.classes == {name.replace("\\", "_"): 5, "dog": 5} and class_of(data, 3) == name.replace("\\", "_")


def test_a_macs_screenshot_name_works_and_is_shown_in_full(tmp_path):
    screenshot = "cat/Screenshot 2025-01-01 at 9.41.00\u202fAM.png"
    data = load(write_files(tmp_path, {**members(names("cat", "dog")), screenshot: png(77), "dog/Écran\u202f2.png": b""}))
    assert class_of(data, 77) == "cat" and why(data) == {"dog/Écran\u202f2.png": "empty file"}
    assert "'dog/Écran\\u202f2.png'" in data.report.text()


def test_names_that_break_a_line_or_a_code_are_left_out(tmp_path):
    root = write_files(tmp_path, members(names("cat", "dog")))
    odd = {"cat/a\nb.png": "control", "dog/\x1b[31m.png": "control", os.fsdecode(b"cat/\xff\xfe.png"): "control"}
    for name in odd:
        (root / name).write_bytes(png(60))
    data = load(root)
    assert why(data) == dict.fromkeys(odd, "control characters in the name") and data.report.read == 10
    text = data.report.text()
    assert "\x1b" not in text and "'cat/a\\nb.png'" in text and "'cat/\\udcff\\udcfe.png'" in text
    text.encode("utf-8")


def test_invisible_characters_leave_a_class_name(tmp_path):
    data = load(write_files(tmp_path, members(names("cat\u200b", "\u202edog", " owl "))))
    assert data.train.classes == ("cat", "dog", "owl")
    assert sorted(data.report.renamed) == sorted([("cat\u200b", "cat"), ("\u202edog", "dog"), (" owl ", "owl")])


def test_a_class_name_that_shows_nothing_costs_only_its_images(tmp_path):
    data = load(write_files(tmp_path, members(names("cat", "dog", "\u200b", each=3))))
    assert data.train.classes == ("cat", "dog") and len(data.report.skipped) == 3
    assert set(data.report.reasons) == {"a class or subject name that is too long or shows nothing"}
    with pytest.raises(DataError, match="A class name is '.u200b'; use at least 1 visible character"):
        load(write_files(tmp_path / "only", members([f"x/\u200b/{i}.png" for i in range(3)] + ["y/\u200b/0.png"])) / "x")


def test_classes_come_in_natural_order_and_keep_leading_zeros(tmp_path):
    order = ["1", "2", "010", "10", "a2", "A10", "b"]
    data = load(write_files(tmp_path, members(names(*reversed(order), each=2))))
    assert data.train.classes == tuple(order)
    assert sorted(["10", "9", "009", "x"], key=natural) == ["009", "9", "10", "x"]


def test_classes_that_differ_only_in_case_stay_two_and_are_warned_of(tmp_path):
    data = load(write_files(tmp_path, members(names("Cat", "cat", "dog"))))
    assert data.train.classes == ("Cat", "cat", "dog")
    assert [w for w in data.report.warnings if "upper and lower case" in w] == [
        f"Class '{name}' differs from another only in upper and lower case; they stay two." for name in ("Cat", "cat")
    ]


def test_a_class_of_unlabeled_images_is_warned_of(tmp_path):
    data = load(write_files(tmp_path, members(names("cat", "Unlabeled"))))
    assert any("Class 'Unlabeled' may stand for images without a label" in w for w in data.report.warnings)


@pytest.mark.parametrize(
    ("train", "test"), [("train", "test"), ("Train", "TESTING"), ("TRAINING", "eval"), ("trn", "Holdout"), ("tr", "ts")]
)
def test_splits_in_every_usual_spelling(tmp_path, train, test):
    data = load(
        write_files(tmp_path, members(names("cat", "dog", each=2, prefix=f"{train}/")) | members(names("cat", prefix=f"{test}/"), 50))
    )
    assert data.report.splits == {"train": 4, "test": 5} and data.train.classes == ("cat", "dog")


@pytest.mark.parametrize("name", ["val", "valid", "Validation", "dev"])
def test_validation_images_serve_as_a_test_set_only_where_there_is_no_other(tmp_path, name):
    train, val = members(names("cat", "dog", prefix="train/")), members(names("cat", "dog", each=2, prefix=f"{name}/"), 50)
    data = load(write_files(tmp_path, train | val))
    assert data.report.splits == {"train": 10, "test": 4} and not data.report.skipped
    assert data.report.warnings == ["There is no test split; validation serves as one, with 4 images."]
    data = load(write_files(tmp_path, members(names("dog", each=3, prefix="test/"), 80)))
    assert data.report.splits == {"train": 10, "test": 3}
    assert why(data) == dict.fromkeys(val, "of the validation split")
    assert "Neither learned nor tested on: 4 validation images." in data.report.warnings


def test_splits_inside_classes_and_wrappers_outside(tmp_path):
    split = {kind: members(names("train", each=4, prefix=f"{kind}/"), seed) for kind, seed in (("cat", 0), ("dog", 20))}
    files = split["cat"] | split["dog"] | members(names("test", each=2, prefix="cat/"), 50)
    data = load(write_files(tmp_path / "a", files))
    assert data.report.classes == {"cat": 6, "dog": 4} and data.report.splits == {"train": 8, "test": 2}
    wrapped = load(
        write_files(tmp_path / "b", {f"pets-main/data/{name}": blob for name, blob in files.items()} | {"pets-main/README": b"x"})
    )
    assert wrapped.train.ids == data.train.ids and wrapped.test.ids == data.test.ids


def test_a_class_of_trains_is_no_split(tmp_path):
    data = load(write_files(tmp_path, members(names("car", "train"))))
    assert data.report.classes == {"car": 5, "train": 5} and data.report.splits == {"train": 8, "test": 2}


def test_deeper_folders_count_with_their_first(tmp_path):
    data = load(write_files(tmp_path, members(names("cat/black", "cat/white", "dog/old"))))
    assert data.report.classes == {"cat": 10, "dog": 5}
    assert data.report.warnings == ["15 images deeper than <class>/<image>; the first folder counts as the class."]


def test_splits_that_make_no_sense_are_listed(tmp_path):
    with pytest.raises(DataError, match=r"Splits found: images outside \(5\), train \(5\); give train and test"):
        load(write_files(tmp_path / "a", members(names("dog") + names("cat", prefix="train/"))))
    with pytest.raises(DataError, match=r"Splits found: test \(5\)"):
        load(write_files(tmp_path / "b", members(names("cat", prefix="test/"))))


def test_label_for_all_and_only_for_those_without(tmp_path):
    data = load(write_files(tmp_path, members(["a.png", "b.png", *names("dog")])), label="cat")
    assert data.report.classes == {"cat": 2, "dog": 5} and class_of(data, 0) == "cat" and class_of(data, 2) == "dog"


def test_climbing_paths_are_refused_and_systems_files_hidden():
    limits = ImportOptions().limits
    for name in ("../a.png", "a/../../b.png", "/etc/a.png", "\\\\host\\a.png", "C:/a.png", "c:a.png", "a\\..\\b.png"):
        with pytest.raises(DataError, match="leads out of the folder"):
            plain_path(name, limits)
    assert plain_path("./a//b\\c.png", limits) == "a/b/c.png" and plain_path("a..b/...c", limits) == "a..b/...c"
    assert plain_path("C:a.png", limits, on_disk=True) == "C:a.png"
    assert hidden("a/.b/c.png") and hidden("x/THUMBS.DB") and not hidden("a/b.c.png")


def test_options_name_what_they_take():
    with pytest.raises(InputError, match="fit is 'zoom'; use one of crop, pad, stretch"):
        ImportOptions(fit="zoom")
    with pytest.raises(InputError, match="size is 4 px; use 8 to 1,024"):
        ImportOptions(size=4)


def test_nothing_is_read_before_it_is_placed():
    from core.data.imports.files import File

    def never() -> bytes:
        raise AssertionError("read")

    found = placed([File(f"cat/{i}.png", never) for i in range(3)], ImportOptions(), ImportReport())
    assert [image.label for image in found.images] == ["cat"] * 3 and Facts() == Facts(None, None)
    assert arranged(found.images, ("owl", "cat"), ImportOptions(), ImportReport()).classes == ("owl", "cat")


def test_subjects_of_folders_without_tables_are_none(tmp_path):
    assert subject_of(load(write_files(tmp_path, members(names("cat", "dog")))), 0) is None
