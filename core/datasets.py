"""Named and users' image data sets as train and test samples.

It knows where data lies and how rows become Samples; it knows nothing of models, clusters or pages. Hugging Face `datasets`
is loaded only when a parquet file or the Hub is read, reads nothing but parquet, and leaves no cache of local files.
"""

from __future__ import annotations

import csv
import glob
import io
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from core.errors import DataError, InputError
from core.images import METADATA, InputLimits, check_name, read_folder, read_zip, shown, stack_images, within
from core.types import Samples

IMAGE_COLUMNS = ("image", "img")
LABEL_COLUMNS = ("label", "fine_label")
SPLITS = {"train": "train", "test": "test", "validation": "test", "valid": "test", "val": "test"}
OFFLINE = "digits needs neither files nor network"
BATCH = 64  # most parquet rows in memory at a time
BATCH_BYTES = 2**28  # and most bytes, if each value were as large as its row group (one value can stand in every row)
LIMITS = InputLimits()


@dataclass(frozen=True)
class Dataset:
    """Private samples that a model learns, and test samples that no one asks to forget."""

    name: str
    train: Samples
    test: Samples


@dataclass(frozen=True)
class HubSource:
    """Where a named set lies on the Hugging Face Hub."""

    repo: str
    train: str  # patterns of parquet files inside the repository
    test: str


NAMED: dict[str, HubSource | None] = {
    "cifar10": HubSource("uoft-cs/cifar10", "plain_text/train-*.parquet", "plain_text/test-*.parquet"),
    "cifar100": HubSource("uoft-cs/cifar100", "cifar100/train-*.parquet", "cifar100/test-*.parquet"),
    "svhn": HubSource("ufldl-stanford/svhn", "cropped_digits/train-*.parquet", "cropped_digits/test-*.parquet"),
    "gtsrb": None,  # local files only
    "madbase": None,
}


@dataclass(frozen=True)
class _Rows:
    """Encoded images of one split, as found."""

    names: list[str] = field(default_factory=list)  # for messages
    blobs: list[bytes] = field(default_factory=list)
    labels: list = field(default_factory=list)  # indices into `classes`, or raw values where there are none
    subjects: list[str] | None = None
    classes: tuple[str, ...] | None = None

    def take(self, rows: Sequence[int]) -> _Rows:
        lists = ([values[r] for r in rows] for values in (self.names, self.blobs, self.labels))
        return _Rows(*lists, None if self.subjects is None else [self.subjects[r] for r in rows], self.classes)


def load_dataset(name: str, data_dir: Path | str | None = None, limit: int | None = None, limits: InputLimits = LIMITS) -> Dataset:
    """Return a named data set, or the one in a folder, .zip or .parquet file of the user.

    Names: digits (comes with scikit-learn: 8x8 scaled to 0..255, stratified 80/20); cifar10, cifar100, svhn (local files, else
    the Hub), gtsrb, madbase (local files): `<data_dir>/<name>/train.parquet` and `test.parquet`. `data_dir` is, if None,
    the environment's LMERASER_DATA, else `../shared/data` beside the project.

    Paths (for the machine's owner: never pass a visitor's text): Hugging Face's imagefolder layout, train/<class>/x.png and
    test/<class>/x.png, or <class>/x.png alone, split 80/20; metadata.csv may give file_name, subject and label. Or parquet
    with image or img, label or fine_label, and maybe subject. A folder is read without following links.

    Images of one set get one size (see `stack_images`: 48x48 where they differ). `limit` keeps at most so many train and so
    many test samples, a fixed random choice. Raises DataError for whatever cannot be found or used.
    """
    if limit is not None and limit < 1:
        raise InputError(f"limit is {limit}; use at least 1, or None for all.")
    if name == "digits":
        return _digits(limit)
    train, test = _named(name, data_dir, limits) if name in NAMED else _users(name, limits)
    label = name if name in NAMED else Path(name).stem
    return _finish(label, train, test, limit, limits)


