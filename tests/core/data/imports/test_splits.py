"""Subjects and copies lie on one side of a split that is made here, and are warned of in one that is given."""

from __future__ import annotations

import numpy as np
import pytest

from core.data.imports.splits import test_rows as rows_for_testing
from core.errors import DataError
from tests.core.data.makers import load, members, names, png, write_files


def people(n: int, each: int) -> dict[str, bytes | str]:
    files = members([f"{('cat', 'dog')[p % 2]}/{p}-{i}.png" for p in range(n) for i in range(each)])
    return {**files, "metadata.csv": "file_name,subject\n" + "".join(f"{name},p{name[4:].split('-')[0]}\n" for name in files)}


def test_no_subject_lies_on_both_sides(tmp_path):
    data = load(write_files(tmp_path, people(20, 4)))
    assert data.report.splits == {"train": 64, "test": 16} and data.report.subjects == 20
    assert not set(data.train.subjects) & set(data.test.subjects)
    assert np.bincount(data.test.labels).tolist() == [8, 8] and data.report.warnings == []


def test_no_copy_lies_on_both_sides(tmp_path):
    files = {f"{kind}/{i}-{copy}.png": png(seed + i) for kind, seed in (("cat", 0), ("dog", 50)) for i in range(10) for copy in range(3)}
    data = load(write_files(tmp_path, files))
    assert len(data.train) + len(data.test) == 60 and len(data.test) == 12
    assert not set(data.train.digests) & set(data.test.digests)
    assert data.report.warnings == ["40 exact copies of other images; forgetting one leaves the others."]


def test_copies_join_the_subjects_that_share_them(tmp_path):
    files = people(10, 2)
    for a, b in (("cat/0-0.png", "cat/2-0.png"), ("cat/2-1.png", "cat/4-0.png"), ("dog/1-0.png", "dog/3-0.png")):
        files[b] = files[a]
    data = load(write_files(tmp_path, files))
    sides = {s: side for side in ("train", "test") for s in getattr(data, side).subjects}
    assert sides["p0"] == sides["p2"] == sides["p4"] and sides["p1"] == sides["p3"]
    assert not set(data.train.subjects) & set(data.test.subjects) and not set(data.train.digests) & set(data.test.digests)


def test_given_splits_stay_and_say_what_they_share(tmp_path):
    files = members(names("cat", "dog", prefix="train/")) | members(names("cat", prefix="test/"), 50)
    files["test/cat/0.png"] = files["train/cat/0.png"]
    rows = "".join(f"{name},p{i % 7}\n" for i, name in enumerate(files))
    data = load(write_files(tmp_path, {**files, "metadata.csv": "file_name,subject\n" + rows}))
    assert data.report.splits == {"train": 10, "test": 5}
    assert data.report.warnings == [
        "Both train and test hold 1 image; that flatters the test accuracy.",
        "Both train and test hold images of 5 subjects; that flatters the test accuracy.",
    ]


def test_copies_with_another_label_are_counted(tmp_path):
    files = members(names("cat", "dog"))
    files["dog/0.png"], files["dog/1.png"] = files["cat/0.png"], files["cat/1.png"]
    data = load(write_files(tmp_path, files))
    assert data.report.warnings == ["Exact copies with another label: of 2 images."]


def test_small_classes_and_what_nothing_tests(tmp_path):
    data = load(write_files(tmp_path, members(names("cat", "dog") + ["owl/0.png", "elk/0.png", "elk/1.png"])))
    assert data.report.classes == {"cat": 5, "dog": 5, "elk": 2, "owl": 1}
    assert np.bincount(data.test.labels, minlength=4).tolist() == [1, 1, 1, 0]
    assert data.report.warnings == ["1 class with one image, which nothing tests: 'owl'."]


def test_classes_that_only_the_test_set_has_and_those_that_lost_all_images(tmp_path):
    files = members(names("cat", "dog", prefix="train/")) | members(names("owl", prefix="test/"), 50) | {"train/elk/0.png": b"x"}
    data = load(write_files(tmp_path, files))
    assert data.train.classes == ("cat", "dog", "elk", "owl") and data.report.classes["elk"] == 0
    assert data.report.warnings == ["1 class without a usable image: 'elk'.", "Without a training image: class 'owl'."]


def test_too_few_to_split_says_what_is_needed(tmp_path):
    with pytest.raises(DataError, match=r"The test split has 0 of 2 usable images; each class needs 2 different images, of 2 subjects"):
        load(write_files(tmp_path / "a", members(["cat/0.png", "dog/0.png"])))
    files = {**members(names("cat", each=6)), "metadata.csv": "file_name,subject\n" + "".join(f"cat/{i}.png,Ada\n" for i in range(6))}
    with pytest.raises(DataError, match=r"The test split has 0 of 6 usable images"):
        load(write_files(tmp_path / "b", files))


@pytest.mark.parametrize("seed", range(5))
def test_any_grouping_leaves_each_class_a_training_image(seed):
    rng = np.random.default_rng(seed)
    labels = np.sort(rng.integers(0, 8, 120))
    digests = [str(d) for d in rng.integers(0, 1500, 120)]
    subjects = [str(s) for s in rng.integers(0, 40, 120)]
    test = rows_for_testing(labels, digests, subjects)
    assert set(labels[~test]) == set(labels) and 0 < test.sum() < 60
    for values in (digests, subjects):
        assert not {v for v, t in zip(values, test, strict=True) if t} & {v for v, t in zip(values, test, strict=True) if not t}
    assert np.array_equal(test, rows_for_testing(labels, digests, subjects))


def test_a_class_of_one_subject_stays_in_training():
    labels = np.repeat(np.arange(11), 4)
    labels = np.concatenate([labels, np.full(40, 11)])
    subjects = [f"of {label}" for label in labels[:44]] + [f"p{i // 2}" for i in range(40)]
    test = rows_for_testing(labels, [str(i) for i in range(84)], subjects)
    assert set(labels[~test]) == set(range(12)) and set(labels[test]) == {11}
