"""Named sets, users' sets in every layout, and the words of every refusal. Sets of the Hub are stood in for by files of its schema."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from core.data.datasets import load_dataset
from core.data.images import InputLimits
from core.data.named_sets import NAMED, HubSource
from core.errors import DataError, InputError

ROOT = Path(__file__).parents[3]
SHARED = ROOT.parent / "shared" / "data"


def png(seed: int, side: int = 8) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)).save(out, "PNG")
    return out.getvalue()


def write_parquet(path: Path, labels, image="image", label="label", names=("cat", "dog"), blobs=None, **more) -> Path:
    """Write a file in the Hub's layout, its features in the schema's metadata."""
    import datasets

    features = {image: datasets.Image(), label: datasets.ClassLabel(names=list(names)) if names else None, **dict.fromkeys(more)}
    kinds = {int: datasets.Value("int64"), str: datasets.Value("string")}
    values = {label: labels, **more}
    features = {k: f or kinds[type(values[k][0])] for k, f in features.items()}
    blobs = blobs if blobs is not None else [{"bytes": png(i), "path": None} for i in range(len(labels))]
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.table({image: blobs, **values}, schema=datasets.Features(features).arrow_schema), path)
    return path


def write_images(root: Path, names) -> Path:
    for seed, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(png(seed))
    return root


def class_counts(samples) -> list[int]:
    return np.bincount(samples.labels, minlength=len(samples.classes)).tolist()


@pytest.fixture(autouse=True)
def nothing_left_behind(tmp_path_factory, monkeypatch):
    """Every test's temporary files go to a folder that must be empty afterwards."""
    scratch = tmp_path_factory.mktemp("scratch")
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    monkeypatch.delenv("LMERASER_DATA", raising=False)
    yield
    assert list(scratch.iterdir()) == []


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


def test_no_network_says_what_works_offline(tmp_path, monkeypatch):
    import datasets
    import huggingface_hub

    def fail(*args, **kwargs):
        raise ConnectionError("no network")

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", fail)
    monkeypatch.setattr(datasets, "load_dataset", fail)
    with pytest.raises(DataError, match="svhn does not hold .*ufldl-stanford/svhn cannot be loaded.*no network.*offline: digits"):
        load_dataset("svhn", tmp_path)


def test_the_hub_gives_only_the_files_that_are_needed(tmp_path, monkeypatch):
    import datasets
    import huggingface_hub

    features = datasets.Features({"img": datasets.Image(), "fine_label": datasets.ClassLabel(names=["cat", "dog"])})
    columns = {"img": [{"bytes": png(i), "path": None} for i in range(4)], "fine_label": [0, 1, 1, 0]}
    rows = datasets.Dataset.from_dict(columns, features=features)
    calls = []
    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", lambda *args, **kwargs: None)
    monkeypatch.setattr(datasets, "load_dataset", lambda *args, **kw: calls.append((args, kw)) or {"train": rows, "test": rows.select([0])})
    loaded = load_dataset("cifar100", tmp_path)
    assert (len(loaded.train), len(loaded.test), loaded.train.labels.tolist()) == (4, 1, [0, 1, 1, 0])
    assert calls[0][0] == ("uoft-cs/cifar100",) and set(calls[0][1]["data_files"]) == {"train", "test"}
    assert "trust_remote_code" not in calls[0][1]


def test_hub_sources_name_parquet_files():
    sources = [s for s in NAMED.values() if isinstance(s, HubSource)]
    assert len(sources) == 3 and all(f.endswith(".parquet") for s in sources for f in (s.train, s.test))


# Parquet


def test_parquet_file_is_split_and_leaves_no_cache(tmp_path):
    import datasets

    cache = Path(datasets.config.HF_DATASETS_CACHE)
    before = sorted(cache.rglob("*")) if cache.exists() else []
    loaded = load_dataset(str(write_parquet(tmp_path / "pets.parquet", [0] * 10 + [1] * 20)))
    assert (loaded.name, class_counts(loaded.train), class_counts(loaded.test)) == ("pets", [8, 16], [2, 4])
    assert before == (sorted(cache.rglob("*")) if cache.exists() else [])


def test_parquet_folder_in_parts_with_odd_names(tmp_path):
    folder = tmp_path / "od[d] *? na#me"
    for name in ("train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001"):
        write_parquet(folder / "data" / f"{name}.parquet", [0, 1, 1])
    loaded = load_dataset(str(folder))
    assert (len(loaded.train), len(loaded.test)) == (6, 3)
    assert loaded.train.ids[3].endswith("-1")  # both parts hold the same images: exact copies are numbered