def _digits(limit: int | None) -> Dataset:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    raw = load_digits()
    images = ((raw.images.astype(np.int64) * 255 + 8) // 16).astype(np.uint8)  # 0..16 to 0..255, rounded, in integers
    rows = train_test_split(np.arange(len(images)), test_size=0.2, random_state=0, stratify=raw.target)
    classes = tuple(str(c) for c in range(10))
    train, test = (Samples.build(images[r], raw.target[r], classes) for r in (r[_chosen(len(r), limit)] for r in rows))
    return Dataset("digits", train, test)


def _chosen(n: int, limit: int | None) -> np.ndarray:
    """Return at most `limit` of n rows, ascending: a fixed random choice, smaller ones inside larger ones."""
    return np.sort(np.random.default_rng(0).permutation(n)[:limit])


def _finish(name: str, train: _Rows, test: _Rows, limit: int | None, limits: InputLimits) -> Dataset:
    """Cut to the limit, agree on classes, decode all images to one size, and number the samples."""
    classes, labels = _agreed_classes(train, test, limits)
    keep = [_chosen(len(rows.labels), limit) for rows in (train, test)]
    labels = [np.array(values, np.int64)[rows] for values, rows in zip(labels, keep, strict=True)]
    train, test = train.take(keep[0]), test.take(keep[1])
    images = stack_images(train.blobs + test.blobs, train.names + test.names, limits)
    cut = len(train.blobs)
    return Dataset(
        name,
        Samples.build(images[:cut], labels[0], classes, train.subjects),
        Samples.build(images[cut:], labels[1], classes, test.subjects),
    )


def _agreed_classes(train: _Rows, test: _Rows, limits: InputLimits) -> tuple[tuple[str, ...], list[list[int]]]:
    """Return the class names of both splits and the labels as indices into them."""
    for split, rows in (("train", train), ("test", test)):
        if not rows.labels:
            raise DataError(f"The {split} split has 0 images; give at least 1.")
    if train.classes != test.classes:
        raise DataError(f"train names {len(train.classes or ())} classes, test {len(test.classes or ())}, or others; use the same.")
    values = list(range(len(train.classes))) if train.classes is not None else _distinct(train.labels + test.labels)
    within("classes", len(values), limits.classes, "merge some")
    index = {value: i for i, value in enumerate(values)}
    unknown = [v for v in train.labels + test.labels if v not in index]
    if unknown:
        raise DataError(f"Label {shown(unknown[0])} names none of {len(values)} classes; use 0 to {len(values) - 1}.")
    names = train.classes if train.classes is not None else values
    return tuple(_text(v, "class", limits) for v in names), [[index[v] for v in rows.labels] for rows in (train, test)]


def _distinct(labels: list) -> list:
    kinds = {type(v) for v in labels}
    if kinds not in ({int}, {str}):
        raise DataError(f"Labels are of type {', '.join(sorted(k.__name__ for k in kinds))}; use integers only or texts only.")
    return sorted(set(labels))


def _text(value: object, what: str, limits: InputLimits) -> str:
    """Return a class or subject name from outside; raises DataError for an empty, long or unprintable one."""
    text = "" if value is None else str(value)
    within(f"characters in a {what} name", len(text), limits.name_chars, "use a shorter one")
    if not text.strip() or not text.isprintable():
        raise DataError(f"A {what} name is {shown(text)}; use printable characters, at least 1.")
    return text


# Named sets: local files, else the Hub


def _named(name: str, data_dir: Path | str | None, limits: InputLimits) -> tuple[_Rows, _Rows]:
    folder = _data_dir(data_dir) / name
    files = {split: folder / f"{split}.parquet" for split in ("train", "test")}
    if all(path.is_file() for path in files.values()):
        return tuple(_read_parquet([path], split, limits) for split, path in files.items())
    source = NAMED[name]
    if source is None:
        raise DataError(_absent(name, folder, "it is not fetched from the Hub"))
    return _from_hub(name, source, folder, limits)


def _data_dir(data_dir: Path | str | None) -> Path:
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(data_dir or os.environ.get("LMERASER_DATA") or beside)


def _absent(name: str, folder: Path, why: str) -> str:
    return (
        f"{name}: train.parquet and test.parquet were looked for in {folder}, and {why}. "
        f"Put them there, or set LMERASER_DATA to the folder that holds {name}/. What works offline: {OFFLINE}; so do your own images."
    )


def _from_hub(name: str, source: HubSource, folder: Path, limits: InputLimits) -> tuple[_Rows, _Rows]:
    try:
        splits = _fetch(source)
    except Exception as error:  # network, authorization, disk: many kinds, of several libraries
        why = f"the Hub's {source.repo} cannot be had ({type(error).__name__}: {shown(error)})"
        raise DataError(_absent(name, folder, why)) from error
    return tuple(_collect(splits[s], len(splits[s]), f"{source.repo} {s}", limits) for s in ("train", "test"))


def _fetch(source: HubSource):
    """Download the parquet files into the Hub's own cache, which stays; with no network fail in seconds, not after retries."""
    import datasets
    import huggingface_hub

    if not huggingface_hub.constants.HF_HUB_OFFLINE:
        huggingface_hub.HfApi().dataset_info(source.repo, timeout=10)
    return datasets.load_dataset(source.repo, data_files={"train": source.train, "test": source.test}, verification_mode="no_checks")


# Parquet


def _read_parquet(paths: list[Path], split: str, limits: InputLimits) -> _Rows:
    """Return a split's rows. Batch by batch, and without Hugging Face's cache: that would be a copy that outlives forgetting."""
    try:
        count, batch = _claims(paths, limits)
        with tempfile.TemporaryDirectory(prefix="lmeraser-") as cache:
            return _collect(_stream(paths, cache, batch), count, f"{split or 'the'} parquet", limits, batch)
    except DataError:
        raise
    except Exception as error:  # pyarrow and datasets raise many kinds on damaged files
        names = shown(", ".join(path.name for path in paths))
        raise DataError(f"{names} cannot be read as parquet ({type(error).__name__}: {shown(error)}); write it again.") from error


def _stream(paths: list[Path], cache: str, batch: int):
    import datasets

    files = [glob.escape(str(path.resolve())) for path in paths]
    options = {"streaming": True, "columns": _columns(_schema_names(paths[0])), "batch_size": batch}
    return datasets.load_dataset("parquet", data_files={"rows": files}, cache_dir=cache, **options)["rows"]


def _schema_names(path: Path) -> list[str]:
    from pyarrow import parquet

    return parquet.read_schema(path).names


def _claims(paths: list[Path], limits: InputLimits) -> tuple[int, int]:
    """Check the sizes that the files claim before any row is read; return the number of rows, and how many to read at a time."""
    from pyarrow import parquet

    rows, largest = 0, 1
    for path in paths:
        within(f"{shown(path.name)} in bytes", path.stat().st_size, limits.set_bytes, "give fewer or smaller images")
        with parquet.ParquetFile(path) as file:
            meta = file.metadata
            groups = [meta.row_group(g).total_byte_size for g in range(meta.num_row_groups)]
            rows += meta.num_rows
        largest = max(largest, *groups, 1)
        within(f"{shown(path.name)} in bytes, unpacked", sum(groups), limits.set_bytes, "give fewer or smaller images")
        within("rows", rows, limits.set_images, "give fewer images")
    return rows, min(max(BATCH_BYTES // largest, 1), BATCH)


def _columns(names: Sequence[str]) -> list[str]:
    """Return the image, label and, if there is one, subject column."""
    found = []
    for wanted in (IMAGE_COLUMNS, LABEL_COLUMNS):
        here = [n for n in wanted if n in names]
        if not here:
            raise DataError(f"Columns are {shown(list(names))}; name one of them {' or '.join(wanted)}.")
        found.append(here[0])
    return found + [n for n in ("subject",) if n in names]


def _collect(table, count: int, where: str, limits: InputLimits, batch_size: int = BATCH) -> _Rows:
    """Return the rows of a Hugging Face table with images left encoded."""
    import datasets

    columns = _columns(list(table.features))
    image, label = columns[:2]
    classes = getattr(table.features[label], "names", None)
    table = table.select_columns(columns)
    if isinstance(table.features[image], datasets.Image):
        table = table.cast_column(image, datasets.Image(decode=False))
    rows, size = _Rows(subjects=[] if len(columns) > 2 else None, classes=None if classes is None else tuple(classes)), 0
    for batch in table.iter(batch_size=batch_size):
        for at, value in enumerate(batch[image]):
            rows.names.append(f"{where}, row {len(rows.names)}")
            rows.blobs.append(_blob(value, rows.names[-1]))
            rows.labels.append(batch[label][at])
            if rows.subjects is not None:
                rows.subjects.append(_text(batch["subject"][at], "subject", limits))
            size += len(rows.blobs[-1])
        within(f"bytes in {where}", size, limits.set_bytes, "give fewer or smaller images")
    if len(rows.blobs) != count:
        raise DataError(f"{where} has {len(rows.blobs)} rows but claims {count}; write it again.")
    return rows


def _blob(value: object, name: str) -> bytes:
    """Return an image's bytes; a path beside them is never opened."""
    data = value.get("bytes") if isinstance(value, dict) else value
    if not isinstance(data, bytes):
        raise DataError(f"{name} holds no image bytes but {type(data).__name__}; embed the images in the parquet file.")
    return data


# Users' folders and archives


def _users(name: str, limits: InputLimits) -> tuple[_Rows, _Rows]:
    path = Path(name)
    try:
        is_dir, is_file = path.is_dir(), path.is_file()
        parquet = _parquet_files(path) if is_dir else {"": [path]} if path.suffix == ".parquet" else {}
    except (OSError, ValueError) as error:  # too long, a NUL inside, no permission
        raise DataError(f"{shown(name)} is no usable path ({type(error).__name__}); give a folder, .zip or .parquet.") from error
    if not is_dir and not is_file:
        raise DataError(f"{shown(name)} is no data set and no path here; use digits, {', '.join(NAMED)}, or a folder, .zip or .parquet.")
    if parquet:
        return _pair({split: _read_parquet(paths, split, limits) for split, paths in parquet.items()})
    if is_file and path.suffix.lower() != ".zip":
        raise DataError(f"{shown(path.name)} is neither .zip nor .parquet; give one of these, or a folder.")
    return _pair(_place(_unwrapped(read_folder(path, limits) if is_dir else read_zip(path, limits)), limits))


def _parquet_files(folder: Path) -> dict[str, list[Path]]:
    """Return a folder's parquet files, and those of its folder `data`, by split; files of no split make one of their own."""
    splits: dict[str, list[Path]] = {}
    for path in sorted([*folder.glob("*.parquet"), *folder.glob("data/*.parquet")]):
        if path.is_file():
            word = path.stem.split("-")[0].split("_")[0]
            splits.setdefault(SPLITS.get(word, ""), []).append(path)
    return splits


def _pair(splits: dict[str, _Rows]) -> tuple[_Rows, _Rows]:
    """Return train and test; a set without splits is cut in two."""
    if set(splits) == {"train", "test"}:
        return splits["train"], splits["test"]
    if len(splits) == 1 and "test" not in splits:
        return _cut(next(iter(splits.values())))
    found = ", ".join(shown(s) if s else "images outside" for s in sorted(splits)) or "no image"
    raise DataError(f"Splits found: {found}; give train and test, or train alone, or <class>/<image> without splits.")


def _cut(rows: _Rows) -> tuple[_Rows, _Rows]:
    """Cut 80/20 within every label, by a fixed seed; a label with one image stays in train."""
    rng, test, groups = np.random.default_rng(0), [], {label: [] for label in _distinct(rows.labels)}
    for row, label in enumerate(rows.labels):
        groups[label].append(row)
    for members in groups.values():
        n = max(1, round(len(members) / 5)) if len(members) > 1 else 0
        test += rng.permutation(members)[:n].tolist()
    if not test:
        raise DataError(f"{len(rows.labels)} images, each alone with its label, leave none to test on; add images, or a test split.")
    chosen = set(test)
    return rows.take([r for r in range(len(rows.labels)) if r not in chosen]), rows.take(sorted(chosen))


def _unwrapped(files: dict[str, bytes]) -> dict[str, bytes]:
    """Drop one folder around everything, as archives often have."""
    tops = {name.split("/")[0] for name in files}
    images = [name for name in files if not name.endswith(METADATA)]
    wrapped = len(tops) == 1 and not tops & set(SPLITS) and images and all(name.count("/") >= 2 for name in images)
    return {name.split("/", 1)[1]: data for name, data in files.items()} if wrapped else files


def _place(files: dict[str, bytes], limits: InputLimits) -> dict[str, _Rows]:
    """Return the rows of each split by folder names and metadata."""
    metadata = _metadata(files, limits)
    found: dict[str, list[tuple]] = {}
    for name, data in files.items():
        if not name.endswith(METADATA):
            row = metadata.get(name, {})
            split, label = _split_and_label(name, row.get("label"))
            found.setdefault(split, []).append((name, data, label, row.get("subject")))
    return {split: _rows_of(images, limits) for split, images in found.items()}


def _rows_of(images: list[tuple], limits: InputLimits) -> _Rows:
    names, blobs, labels, subjects = (list(column) for column in zip(*images, strict=True))
    if not any(subjects):
        return _Rows(names, blobs, labels)
    return _Rows(names, blobs, labels, [_text(s, f"subject ({shown(n)})", limits) for n, s in zip(names, subjects, strict=True)])


def _split_and_label(name: str, label: str | None) -> tuple[str, str]:
    folders, split = name.split("/")[:-1], ""
    if folders and folders[0] in SPLITS and (len(folders) > 1 or label):  # a lone folder `train` may be a class of trains
        split, folders = SPLITS[folders[0]], folders[1:]
    if len(folders) > 1 or not (folders or label):
        raise DataError(f"{shown(name)} is not at train/<class>/<image>, test/<class>/<image> or <class>/<image>; move it there.")
    return split, label or folders[0]


def _metadata(files: dict[str, bytes], limits: InputLimits) -> dict[str, dict[str, str]]:
    """Return the rows of all metadata.csv files by the path of the image each names."""
    rows = {}
    for name in (n for n in files if n.split("/")[-1] == METADATA):
        for row in _csv_rows(name, files[name]):
            image = check_name(name.removesuffix(METADATA) + (row.get("file_name") or ""), limits)
            if image not in files or image in rows:
                raise DataError(f"{shown(name)} names {shown(image)}, which is missing or named twice; give one row for each image.")
            rows[image] = row
    return rows


def _csv_rows(name: str, data: bytes) -> list[dict[str, str]]:
    try:
        return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{shown(name)} is no CSV in UTF-8 ({type(error).__name__}: {shown(error)}); save it again.") from error
