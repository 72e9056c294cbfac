"""Reads a user's own data set: a folder or zip of images with class folders or metadata.csv, or parquet files."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TypeAlias

import numpy as np

from core.data.encoded_rows import EncodedRows, Label, checked_name, distinct_labels
from core.data.images import METADATA, InputLimits, check_name, read_folder, read_zip, shown
from core.data.named_sets import NAMED
from core.data.parquet import read_parquet
from core.errors import DataError

_Image: TypeAlias = tuple[str, bytes, str, str | None]  # path, content, label, subject
SPLITS = {"train": "train", "test": "test", "validation": "test", "valid": "test", "val": "test"}


def load_path(name: str, limits: InputLimits) -> tuple[EncodedRows, EncodedRows]:
    """Return train and test of the folder, .zip or .parquet file at a path; raises DataError when it cannot be used."""
    path = Path(name)
    try:
        is_dir, is_file = path.is_dir(), path.is_file()
        parquet = _parquet_files(path) if is_dir else {"": [path]} if path.suffix == ".parquet" else {}
    except (OSError, ValueError) as error:  # too long, a NUL inside, no permission
        raise DataError(f"{shown(name)} is not a usable path ({type(error).__name__}); give a folder, .zip or .parquet.") from error
    if not is_dir and not is_file:
        raise DataError(f"{shown(name)} is not a data set or a path here; use digits, {', '.join(NAMED)}, or a folder, .zip or .parquet.")
    if parquet:
        return _pair({split: read_parquet(paths, split, limits) for split, paths in parquet.items()})
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


def _pair(splits: dict[str, EncodedRows]) -> tuple[EncodedRows, EncodedRows]:
    """Return train and test; a set without splits is cut in two."""
    if set(splits) == {"train", "test"}:
        return splits["train"], splits["test"]
    if len(splits) == 1 and "test" not in splits:
        return _cut(next(iter(splits.values())))
    listed = ", ".join(shown(s) if s else "images outside" for s in sorted(splits)) or "no image"
    raise DataError(f"Splits found: {listed}; give train and test, or train alone, or <class>/<image> without splits.")


def _cut(rows: EncodedRows) -> tuple[EncodedRows, EncodedRows]:
    """Cut 80/20 within every label, by a fixed seed; a label with one image stays in train."""
    rng, test = np.random.default_rng(0), []
    groups: dict[Label, list[int]] = {label: [] for label in distinct_labels(rows.labels)}
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


def _place(files: dict[str, bytes], limits: InputLimits) -> dict[str, EncodedRows]:
    """Return the rows of each split by folder names and metadata."""
    metadata = _metadata(files, limits)
    splits: dict[str, list[_Image]] = {}
    for name, data in files.items():
        if not name.endswith(METADATA):
            row = metadata.get(name, {})
            split, label = _split_and_label(name, row.get("label"))
            splits.setdefault(split, []).append((name, data, label, row.get("subject")))
    return {split: _rows_of(images, limits) for split, images in splits.items()}


def _rows_of(images: list[_Image], limits: InputLimits) -> EncodedRows:
    names, blobs, labels, subjects = (list(column) for column in zip(*images, strict=True))
    if not any(subjects):
        return EncodedRows(names, blobs, labels)
    checked = [checked_name(s, f"subject ({shown(n)})", limits) for n, s in zip(names, subjects, strict=True)]
    return EncodedRows(names, blobs, labels, checked)


def _split_and_label(name: str, label: str | None) -> tuple[str, str]:
    folders, split = name.split("/")[:-1], ""
    if folders and folders[0] in SPLITS and (len(folders) > 1 or label):  # a lone folder `train` may be a class of trains
        split, folders = SPLITS[folders[0]], folders[1:]
    if len(folders) > 1 or not (folders or label):
        raise DataError(f"{shown(name)} is not at train/<class>/<image>, test/<class>/<image> or <class>/<image>; move it there.")
    return split, label or folders[0]


def _metadata(files: dict[str, bytes], limits: InputLimits) -> dict[str, dict[str, str]]:
    """Return the rows of all metadata.csv files by the path of the image each names."""
    rows: dict[str, dict[str, str]] = {}
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
        raise DataError(f"{shown(name)} is not a CSV file in UTF-8 ({type(error).__name__}: {shown(error)}); save it again.") from error