@pytest.mark.parametrize(("labels", "classes"), [([7, 9, 7, 9], ("7", "9")), (["b", "a", "b", "a"], ("a", "b"))])
def test_labels_without_class_names(tmp_path, labels, classes):
    for split in ("train", "test"):
        write_parquet(tmp_path / "x" / f"{split}.parquet", labels, names=None)
    loaded = load_dataset(str(tmp_path / "x"))
    assert loaded.train.classes == classes and loaded.train.labels.tolist() == [classes.index(str(v)) for v in labels]


def test_plain_bytes_without_features(tmp_path):
    parquet.write_table(pa.table({"image": [png(i) for i in range(4)], "label": [0, 0, 1, 1]}), tmp_path / "x.parquet")
    assert load_dataset(str(tmp_path / "x.parquet")).train.images.shape == (2, 8, 8, 3)


def test_a_path_in_place_of_bytes_is_never_opened(tmp_path):
    (tmp_path / "secret.png").write_bytes(png(0))
    blobs = [{"bytes": None, "path": str(tmp_path / "secret.png")}] * 4
    with pytest.raises(DataError, match="no image bytes"):
        load_dataset(str(write_parquet(tmp_path / "x.parquet", [0, 0, 1, 1], blobs=blobs)))


def test_parquet_refusals(tmp_path):
    path = tmp_path / "x.parquet"
    cases = [
        (dict(labels=[0, 0, 5, 1]), "Label '5' is not one of 2"),
        (dict(labels=[0, 0, -1, 1]), "Label '-1' is not one of 2"),
        (dict(labels=[0, 0, 1, 1], image="picture"), "name one of them image or img"),
        (dict(labels=[0, 0, 1, 1], label="kind"), "name one of them label or fine_label"),
        (dict(labels=[0, 1]), "leave none to test on"),
        (dict(labels=[0, 0, 1, 1], subject=["a", "b", None, "d"]), "subject name is ''"),
        (dict(labels=[0, 0, 1, 1], blobs=[{"bytes": b"x", "path": None}] * 4), "is not an image of"),
    ]
    for options, message in cases:
        with pytest.raises(DataError, match=message):
            load_dataset(str(write_parquet(path, **options)))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"'x.parquet' cannot be read as parquet"):
        load_dataset(str(path))


def test_parquet_limits(tmp_path):
    path = str(write_parquet(tmp_path / "x.parquet", [0, 0, 1, 1]))
    for limits in (InputLimits(set_images=3), InputLimits(set_bytes=500), InputLimits(classes=1), InputLimits(image_pixels=63)):
        with pytest.raises(DataError, match="over the limit"):
            load_dataset(path, limits=limits)


@pytest.mark.slow
def test_a_small_parquet_that_unpacks_to_much_is_refused(tmp_path):
    blobs = [{"bytes": bytes(100_000), "path": None}] * 3000
    path = write_parquet(tmp_path / "x.parquet", [0, 1] * 1500, blobs=blobs)  # one value, stored once, stands in every row
    assert path.stat().st_size < 100_000
    with pytest.raises(DataError, match="bytes in the parquet.*over the limit of 10,000,000"):
        load_dataset(str(path), limits=InputLimits(set_bytes=10_000_000))


def test_splits_must_agree_on_classes(tmp_path):
    write_parquet(tmp_path / "train.parquet", [0, 1])
    write_parquet(tmp_path / "test.parquet", [0, 1], names=("cat", "cow"))
    with pytest.raises(DataError, match="use the same"):
        load_dataset(str(tmp_path))


# Folders and archives


def test_imagefolder_with_both_splits(tmp_path):
    names = ["train/dog/a.png", "train/cat/b.png", "train/cat/c.png", "test/cat/d.png"]
    loaded = load_dataset(str(write_images(tmp_path / "pets", names)))
    assert loaded.name == "pets" and loaded.train.classes == ("cat", "dog")
    assert loaded.train.labels.tolist() == [0, 0, 1] and loaded.test.labels.tolist() == [0]


@pytest.mark.parametrize("prefix", ["", "train/", "my pets/", "my pets/train/"])
def test_imagefolder_without_test_is_split(tmp_path, prefix):
    names = [f"{prefix}{kind}/{i}.png" for kind, n in (("cat", 10), ("dog", 25), ("owl", 1)) for i in range(n)]
    loaded = load_dataset(str(write_images(tmp_path / "x", names)))
    assert (class_counts(loaded.train), class_counts(loaded.test)) == ([8, 20, 1], [2, 5, 0])
    assert load_dataset(str(tmp_path / "x")).train.ids == loaded.train.ids


