"""Loads named and people's own image data sets as train and test samples: `load_dataset` is the one entry point."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.data.images import shown, within
from core.data.imports.files import SYSTEM
from core.data.imports.options import ImportOptions
from core.data.imports.paths import FORMS, read_path
from core.data.imports.placing import Found, FoundSet
from core.data.imports.report import ImportReport, counted
from core.data.imports.splits import test_rows
from core.data.imports.stacking import Tell, room, stacked
from core.data.named_sets import NAMED, is_hub_name, load_from_hub, load_named
from core.data.samples import Samples
from core.errors import DataError, InputError

OPTIONS = ImportOptions()


@dataclass(frozen=True)
class Dataset:
    """Private samples that a model learns, test samples that no one asks to forget, and what became of everything that was found."""

    name: str
    train: Samples
    test: Samples
    report: ImportReport | None = None


def load_dataset(
    name: str,
    data_dir: Path | str | None = None,
    limit: int | None = None,
    options: ImportOptions = OPTIONS,
    tell: Tell | None = None,
) -> Dataset:
    """Return a named data set, a person's own from a path, or one of the Hub by its name, `user/name`.

    Names: digits comes with scikit-learn (8x8 scaled to 0..255, stratified 80/20). cifar10, cifar100 and svhn are read from
    `<data_dir>/<name>/train.parquet` and `test.parquet`, else from the Hub; gtsrb and madbase from local files only. If `data_dir`
    is None, it is the environment's LMERASER_DATA, else `../shared/data` beside the project.

    Paths are for the machine's owner: never pass a visitor's text. They hold images in class folders, with or without train, test and
    validation above; tables beside images (CSV, TSV, JSON lines) that name file, label and subject; a zip or tar of these; parquet; a
    `datasets` folder saved to disk; a clone or snapshot of a Hub repository; WebDataset shards.

    What cannot be used is left out, and `Dataset.report` says what and why. Without a test split a fifth is set apart; a subject, and
    copies of an image, then lie on one side. Squares of one common size up to 256 px keep it, others are fitted as `options` say.
    `limit` keeps at most this many train and this many test samples, a fixed random choice. `tell` hears how many images are read.
    Raises DataError when the data cannot be found or used, or `options.strict` is set and a file would be left out.
    """
    if limit is not None and limit < 1:
        raise InputError(f"limit is {limit}; use at least 1, or None for all.")
    if name == "digits":
        return _digits(limit)
    title = name if name in NAMED else _title(name)
    report = ImportReport(title)
    if name in NAMED:
        found = load_named(name, data_dir, options, report)
    elif is_hub_name(name) and not _exists(str(Path(name).parent)):  # `pets/cats` beside a folder pets is a mistyped path
        found = load_from_hub(name, options, report)
    elif not name or not _exists(name):
        raise DataError(
            f"{shown(name)} is not a data set or a path here; use digits, {', '.join(NAMED)}, user/name of the Hub, or {FORMS}."
        )
    else:
        found = read_path(name, options, report)
    return _finished(title, found, limit, options, report, tell)


def _title(name: str) -> str:
    """Return the last part of a path, without the ending of an archive or table."""
    last = os.path.basename(os.path.abspath(name)) or name
    ending = next((e for e in (".tar.gz", ".tgz", ".zip", ".tar", ".parquet", ".arrow") if last.lower().endswith(e)), "")
    return last[: len(last) - len(ending)] or last


def _exists(name: str) -> bool:
    try:
        return Path(name).exists()
    except (OSError, ValueError):
        return True  # `read_path` says what is wrong with it


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


def _finished(name: str, found: FoundSet, limit: int | None, options: ImportOptions, report: ImportReport, tell: Tell | None) -> Dataset:
    """Decode the images to one size, agree on train and test, cut to the limit, and number the samples."""
    within("images in the set", len(found.images), options.limits.set_images, "give fewer")
    within("classes", len(found.classes), options.limits.classes, "merge some")
    train, test = _given_splits(found.images, report)
    if test is not None:  # what the limit leaves out need not be read
        train, test = ([part[r] for r in _chosen(len(part), limit)] for part in (train, test))
    wanted = train + (test or [])
    images, rows = stacked(wanted, options, report, tell)
    _check_left(wanted, rows, options, report)
    kept = [wanted[r] for r in rows]
    empty = sorted(set(found.classes) - {image.label for image in kept}) if limit is None else []
    if empty:
        report.warn(f"{counted(len(empty), 'class', 'classes')} without a usable image: {', '.join(map(shown, empty[:5]))}.")
    index = {name: c for c, name in enumerate(found.classes)}
    all_of = Samples.build(images, [index[image.label] for image in kept], found.classes, _subjects(kept))
    is_test = rows >= len(train) if test is not None else test_rows(all_of.labels, all_of.digests, all_of.subjects)
    sides = [np.flatnonzero(~is_test), np.flatnonzero(is_test)]
    for side, what in zip(sides, ("train", "test"), strict=True):
        if not len(side):
            raise DataError(
                f"The {what} split has 0 of {counted(len(kept), 'usable image')}; "
                "each class needs 2 different images, of 2 subjects where there are any. Add images, or a test split."
            )
    if test is None:
        sides = [side[_chosen(len(side), limit)] for side in sides]
    data = Dataset(name, _part(all_of, sides[0]), _part(all_of, sides[1]), report)
    _describe(data, report)
    return data


def _part(samples: Samples, rows: np.ndarray) -> Samples:
    """Return some rows as samples whose copies are numbered from 0."""
    subjects = None if samples.subjects is None else [samples.subjects[r] for r in rows]
    if subjects and not any(subjects):  # only the other side names them
        subjects = None
    if np.array_equal(rows, np.arange(rows[0], rows[0] + len(rows))):
        images = samples.images[rows[0] : rows[0] + len(rows)]
    else:
        images = room((len(rows), *samples.images.shape[1:]))
        for at in range(0, len(rows), 1024):
            images[at : at + 1024] = samples.images[rows[at : at + 1024]]
    return Samples.build(images, samples.labels[rows], samples.classes, subjects)


def _subjects(images: Sequence[Found]) -> list[str] | None:
    return [image.subject or "" for image in images] if any(image.subject for image in images) else None


def _given_splits(images: list[Found], report: ImportReport) -> tuple[list[Found], list[Found] | None]:
    """Return the training images, and the test images where the set names them.

    Validation images are the test set of a set that has no other, and are left out where there is one.
    """
    by_split: dict[str, list[Found]] = {}
    for image in images:
        by_split.setdefault(image.split, []).append(image)
    names = set(by_split)
    if names == {"train", "validation"}:
        report.warn(f"There is no test split; validation serves as one, with {counted(len(by_split['validation']), 'image')}.")
        return by_split["train"], by_split["validation"]
    if names == {"train", "test", "validation"}:
        report.warn(f"Neither learned nor tested on: {counted(len(by_split['validation']), 'validation image')}.")
        for image in by_split["validation"]:
            report.skip(image.name, "of the validation split")
        return by_split["train"], by_split["test"]
    if names == {"train", "test"}:
        return by_split["train"], by_split["test"]
    if len(names) == 1 and names <= {"", "train"}:
        return by_split[names.pop()], None
    listed = ", ".join(f"{name or 'images outside'} ({len(by_split[name]):,})" for name in sorted(by_split))
    raise DataError(f"Splits found: {listed}; give train and test, or train alone, or <class>/<image> without splits.")


def _check_left(wanted: Sequence[Found], rows: np.ndarray, options: ImportOptions, report: ImportReport) -> None:
    if not len(rows):
        known = {image.name for image in wanted}
        lost = [(name, reason) for name, reason in report.skipped if name in known]
        reason, _ = Counter(reason for _, reason in lost).most_common(1)[0]
        first = next(name for name, why in lost if why == reason)
        raise DataError(f"0 of {counted(len(wanted), 'image')} can be used, mostly because: {reason} ({shown(first)}). Give others.")
    lost = [(name, reason) for name, reason in report.skipped if reason != SYSTEM]
    if options.strict and lost:
        name, reason = lost[0]
        raise DataError(
            f"{counted(len(lost), 'file')} would be left out, first {shown(name)}: {reason}. Take them out, or leave --strict out."
        )


def _describe(data: Dataset, report: ImportReport) -> None:
    """Fill in what only the finished set tells: counts, and what people should know of them."""
    train, test = data.train, data.test
    report.size = (train.images.shape[1], train.images.shape[2])
    report.splits = {"train": len(train), "test": len(test)}
    counts = [np.bincount(part.labels, minlength=len(train.classes)) for part in (train, test)]
    report.classes = {name: int(counts[0][c] + counts[1][c]) for c, name in enumerate(train.classes)}
    single = [name for c, name in enumerate(train.classes) if counts[0][c] + counts[1][c] == 1]
    if single:
        report.warn(f"{counted(len(single), 'class', 'classes')} with one image, which nothing tests: {', '.join(map(shown, single[:5]))}.")
    untrained = [name for c, name in enumerate(train.classes) if not counts[0][c] and counts[1][c]]
    if untrained:
        report.warn(f"Without a training image: class {', '.join(map(shown, untrained[:5]))}.")
    copies = len(train) + len(test) - len({*train.digests, *test.digests})
    both = set(train.digests) & set(test.digests)
    if copies - len(both):
        exact = counted(copies - len(both), "exact copy", "exact copies")
        report.warn(f"{exact} of other images; forgetting one leaves the others.")
    if both:
        report.warn(f"Both train and test hold {counted(len(both), 'image')}; that flatters the test accuracy.")
    if train.subjects is not None and test.subjects is not None:
        report.subjects = len({*train.subjects, *test.subjects})
        shared = set(train.subjects) & set(test.subjects)
        if shared:
            report.warn(f"Both train and test hold images of {counted(len(shared), 'subject')}; that flatters the test accuracy.")
    alike = _other_labels(train, test)
    if alike:
        report.warn(f"Exact copies with another label: of {counted(alike, 'image')}.")


def _other_labels(train: Samples, test: Samples) -> int:
    """Return how many different images stand under more than one label."""
    labels: dict[bytes, set[int]] = {}
    for part in (train, test):
        for image, label in zip(part.images, part.labels, strict=True):
            labels.setdefault(hashlib.sha256(image.tobytes()).digest(), set()).add(int(label))
    return sum(n for n in Counter(len(found) for found in labels.values() if len(found) > 1).values())
