"""Tables beside images: dialects, encodings, ways to name an image, and what partial tables mean."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from core.data.imports import metadata
from core.errors import DataError
from tests.core.data.makers import class_of, load, members, names, png, subject_of, why, write_files, write_zip

FLAT = [f"{i}.png" for i in range(6)]
LABELS = ["cat", "dog"] * 3


def rows(delimiter=",", head=("file_name", "label", "subject"), ending="\n", quote="") -> str:
    body = [head, *((name, label, f"p{i}") for i, (name, label) in enumerate(zip(FLAT, LABELS, strict=True)))]
    return ending.join(delimiter.join(f"{quote}{cell}{quote}" for cell in row) for row in body) + ending


def check(data) -> None:
    assert [class_of(data, seed) for seed in range(6)] == LABELS
    assert [subject_of(data, seed) for seed in range(6)] == [f"p{i}" for i in range(6)]
    assert not data.report.skipped and not data.report.warnings and data.report.subjects == 6


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metadata.csv", rows()),
        ("metadata.csv", rows(";")),
        ("metadata.csv", rows("|")),
        ("metadata.tsv", rows("\t")),
        ("metadata.csv", rows("\t")),
        ("metadata.csv", "sep=;\n" + rows(";")),
        ("metadata.csv", rows().encode("utf-8-sig")),
        ("metadata.csv", rows(";").encode("utf-16")),
        ("metadata.csv", rows(ending="\r\n")),
        ("metadata.csv", rows(ending="\r")),
        ("metadata.csv", "sep=;\r\n" + rows(";", ending="\r\n")),
        ("metadata.csv", rows(quote='"')),
        ("metadata.csv", rows(";", quote='"')),
        ("METADATA.CSV", rows()),
        ("metadata.csv", rows(head=("File Name", " Label ", "Subject ID"))),
        ("metadata.csv", rows(head=("IMAGE", "Class", "Patient_ID"))),
        ("labels.csv", rows(head=("id", "breed", "person"))),
        ("sub/list.tsv", rows("\t", head=("filepath", "target", "writer"))),
    ],
)
def test_dialects_and_encodings(tmp_path, name, content):
    check(load(write_files(tmp_path, {**members(FLAT), name: content})))


def test_json_lines(tmp_path):
    lines = [
        {"file_name": n, "label": label, "subject": f"p{i}", "box": [1], "x": 1.5}
        for i, (n, label) in enumerate(zip(FLAT, LABELS, strict=True))
    ]
    write_files(tmp_path, {**members(FLAT), "metadata.jsonl": "\n\n".join(map(json.dumps, lines))})
    check(load(tmp_path))
    write_files(tmp_path, {"metadata.jsonl": json.dumps(lines[0]) + "\n[1]\n"})
    with pytest.raises(DataError, match="'metadata.jsonl': line 2 is a list; write one object a line"):
        load(tmp_path)
    write_files(tmp_path, {"metadata.jsonl": "{"})
    with pytest.raises(DataError, match="line 1 is not JSON"):
        load(tmp_path)


def test_a_western_code_page_keeps_its_letters(tmp_path):
    text = "file_name;label\n" + "".join(f"{name};{label}\n" for name, label in zip(FLAT, ["Kätzchen", "Hündin"] * 3, strict=True))
    data = load(write_files(tmp_path, {**members(FLAT), "metadata.csv": text.encode("cp1252")}))
    assert data.train.classes == ("Hündin", "Kätzchen")


def test_commas_in_quotes_and_decimal_commas_do_not_hide_the_delimiter(tmp_path):
    text = "file_name;label;weight\n" + "".join(f"{n};cat, or {label};1,5\n" for n, label in zip(FLAT, LABELS, strict=True))
    data = load(write_files(tmp_path / "a", {**members(FLAT), "metadata.csv": text}))
    assert data.train.classes == ("cat, or cat", "cat, or dog")
    text = "file_name,label\n" + "".join(f'"{n}","{label}; ""big"""\n' for n, label in zip(FLAT, LABELS, strict=True))
    data = load(write_files(tmp_path / "b", {**members(FLAT), "metadata.csv": text}))
    assert data.train.classes == ('cat; "big"', 'dog; "big"')


