"""Parquet and Arrow tables: where they lie, which columns hold what, what a row may hold, and how much memory one may take."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from core.data.images import InputLimits
from core.data.imports import tables
from core.errors import DataError
from tests.core.data.makers import class_of, load, members, names, png, subject_of, why, write_files, write_parquet, write_table

BLOBS = [png(i) for i in range(8)]
LABELS = [0, 1] * 4


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train.parquet", "test.parquet"),
        ("default/train/0000.parquet", "default/test/0000.parquet"),
        ("plain_text/train-00000-of-00001.parquet", "plain_text/test-00000-of-00001.parquet"),
        ("data/train-00000-of-00001-abc123.parquet", "data/validation-00000-of-00001-abc.parquet"),
        ("od[d] *? na#me/train.parquet", "od[d] *? na#me/test.parquet"),
        ("e\u0301te\u0301/Train.parquet", "e\u0301te\u0301/TEST.PARQUET"),
    ],
)
def test_where_tables_lie(tmp_path, train, test):
    write_parquet(tmp_path / "x" / train, LABELS)
    write_parquet(tmp_path / "x" / test, [0, 1])
    data = load(tmp_path / "x")
    assert data.report.splits == {"train": 8, "test": 2} and data.train.classes == ("cat", "dog")
    assert data.train.labels.tolist() == LABELS and class_of(data, 7) == "dog" and not data.report.skipped


def test_parts_follow_one_another_and_a_single_table_is_split(tmp_path):
    for i in range(3):
        write_parquet(tmp_path / f"train-0000{i}-of-00003.parquet", [0, 1], blobs=[{"bytes": png(2 * i + j), "path": None} for j in (0, 1)])
    data = load(tmp_path)
    assert data.report.read == 6 and [class_of(data, i) for i in range(6)] == ["cat", "dog"] * 3
    data = load(write_parquet(tmp_path / "one" / "pets.parquet", [0] * 10 + [1] * 20))
    assert data.name == "pets" and np.bincount(data.test.labels).tolist() == [2, 4]


def test_two_configurations_are_refused_in_words(tmp_path):
    write_parquet(tmp_path / "small/train.parquet", LABELS)
    write_parquet(tmp_path / "large/train.parquet", LABELS)
    with pytest.raises(DataError, match="2 configurations lie in .*: 'large', 'small'; give the folder of one"):
        load(tmp_path)
    assert load(tmp_path / "small").report.read == 8


def test_what_save_to_disk_writes(tmp_path):
    import datasets

    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])})
    rows = datasets.Dataset.from_dict({"image": [{"bytes": b, "path": None} for b in BLOBS], "label": LABELS}, features=features)
    rows.save_to_disk(tmp_path / "one")
    datasets.DatasetDict({"train": rows, "test": rows.select([0, 1])}).save_to_disk(tmp_path / "two")
    one, two = load(tmp_path / "one"), load(tmp_path / "two")
    assert one.report.read == 8 and one.train.classes == ("cat", "dog") and [class_of(one, i) for i in (0, 1)] == ["cat", "dog"]
    assert two.report.splits == {"train": 8, "test": 2} and not two.report.skipped
    made = next((tmp_path / "one").glob("data-*.arrow"))
    (tmp_path / "one" / "cache-0123.arrow").write_bytes(made.read_bytes())
    assert why(load(tmp_path / "one")) == {"cache-0123.arrow": "an earlier result that `datasets` kept"}
    with pa.memory_map(str(made)) as source, pa.ipc.open_stream(source) as reader, pa.OSFile(str(tmp_path / "x.arrow"), "wb") as sink:
        whole = reader.read_all()
        with pa.ipc.new_file(sink, whole.schema) as writer:
            writer.write_table(whole)
    assert load(tmp_path / "x.arrow").train.ids == one.train.ids


def test_what_a_row_may_hold(tmp_path):
    write_files(tmp_path, {"set/pictures/a.png": png(50), "set/data/b.png": png(51), "secret.png": png(52)})
    rows = [{"bytes": blob, "path": "x.png"} for blob in BLOBS[:4]]
    rows += [
        {"bytes": None, "path": path} for path in ("pictures/a.png", "b.png", "../secret.png", str(tmp_path / "secret.png"), "absent.png")
    ]
    rows += [{"bytes": None, "path": None}, None, {"bytes": b"", "path": None}, {"bytes": b"text", "path": None}]
    write_parquet(tmp_path / "set/data/train.parquet", [0, 1, 0, 1, 0, 1] + [0] * 7, blobs=rows)
    data = load(tmp_path / "set")
    assert class_of(data, 50) == "cat" and class_of(data, 51) == "dog" and class_of(data, 52) is None and data.report.read == 6
    outside = "names a file that is not in the set"
    reasons = [outside, outside, outside, "an empty row", "an empty row", "empty file", "not an image of a format that is read here"]
    assert why(data) == {f"data/train.parquet, row {6 + i}": reason for i, reason in enumerate(reasons)}
    assert "2 image files beside the tables are used only where a table names them." in data.report.warnings


def test_plain_bytes_and_plain_paths(tmp_path):
    plain = load(write_table(tmp_path / "a" / "x.parquet", {"image": BLOBS, "label": LABELS}))
    assert [class_of(plain, i) for i in range(3)] == ["0", "1", "0"]
    write_files(tmp_path / "b", members(names("img", each=4)))
    paths = load(write_table(tmp_path / "b" / "x.parquet", {"image": [f"img/{i}.png" for i in range(4)], "label": list("aabb")}).parent)
    assert [class_of(paths, i) for i in range(4)] == list("aabb")
    alone = load(tmp_path / "b" / "x.parquet")
    assert alone.train.ids == paths.train.ids
    (tmp_path / "b" / "img" / "0.png").unlink()
    (tmp_path / "b" / "img" / "0.png").symlink_to(write_files(tmp_path, {"secret.png": png(70)}) / "secret.png")
    assert why(load(tmp_path / "b" / "x.parquet")) == {"x.parquet, row 0": "names a file that is not in the set"}


@pytest.mark.parametrize(
    ("labels", "classes", "left_out"),
    [
        ([7, 9] * 4, ("7", "9"), {}),
        (["b", "a"] * 4, ("a", "b"), {}),
        ([1.0, 2.0] * 4, ("1", "2"), {}),
        ([True, False] * 4, ("False", "True"), {}),
        (
            [1.0, 2.0, 1.5, 2.0, 1.0, 2.0, float("nan"), None],
            ("1", "2"),
            {2: "a label that is no whole number", 6: "no label", 7: "no label"},
        ),
        (["a", "b", "", "b", "a", " ", None, "-1"], ("a", "b"), dict.fromkeys((2, 5, 6, 7), "no label")),
        (pa.array(["b", "a"] * 4).dictionary_encode(), ("a", "b"), {}),
        (pa.array(["b", "a"] * 4, pa.large_string()), ("a", "b"), {}),
        (pa.array([10, 9] * 4, pa.uint8()), ("9", "10"), {}),
    ],
)
def test_labels_of_every_type(tmp_path, labels, classes, left_out):
    data = load(write_table(tmp_path / "x.parquet", {"image": BLOBS, "label": labels}))
    assert data.train.classes == classes and why(data) == {f"x.parquet, row {row}": reason for row, reason in left_out.items()}
    filled = load(tmp_path / "x.parquet", label="owl")
    assert filled.report.classes.get("owl", 0) == sum(reason == "no label" for reason in left_out.values())


def test_class_labels_out_of_range_and_minus_one(tmp_path):
    data = load(write_parquet(tmp_path / "x.parquet", [0, 1, -1, 5, 0, 1]))
    assert why(data) == {"x.parquet, row 2": "no label", "x.parquet, row 3": "a label that is not one of 0 to 1"}


def test_class_names_that_one_split_lacks_and_that_differ(tmp_path):
    write_parquet(tmp_path / "a/train.parquet", [0, 1, 2], names=("cat", "dog", "owl"))
    write_parquet(tmp_path / "a/test.parquet", [0, 1], names=("owl", "cat"))
    data = load(tmp_path / "a")
    assert data.train.classes == data.test.classes == ("cat", "dog", "owl") and data.test.labels.tolist() == [2, 0]
    write_parquet(tmp_path / "b/train.parquet", [0, 1])
    write_table(tmp_path / "b/test.parquet", {"image": BLOBS[:2], "label": ["dog", "cat"]})
    assert load(tmp_path / "b").test.labels.tolist() == [1, 0]


def test_columns_by_type_by_name_or_as_asked_for(tmp_path):
    path = tmp_path / "x.parquet"
    data = load(write_table(path, {"Bild": BLOBS, "Art": list("ab") * 4}))
    assert class_of(data, 1) == "b"
    write_table(path, {"Bild": BLOBS, "Maske": BLOBS[::-1], "Art": list("ab") * 4, "Ort": list("cd") * 4, "Wer": list("xyzw") * 2})
    with pytest.raises(DataError, match="'x.parquet' has the columns 'Bild', 'Maske', .*; say with --image-column which one holds images"):
        load(path)
    with pytest.raises(DataError, match="'x.parquet' has the columns .*; say with --label-column which one is the label"):
        load(path, image_column="Bild")
    with pytest.raises(DataError, match="--label-column is 'kind', but the columns are 'Bild'"):
        load(path, image_column="Bild", label_column="kind")
    data = load(path, image_column="bild", label_column="ort", subject_column="Wer")
    assert class_of(data, 0) == "c" and subject_of(data, 3) == "w" and data.report.subjects == 4
    assert load(path, image_column="Maske", label="thing").report.classes == {"thing": 8}
    with pytest.raises(DataError, match="Column 'Bild' is of type 'binary'; give texts or whole numbers"):
        load(path, image_column="Maske", label_column="Bild")


def test_cifar100s_two_label_columns(tmp_path):
    data = load(write_parquet(tmp_path / "x.parquet", [0, 1] * 3, "img", "fine_label", coarse_label=[3, 4] * 3))
    assert data.train.classes == ("cat", "dog")


def test_subjects_of_tables(tmp_path):
    data = load(write_parquet(tmp_path / "x.parquet", LABELS, subject=["a", "b", None, "d", "a", "b", "", "d"]))
    assert subject_of(data, 4) == "a" and subject_of(data, 2) == "x.parquet, row 2" and data.report.subjects == 5


def test_tables_that_are_none(tmp_path):
    path = write_parquet(tmp_path / "x.parquet", LABELS)
    whole = path.read_bytes()
    for content in (b"", b"PAR1", whole[:-20], whole[20:], b"x" * 500):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"'x.parquet' cannot be read as a table \(.*\); write it again"):
            load(path)
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n")
    with pytest.raises(DataError, match="'x.parquet' is a Git LFS pointer, not the file itself; run `git lfs pull`"):
        load(path)
    with pytest.raises(DataError, match=r"8 rows found, and none is an image with a label; see --label-column"):
        load(write_table(path, {"image": BLOBS, "label": [-1] * 8}))


def test_limits_of_tables(tmp_path):
    path = write_parquet(tmp_path / "x.parquet", LABELS)
    for limits, words in (
        (InputLimits(set_images=7), "rows: 8 is over the limit of 7; give fewer images"),
        (InputLimits(set_bytes=500), "'x.parquet' in bytes: .* is over the limit of 500"),
        (InputLimits(classes=1), "classes: 2 is over the limit of 1; merge some"),
        (InputLimits(image_pixels=63), r"0 of 8 images can be used, mostly because: over 63 pixels \('x.parquet, row 0'\)"),
    ):
        with pytest.raises(DataError, match=words):
            load(path, limits=limits)


def test_a_small_table_that_unpacks_to_much_is_refused(tmp_path):
    blobs = pa.array([b"\0" * 100_000] * 30)
    path = write_table(tmp_path / "x.parquet", {"image": blobs, "label": [0, 1] * 15}, compression="zstd", use_dictionary=False)
    assert path.stat().st_size < 100_000
    with pytest.raises(
        DataError, match="'x.parquet' in bytes, unpacked: 3,.* is over the limit of 1,000,000; give fewer or smaller images"
    ):
        load(path, limits=InputLimits(set_bytes=1_000_000))


@pytest.mark.parametrize("column", ["image", "label"])
def test_one_value_in_every_row_takes_no_memory_for_each(tmp_path, monkeypatch, column):
    monkeypatch.setattr(tables, "BATCH_BYTES", 2**22)
    columns = {"image": [png(i % 4) for i in range(2000)], "label": list("ab") * 1000}
    columns[column] = [bytes(2**18) if column == "image" else "x" * 2**18] * 2000
    path = write_table(tmp_path / "x.parquet", columns)
    assert path.stat().st_size < 2**20
    pool = pa.default_memory_pool()
    before, peaks = pool.bytes_allocated(), []
    read = tables._Table.batches

    def watched(self, *args):
        for batch in read(self, *args):
            peaks.append(pool.bytes_allocated() - before)
            yield batch

    monkeypatch.setattr(tables._Table, "batches", watched)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="0 of 2,000 images can be used|bytes in a value of column 'label': 262,144 is over the limit"):
            load(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peaks and max(peaks) < 2**25 and peak < 2**25  # 500 MiB, if each row had its own


def test_a_dictionary_of_long_texts_is_refused_before_it_is_spread_over_the_rows(tmp_path):
    indices = pa.array([0] * 5000, pa.int32())
    batch = pa.record_batch({"image": [png(0)] * 5000, "label": pa.DictionaryArray.from_arrays(indices, pa.array(["x" * 2**20]))})
    with pa.OSFile(str(tmp_path / "x.arrow"), "wb") as sink, pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    pool = pa.default_memory_pool()
    before = pool.bytes_allocated()
    with pytest.raises(DataError, match="bytes in a value of column 'label': 1,048,576 is over the limit of 1,020; use shorter names"):
        load(tmp_path / "x.arrow")
    assert pool.bytes_allocated() - before < 2**26


def test_rows_asked_for_out_of_order_are_right(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "BATCH", 3)
    parquet.write_table(pa.table({"image": BLOBS, "label": LABELS}), tmp_path / "train.parquet", row_group_size=5)
    from core.data.imports.options import ImportOptions
    from core.data.imports.paths import read_path
    from core.data.imports.report import ImportReport

    found = read_path(str(tmp_path), ImportOptions(), ImportReport()).images
    assert [found[row].read() for row in (0, 7, 3, 3, 1, 6)] == [BLOBS[row] for row in (0, 7, 3, 3, 1, 6)]
