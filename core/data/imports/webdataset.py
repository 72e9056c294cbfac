"""Images in tar shards as WebDataset writes them: files of one key belong together, `0001.jpg` with `0001.cls` or `0001.json`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import PurePosixPath

from core.data.images import SUFFIXES
from core.data.imports.files import File
from core.data.imports.metadata import LABEL_COLUMNS, SUBJECT_COLUMNS, chosen_column
from core.data.imports.names import UNLABELED
from core.data.imports.options import ImportOptions
from core.data.imports.placing import NO_LABEL, Found, FoundSet, arranged
from core.data.imports.report import ImportReport
from core.errors import DataError, UnusableImage

OPTIONS = ImportOptions()
LABELS = (".cls", ".json")


def is_webdataset(files: Sequence[File]) -> bool:
    """Return whether images have files with labels beside them, under their own names."""
    by_name = {file.path: file for file in files}
    keys = [_key(file.path) for file in files if file.path.lower().endswith(SUFFIXES)][:100]
    beside = all(any(key + ending in by_name for ending in LABELS) for key in keys)
    return beside and any(_facts(key, by_name, OPTIONS)[0] for key in keys)


def read_shards(shards: Sequence[tuple[str, Sequence[File]]], options: ImportOptions, report: ImportReport) -> FoundSet:
    """Return the images of shards, each with its split; raises DataError when none has a label."""
    found = []
    for split, files in shards:
        by_name = {file.path: file for file in files}
        for file in files:
            if not file.path.lower().endswith(SUFFIXES):
                if not file.path.lower().endswith(LABELS):
                    report.skip(file.path, "not an image")
                continue
            label, subject = _facts(_key(file.path), by_name, options)
            if label or options.label:
                found.append(Found(file.path, file.read, label or options.label or "", split, subject))
            else:
                report.skip(file.path, NO_LABEL)
    if not found:
        raise DataError(
            "No image in the shards has a label; put it into <key>.cls or <key>.json, or give all of them one with --label-all."
        )
    return arranged(found, (), options, report)


def _key(name: str) -> str:
    """Return a name up to the first dot of its file name, which is WebDataset's key."""
    folder, _, file = name.rpartition("/")
    return f"{folder}/{file.split('.')[0]}" if folder else file.split(".")[0]


def _facts(key: str, files: dict[str, File], options: ImportOptions) -> tuple[str | None, str | None]:
    """Return the label and subject that the files of a key give, None for what they do not."""
    label = subject = None
    for ending in LABELS:
        if key + ending not in files:
            continue
        try:
            text = files[key + ending].read()[:65_536].decode("utf-8").strip()
        except (UnusableImage, UnicodeDecodeError):
            continue
        if ending != ".json":
            label = label or text.partition("\n")[0].strip() or None
            continue
        try:
            row = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict):
            columns = [name for name, value in row.items() if isinstance(value, (str, int))]
            of_label = chosen_column(columns, LABEL_COLUMNS, options.label_column if options.label_column in columns else None, "")
            of_subject = chosen_column(columns, SUBJECT_COLUMNS, options.subject_column if options.subject_column in columns else None, "")
            label = label or (str(row[of_label]) if of_label else None)
            subject = str(row[of_subject]) if of_subject else None
    known = lambda text: None if text is None or text.strip().casefold() in UNLABELED else text  # noqa: E731
    return known(label), known(subject)


def stem_of(path: str) -> str:
    """Return a shard's name without its ending, which may name its split."""
    return PurePosixPath(path).name.split(".")[0]