@pytest.mark.parametrize(
    ("paths", "named"),
    [
        (["img/a.png", "img/b.png", "img/c.png", "img/d.png"], ["a", "b", "c", "d"]),
        (["img/a.png", "img/b.png", "img/c.png", "img/d.png"], ["img\\a.png", ".\\img\\b.png", "./img/c.png", "img/d"]),
        (["part_1/a.png", "part_1/b.png", "part_2/c.png", "part_2/d.png"], ["a", "b.png", "c", "d.png"]),
        (["Zoë.png", "b.png", "c.png", "d.png"], ["Zoe\u0308.png", " b.png ", "c.png", "d.png"]),
    ],
)
def test_ways_to_name_an_image(tmp_path, paths, named):
    text = "image_id,dx\n" + "".join(f"{name},{label}\n" for name, label in zip(named, LABELS, strict=False))
    for data in (
        load(write_files(tmp_path / "x", {**members(paths), "HAM_metadata.csv": text})),
        load(write_zip(tmp_path / "x.zip", {**members(paths), "HAM_metadata.csv": text})),
    ):
        assert [class_of(data, seed) for seed in range(4)] == LABELS[:4] and not data.report.warnings


def test_a_file_name_that_two_folders_have_names_neither(tmp_path):
    text = "file_name,subject\n" + "".join(f"{i}.png,p{i}\n" for i in range(2)) + "only.png,p9\n"
    data = load(write_files(tmp_path, {**members([*names("cat", "dog", each=2), "cat/only.png"]), "metadata.csv": text}))
    assert subject_of(data, 4) == "p9" and subject_of(data, 0) == "cat/0.png"
    assert "'metadata.csv' has 2 rows for images that are not here." in data.report.warnings


def test_missing_and_double_rows_are_counted(tmp_path):
    text = rows() + "absent.png,cat,p9\n0.png,dog,p0\n0.png,dog,p0\n"
    data = load(write_files(tmp_path, {**members([*FLAT, "extra.png"]), "metadata.csv": text}))
    assert class_of(data, 0) == "cat" and why(data) == {"extra.png": "no label"}
    assert data.report.warnings == [
        "'metadata.csv' has 1 row for images that are not here.",
        "'metadata.csv' has 2 rows for images that it names before; the first row counts.",
    ]


@pytest.mark.parametrize("nothing", ["", "-1", "NaN", "None", "N/A"])
def test_rows_without_a_label_leave_their_image_out(tmp_path, nothing):
    text = rows() + f"6.png,{nothing},p6\n"
    data = load(write_files(tmp_path, {**members([*FLAT, "6.png"]), "metadata.csv": text}))
    assert why(data) == {"6.png": "no label"} and data.report.read == 6
    assert class_of(load(tmp_path, label="owl"), 6) == "owl"


def test_images_without_a_row_take_no_class_from_a_folder_of_labeled_images(tmp_path):
    text = "id,breed\n" + "".join(f"{i},{label}\n" for i, label in enumerate(LABELS))
    files = members([f"train/{i}.png" for i in range(7)]) | members(["test/a.png", "test/b.png"], 50)
    data = load(write_files(tmp_path / "dogs", {**files, "labels.csv": text}))
    assert data.train.classes == ("cat", "dog") and data.report.read == 6
    assert why(data) == dict.fromkeys(["train/6.png", "test/a.png", "test/b.png"], "no label")
    flat = members([f"images/{i}.png" for i in range(7)])
    data = load(write_files(tmp_path / "flat", {**flat, "labels.csv": text}))
    assert data.train.classes == ("cat", "dog") and why(data) == {"images/6.png": "no label"}


def test_a_row_may_correct_the_folders_label(tmp_path):
    data = load(write_files(tmp_path, {**members(names("cat", "dog")), "metadata.csv": "file_name,label\ncat/0.png,dog\n"}))
    assert class_of(data, 0) == "dog" and class_of(data, 1) == "cat" and data.report.classes == {"cat": 4, "dog": 6}


def test_partial_subjects_make_the_others_their_own(tmp_path):
    text = "file_name,subject\ncat/0.png,Ada\ncat/1.png,Ada\ndog/0.png,\n"
    data = load(write_files(tmp_path, {**members(names("cat", "dog")), "metadata.csv": text}))
    assert data.report.subjects == 9 and subject_of(data, 1) == "Ada" and subject_of(data, 5) == "dog/0.png"
    assert data.report.warnings == ["8 images without a subject; each counts as one of its own, named after its file."]


def test_tables_in_each_split_and_subjects_on_one_side_only(tmp_path):
    files = members(["train/a.png", "train/b.png", "test/cat/c.png"])
    data = load(write_files(tmp_path, {**files, "train/metadata.csv": "file_name,subject,label\na.png,Ada,dog\nb.png,Bob,cat\n"}))
    assert data.train.subjects == ("Ada", "Bob") and data.train.labels.tolist() == [1, 0] and data.test.subjects is None


