"""Named sets, folders and archives as a whole, and the words of every refusal. Sets of the Hub are stood in for by files of its schema."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from core.data.datasets import load_dataset
from core.data.imports.options import ImportOptions
from core.data.named_sets import NAMED, HubSource
from core.errors import DataError, InputError
from tests.core.data.makers import members, names, png, why, write_files, write_parquet

ROOT = Path(__file__).parents[3]
SHARED = ROOT.parent / "shared" / "data"


def class_counts(samples) -> list[int]:
    return np.bincount(samples.labels, minlength=len(samples.classes)).tolist()


# Digits


def test_digits_are_split_by_a_fixed_seed():
    digits = load_dataset("digits")
    assert (len(digits.train), len(digits.test), digits.train.images.shape[1:]) == (1437, 360, (8, 8, 3))
    assert digits.train.classes == tuple("0123456789")
    assert (digits.train.images.min(), digits.train.images.max()) == (0, 255)
    assert max(class_counts(digits.test)) - min(class_counts(digits.test)) <= 2
    assert not set(digits.train.ids) & set(digits.test.ids)


def test_digits_are_the_same_everywhere():
    digits = load_dataset("digits")
    found = [hashlib.sha256("".join(s.ids).encode()).hexdigest()[:16] for s in (digits.train, digits.test)]
    assert found == ["9db015455da547b7", "a57d51dbce632144"]


def test_limit_is_a_fixed_choice_smaller_inside_larger():
    few, more = load_dataset("digits", limit=50), load_dataset("digits", limit=200)
    assert (len(few.train), len(few.test), len(more.train)) == (50, 50, 200)
    assert set(few.train.ids) < set(more.train.ids)
    assert load_dataset("digits", limit=50).train.ids == few.train.ids
    assert len(load_dataset("digits", limit=400).test) == 360


@pytest.mark.parametrize("limit", [0, -3])
def test_limit_must_be_positive(limit):
    with pytest.raises(InputError, match=f"limit is {limit}"):
        load_dataset("digits", limit=limit)


def test_importing_loads_no_datasets():
    code = "import sys, core.data.datasets; print({'datasets', 'pyarrow', 'sklearn', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# Named sets


@pytest.mark.parametrize(("name", "image", "label"), [("cifar100", "img", "fine_label"), ("svhn", "image", "label")])
def test_sets_of_the_hubs_schema(tmp_path, name, image, label):
    more = {"coarse_label": [0, 1, 0]} if name == "cifar100" else {}
    for split in ("train", "test"):
        write_parquet(tmp_path / name / f"{split}.parquet", [1, 0, 1], image, label, **more)
    loaded = load_dataset(name, tmp_path)
    assert loaded.name == name and loaded.train.classes == ("cat", "dog")
    assert loaded.train.labels.tolist() == [1, 0, 1] and loaded.train.subjects is None
    assert loaded.train.images.shape == (3, 8, 8, 3)


def test_data_folder_from_the_environment(tmp_path, monkeypatch):
    for split in ("train", "test"):
        write_parquet(tmp_path / "madbase" / f"{split}.parquet", [0, 1], subject=["writer1", "writer2"])
    monkeypatch.setenv("LMERASER_DATA", str(tmp_path))
    assert load_dataset("madbase").train.subjects == ("writer1", "writer2")


def test_a_set_that_is_only_local_says_where_it_was_looked_for(tmp_path):
    with pytest.raises(DataError, match="gtsrb does not hold .*not on the Hub.*LMERASER_DATA.*offline: digits"):
        load_dataset("gtsrb", tmp_path)


def test_hub_sources_name_parquet_files():
    sources = [s for s in NAMED.values() if isinstance(s, HubSource)]
    assert len(sources) == 3 and all(f.endswith(".parquet") for s in sources for f in (s.train, s.test))


# Folders, archives and tables


def test_a_table_leaves_no_cache(tmp_path):
    import datasets

    cache = Path(datasets.config.HF_DATASETS_CACHE)
    before = sorted(cache.rglob("*")) if cache.exists() else []
    loaded = load_dataset(str(write_parquet(tmp_path / "pets.parquet", [0] * 10 + [1] * 20)))
    assert (loaded.name, class_counts(loaded.train), class_counts(loaded.test)) == ("pets", [8, 16], [2, 4])
    assert before == (sorted(cache.rglob("*")) if cache.exists() else [])


def test_exact_copies_are_numbered(tmp_path):
    for name in ("train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001"):
        write_parquet(tmp_path / f"{name}.parquet", [0, 1, 1])
    loaded = load_dataset(str(tmp_path))
    assert (len(loaded.train), len(loaded.test)) == (6, 3) and loaded.train.ids[3].endswith("-1")


def test_a_folder_with_both_splits(tmp_path):
    files = members(["train/cat/b.png", "train/cat/c.png", "train/dog/a.png", "test/cat/d.png"])
    loaded = load_dataset(str(write_files(tmp_path / "pets", files)))
    assert loaded.name == "pets" and loaded.train.classes == loaded.test.classes == ("cat", "dog")
    assert loaded.train.labels.tolist() == [0, 0, 1] and loaded.test.labels.tolist() == [0]


@pytest.mark.parametrize("prefix", ["", "train/", "my pets/", "my pets/train/"])
def test_a_fifth_of_each_class_is_set_apart_where_there_is_no_test_split(tmp_path, prefix):
    paths = [f"{prefix}{kind}/{i}.png" for kind, n in (("cat", 10), ("dog", 25), ("owl", 1)) for i in range(n)]
    loaded = load_dataset(str(write_files(tmp_path / "x", members(paths))))
    assert (class_counts(loaded.train), class_counts(loaded.test)) == ([8, 20, 1], [2, 5, 0])
    assert load_dataset(str(tmp_path / "x")).train.ids == loaded.train.ids


@pytest.mark.parametrize(("name", "title"), [("my.photos", "my.photos"), ("x.tar.gz", "x"), ("Pets.ZIP", "Pets"), ("a.b.parquet", "a.b")])
def test_a_set_is_called_after_its_path(tmp_path, name, title, monkeypatch):
    from tests.core.data.makers import write_tar, write_zip

    files = members(names("cat", "dog"))
    if name.endswith(".parquet"):
        write_parquet(tmp_path / name, [0, 1] * 3)
    elif name.endswith(("gz", "ZIP")):
        (write_zip if name.endswith("ZIP") else write_tar)(tmp_path / name, files)
    else:
        write_files(tmp_path / name, files)
        monkeypatch.chdir(tmp_path / name)
        assert load_dataset(".").name == title
    loaded = load_dataset(str(tmp_path / name))
    assert loaded.name == loaded.report.name == title


@pytest.mark.parametrize(
    ("paths", "metadata", "message"),
    [
        ([], None, "There are 0 images among 0 files; give PNG"),
        (["a.png"], None, "None of 1 image has a label; put each into a folder named after its class"),
        (["test/cat/a.png"], None, r"Splits found: test \(1\); give train and test, or train alone"),
        (["train/cat/a.png", "cat/b.png"], None, r"Splits found: images outside \(1\), train \(1\)"),
        (["cat/a.png"], None, "The test split has 0 of 1 usable image; each class needs 2 different images"),
        (["cat/a.png", "cat/b.png"], "file_name,subject\ncat/x.png,Ada\n", "has 1 row, and none names an image here"),
        (["cat/a.png", "cat/b.png"], "file_name,subject\n../a.png,Ada\n", "has 1 row, and none names an image here"),
        (["cat/a.png", "cat/b.png"], "when,subject\ncat/a.png,Ada\n", "columns are 'when', 'subject'; name one file_name"),
        (["cat/a.png", "cat/b.png"], b"\xff\xfe\x00", "columns are none; name one file_name"),
    ],
)
def test_folder_refusals(tmp_path, paths, metadata, message):
    write_files(tmp_path, members(paths))
    if metadata is not None:
        write_files(tmp_path, {"metadata.csv": metadata})
    with pytest.raises(DataError, match=message):
        load_dataset(str(tmp_path))


def test_what_was_refused_once_is_reported_now(tmp_path):
    files = members(["a/b/c/d.png", "a/b/c/e.png", "b/a.png", "b/b.png"])
    loaded = load_dataset(str(write_files(tmp_path / "deep", files)))
    assert loaded.train.classes == ("a", "b") and loaded.report.warnings[0].startswith("2 images deeper than <class>/<image>")
    rows = "file_name,subject,label\ncat/a.png,Ada,a\x1b[31mb\ncat/b.png,,a\x1b[31mb\n"
    loaded = load_dataset(str(write_files(tmp_path / "table", {**members(["cat/a.png", "cat/b.png"]), "metadata.csv": rows})))
    assert loaded.train.classes == ("a[31mb",) and loaded.report.renamed == [("a\x1b[31mb", "a[31mb")]
    assert {*loaded.train.subjects, *loaded.test.subjects} == {"Ada", "cat/b.png"}
    (tmp_path / "deep" / "b" / "link.png").symlink_to(__file__)
    os.mkfifo(tmp_path / "deep" / "b" / "pipe.png")
    assert set(why(load_dataset(str(tmp_path / "deep"))).values()) == {"a link or special file"}


@pytest.mark.parametrize("name", ["", "nowhere", "a" * 5000, "nul\0", "../..//nowhere", "cifar11", "\ud800", "no/such"])
def test_names_that_are_nothing(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="is not a data set or a path here; use digits|is not a usable path|is not a path here, and cannot"):
        load_dataset(name)


def test_files_of_other_kinds_are_refused(tmp_path):
    (tmp_path / "x.rar").write_bytes(b"x")
    with pytest.raises(DataError, match="'x.rar' is of a kind that is not read; give a folder, .zip, .tar, .tar.gz or .parquet"):
        load_dataset(str(tmp_path / "x.rar"))


def test_a_folder_that_cannot_be_listed_says_so(tmp_path, monkeypatch):
    write_files(tmp_path, {**members(names("cat", "dog")), "owl/0.png": png(60)})
    listed = os.scandir

    def scandir(path):
        if Path(path).name in closed:
            raise PermissionError(13, "closed")
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    closed = {"owl"}
    assert why(load_dataset(str(tmp_path))) == {"owl/": "a folder that cannot be listed"}
    closed = {tmp_path.name}
    with pytest.raises(DataError, match="cannot be listed .PermissionError.; check that it may be read"):
        load_dataset(str(tmp_path))


def test_folders_have_a_greatest_depth(tmp_path):
    loaded = load_dataset(str(write_files(tmp_path, {**members(names("cat", "dog")), "cat/" + "x/" * 12 + "0.png": png(60)})))
    assert set(why(loaded).values()) == {"over 12 folders deep"} and loaded.report.read == 10


def test_named_sets_take_options_too(tmp_path):
    for split in ("train", "test"):
        write_parquet(tmp_path / "svhn" / f"{split}.parquet", [0, 1], blobs=[{"bytes": png(i, 9, 8), "path": None} for i in range(2)])
    assert load_dataset("svhn", tmp_path, options=ImportOptions(size=16)).train.images.shape == (2, 16, 16, 3)


# Real data


@pytest.mark.parametrize(
    ("name", "size", "classes", "train_subjects", "test_subjects"),
    [("cifar10", 32, 10, False, False), ("gtsrb", 48, 43, True, False), ("madbase", 28, 10, True, True)],
)
def test_real_sets(name, size, classes, train_subjects, test_subjects):
    if not (SHARED / name / "train.parquet").is_file():
        reason = f"{name}'s parquet files are not at ../shared/data/{name}"
        (pytest.fail if os.environ.get("LMERASER_REQUIRE_ALL") == "1" else pytest.skip)(reason)
    loaded = load_dataset(name, SHARED, limit=1000)
    assert loaded.train.images.shape == loaded.test.images.shape == (1000, size, size, 3)
    assert len(loaded.train.classes) == classes and set(loaded.train.labels.tolist()) == set(range(classes))
    assert loaded.train.images.std() > 20
    for samples, has in ((loaded.train, train_subjects), (loaded.test, test_subjects)):
        assert (samples.subjects is not None) == has
    if name == "madbase":
        assert not set(loaded.train.subjects) & set(loaded.test.subjects)
        assert all(subject.startswith("writer") for subject in loaded.train.subjects)
    if name == "gtsrb":
        assert all(
            s.split("-")[0] == loaded.train.classes[label] for s, label in zip(loaded.train.subjects, loaded.train.labels, strict=True)
        )
