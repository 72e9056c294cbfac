"""Loads named and users' image data sets as train and test samples: `load_dataset` is the one entry point."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.data.encoded_rows import EncodedRows, Label, checked_name, distinct_labels
from core.data.images import InputLimits, shown, stack_images, within
from core.data.named_sets import NAMED, load_named
from core.data.samples import Samples
from core.data.user_files import load_path
from core.errors import DataError, InputError

LIMITS = InputLimits()


@dataclass(frozen=True)
class Dataset:
    """Private samples that a model learns, and test samples that no one asks to forget."""

    name: str
    train: Samples
    test: Samples


def load_dataset(name: str, data_dir: Path | str | None = None, limit: int | None = None, limits: InputLimits = LIMITS) -> Dataset:
    """Return a named data set, or the user's own in a folder, .zip or .parquet file.

    Names: digits comes with scikit-learn (8x8 scaled to 0..255, stratified 80/20). cifar10, cifar100 and svhn are read from
    `<data_dir>/<name>/train.parquet` and `test.parquet`, else from the Hub; gtsrb and madbase from local files only. If `data_dir`
    is None, it is the environment's LMERASER_DATA, else `../shared/data` beside the project.

    Paths are for the machine's owner: never pass a visitor's text. A folder or zip has Hugging Face's imagefolder layout,
    train/<class>/x.png and test/<class>/x.png, or <class>/x.png alone, which is split 80/20; metadata.csv may give file_name,
    subject and label. A parquet file has the columns image or img, label or fine_label, and optionally subject. Links in a folder
    are refused.

    All images of a set get one size (see `stack_images`: 48x48 where they differ). `limit` keeps at most this many train and this
    many test samples, a fixed random choice. Raises DataError when the data cannot be found or used.
    """
    if limit is not None and limit < 1:
        raise InputError(f"limit is {limit}; use at least 1, or None for all.")
    if name == "digits":
        return _digits(limit)
    train, test = load_named(name, data_dir, limits) if name in NAMED else load_path(name, limits)
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


def _finish(name: str, train: EncodedRows, test: EncodedRows, limit: int | None, limits: InputLimits) -> Dataset:
    """Cut to the limit, agree on classes, decode all images to one size, and number the samples."""
    classes, train_labels, test_labels = _agreed_classes(train, test, limits)
    train_rows, test_rows = _chosen(len(train_labels), limit), _chosen(len(test_labels), limit)
    train, test = train.take(train_rows.tolist()), test.take(test_rows.tolist())
    images = stack_images(train.blobs + test.blobs, train.names + test.names, limits)
    cut = len(train.blobs)
    return Dataset(
        name,
        Samples.build(images[:cut], train_labels[train_rows], classes, train.subjects),
        Samples.build(images[cut:], test_labels[test_rows], classes, test.subjects),
    )


def _agreed_classes(train: EncodedRows, test: EncodedRows, limits: InputLimits) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Return the class names of both splits, and the labels of train and of test as indices into them."""
    for split, rows in (("train", train), ("test", test)):
        if not rows.labels:
            raise DataError(f"The {split} split has 0 images; give at least 1.")
    if train.classes != test.classes:
        raise DataError(
            f"train names {len(train.classes or ())} classes and test {len(test.classes or ())}, not the same ones; use the same in both."
        )
    values: list[Label] = list(range(len(train.classes))) if train.classes is not None else distinct_labels(train.labels + test.labels)
    within("classes", len(values), limits.classes, "merge some")
    index = {value: i for i, value in enumerate(values)}
    unknown = [v for v in train.labels + test.labels if v not in index]
    if unknown:
        raise DataError(f"Label {shown(unknown[0])} is not one of {len(values)} classes; use 0 to {len(values) - 1}.")
    names = train.classes if train.classes is not None else values
    train_labels, test_labels = (np.array([index[v] for v in rows.labels], np.int64) for rows in (train, test))
    return tuple(checked_name(v, "class", limits) for v in names), train_labels, test_labels