def test_zip_is_read_as_its_folder_is(tmp_path):
    root = write_images(tmp_path / "x", [f"{kind}/{i}.png" for kind in ("cat", "dog") for i in range(5)])
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for path in sorted(root.rglob("*.png")):
            archive.write(path, f"x/{path.relative_to(root)}")
    assert load_dataset(str(tmp_path / "x.zip")).train.ids == load_dataset(str(root)).train.ids


def test_a_class_of_trains_is_no_split(tmp_path):
    names = [f"{kind}/{i}.png" for kind in ("car", "train") for i in range(5)]
    assert load_dataset(str(write_images(tmp_path, names))).train.classes == ("car", "train")


def test_metadata_gives_subjects_and_labels(tmp_path):
    write_images(tmp_path, ["train/a.png", "train/b.png", "test/cat/c.png"])
    (tmp_path / "train" / "metadata.csv").write_text("file_name,subject,label\na.png,Ada,dog\nb.png,Bob,cat\n", "utf-8-sig")
    loaded = load_dataset(str(tmp_path))
    assert loaded.train.subjects == ("Ada", "Bob") and loaded.train.labels.tolist() == [1, 0]
    assert loaded.test.subjects is None


def test_subjects_follow_their_images_through_split_and_limit(tmp_path):
    names = [f"{kind}/{i}.png" for kind in ("cat", "dog") for i in range(10)]
    write_images(tmp_path, names)
    lines = [f"{name},{name}" for name in reversed(names)]
    (tmp_path / "metadata.csv").write_text("file_name,subject\n" + "\n".join(lines))
    loaded = load_dataset(str(tmp_path), limit=7)
    for samples in (loaded.train, loaded.test):
        for image, subject in zip(samples.images, samples.subjects, strict=True):
            assert np.array_equal(image, np.asarray(Image.open(tmp_path / subject)))


def test_different_sizes_become_48(tmp_path):
    write_images(tmp_path, [f"cat/{i}.png" for i in range(5)])
    (tmp_path / "cat" / "4.png").write_bytes(png(9, 30))
    assert load_dataset(str(tmp_path)).train.images.shape == (4, 48, 48, 3)


@pytest.mark.parametrize(
    ("names", "metadata", "message"),
    [
        ([], None, "no image"),
        (["a.png"], None, "not at train/<class>"),
        (["a/b/c/d.png"], None, "not at train/<class>"),
        (["test/cat/a.png"], None, "Splits found: 'test'"),
        (["train/cat/a.png", "cat/b.png"], None, "Splits found: images outside, 'train'"),
        (["cat/a.png"], None, "leave none to test on"),
        (["cat/a.png", "cat/b.png"], "file_name,subject\ncat/a.png,Ada\n", "subject .* name is ''"),
        (["cat/a.png", "cat/b.png"], "file_name,subject\ncat/x.png,Ada\n", "missing or named twice"),
        (["cat/a.png", "cat/b.png"], "file_name,subject\n../a.png,Ada\n", "not a plain relative path"),
        (["cat/a.png", "cat/b.png"], "name,subject\ncat/a.png,Ada\n", "not a plain relative path"),
        (["cat/a.png", "cat/b.png"], "file_name,label\ncat/a.png,a\x1b[31mb\ncat/b.png,a\x1b[31mb\n", "class name is"),
        (["cat/a.png", "cat/b.png"], b"\xff\xfe\x00", "not a CSV file in UTF-8"),
    ],
)
def test_folder_refusals(tmp_path, names, metadata, message):
    write_images(tmp_path, names)
    if metadata is not None:
        (tmp_path / "metadata.csv").write_bytes(metadata.encode() if isinstance(metadata, str) else metadata)
    with pytest.raises(DataError, match=message):
        load_dataset(str(tmp_path))


@pytest.mark.parametrize("name", ["", "nowhere", "a" * 5000, "nul\0", "../..//nowhere", "cifar11"])
def test_names_that_are_nothing(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError):
        load_dataset(name)


def test_files_of_other_kinds_are_refused(tmp_path):
    (tmp_path / "x.tar").write_bytes(b"x")
    with pytest.raises(DataError, match="neither .zip nor .parquet"):
        load_dataset(str(tmp_path / "x.tar"))


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