def test_columns_that_are_asked_for(tmp_path):
    text = "datei,label,art,wer\n" + "".join(f"{n},x,{label},p{i}\n" for i, (n, label) in enumerate(zip(FLAT, LABELS, strict=True)))
    write_files(tmp_path, {**members(FLAT), "metadata.csv": text})
    check(load(tmp_path, image_column="Datei", label_column="art", subject_column="wer"))
    with pytest.raises(DataError, match="'metadata.csv': --label-column is 'kind', but the columns are 'datei', 'label', 'art', 'wer'"):
        load(tmp_path, image_column="datei", label_column="kind")
    with pytest.raises(DataError, match="its columns are 'datei', 'label', 'art', 'wer'; name one file_name, or say .* --image-column"):
        load(tmp_path)


def test_a_metadata_table_that_cannot_serve_refuses_the_set_and_any_other_is_left_out(tmp_path):
    cat_dog = members(names("cat", "dog"))
    for content, words in (
        ("file_name,subject\nabsent.png,Ada\n", "'metadata.csv' has 1 row, and none names an image here; check its file_name column"),
        ("when,where\n1,2\n", "its columns are 'when', 'where'; name one file_name"),
        (b"a\0b" * 50, "it is not a text file; save it again as CSV"),
    ):
        with pytest.raises(DataError, match=words):
            load(write_files(tmp_path / "a", {**cat_dog, "metadata.csv": content}))
        assert why(load(write_files(tmp_path / "b", {**cat_dog, "other.csv": content}))) == {
            "other.csv": "a table that names no image here"
        }
    assert why(load(write_files(tmp_path / "a", {"metadata.csv": b""}))) == {"metadata.csv": "empty file"}


def test_a_row_that_climbs_names_nothing(tmp_path):
    files = {**members(names("cat", "dog")), "secret.png": png(99), "metadata.csv": "file_name,subject\n../secret.png,Ada\ncat/0.png,Bob\n"}
    data = load(write_files(tmp_path, {f"set/{n}" if n != "secret.png" else n: b for n, b in files.items()}) / "set")
    assert class_of(data, 99) is None and subject_of(data, 0) == "Bob"
    assert "'metadata.csv' has 1 row for images that are not here." in data.report.warnings


def test_one_bad_name_in_a_table_costs_only_its_image(tmp_path):
    text = rows() + f"6.png,{'x' * 300},p6\n7.png,cat,{'y' * 300}\n8.png,a\x1b[31mb,p8\n"
    data = load(write_files(tmp_path, {**members([*FLAT, *(f"{i}.png" for i in range(6, 9))]), "metadata.csv": text}))
    assert list(why(data)) == ["6.png", "7.png"] and set(data.report.reasons) == {
        "a class or subject name that is too long or shows nothing"
    }
    assert class_of(data, 8) == "a[31mb" and ("a\x1b[31mb", "a[31mb") in data.report.renamed


def test_subjects_follow_their_images_through_split_and_limit(tmp_path):
    from core.data.datasets import load_dataset

    paths = names("cat", "dog", each=10)
    lines = [f"{name},{name}" for name in reversed(paths)]
    write_files(tmp_path, {**members(paths), "metadata.csv": "file_name,subject\n" + "\n".join(lines)})
    loaded = load_dataset(str(tmp_path), limit=7)
    assert len(loaded.train) == 7
    for samples in (loaded.train, loaded.test):
        for image, subject in zip(samples.images, samples.subjects, strict=True):
            assert np.array_equal(image, np.asarray(Image.open(tmp_path / subject)))


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl"])
def test_tables_have_a_greatest_number_of_rows(tmp_path, monkeypatch, name):
    monkeypatch.setattr(metadata, "ROWS", 6)
    lines = "".join(json.dumps({"file_name": path, "label": label}) + "\n" for path, label in zip(FLAT, LABELS, strict=True))
    content, more = (rows(), "6.png,cat,p6\n") if name.endswith("csv") else (lines, "{}\n")
    write_files(tmp_path, {**members(FLAT), name: content})
    assert load(tmp_path).report.read == 6
    write_files(tmp_path, {name: content + more})
    with pytest.raises(DataError, match=f"'{name}': rows: 7 is over the limit of 6; give a table of fewer"):
        load(tmp_path)


def test_a_first_line_of_endless_columns_is_refused(tmp_path):
    with pytest.raises(DataError, match="characters in the first line: 70,009 is over the limit of 65,536; name fewer columns"):
        load(write_files(tmp_path, {**members(FLAT), "metadata.csv": "file_name" + "," * 70_000}))
