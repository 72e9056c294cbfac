"""Tables beside images that name their labels and subjects: CSV, TSV and JSON lines, in the dialects that spreadsheets write."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TypeVar

from core.data.images import shown, within
from core.data.imports.files import File
from core.data.imports.names import UNLABELED
from core.data.imports.options import ImportOptions
from core.data.imports.report import ImportReport, counted
from core.errors import DataError, UnusableImage

TABLES = (".csv", ".tsv", ".jsonl", ".ndjson")
NAME = "metadata"  # the stem of a table that must serve; any other one is used where its rows name images
FILE_COLUMNS = ("file_name", "filename", "file", "path", "filepath", "file_path", "image", "img", "image_id", "image_name", "name", "id")
LABEL_COLUMNS = ("label", "fine_label", "labels", "class", "class_name", "category", "target", "y", "dx", "diagnosis", "species", "breed")
SUBJECT_COLUMNS = ("subject", "subject_id", "person", "person_id", "patient", "patient_id", "lesion_id", "writer", "user", "identity")
DELIMITERS = ",;\t|"
ROWS = 1_000_000
HEAD = 65_536
UNNAMED = "a table that names no image here"
Row = TypeVar("Row")


@dataclass(frozen=True)
class Facts:
    """What a table says of one image: label and subject, None where it says nothing."""

    label: str | None = None
    subject: str | None = None


def facts_of(files: Sequence[File], images: Sequence[str], options: ImportOptions, report: ImportReport) -> dict[str, Facts]:
    """Return what the tables among the files say, by path of the image; raises DataError for a `metadata` table that cannot serve."""
    facts: dict[str, Facts] = {}
    known = _Known(images)
    for file in files:
        table = PurePosixPath(file.path)
        if table.suffix.lower() not in TABLES:
            continue
        must = table.stem.casefold() == NAME
        try:
            rows = _rows(file)
            found = _facts(rows, f"{table.parent}/" if str(table.parent) != "." else "", known, options)
        except (DataError, UnusableImage) as error:
            if isinstance(error, UnusableImage) and not file.size:
                report.skip(file.path, error.reason)
                continue
            if must:
                raise DataError(f"{shown(file.path)}: {error}") from error
            report.skip(file.path, UNNAMED)
            continue
        if not found.matched:
            if must and rows:
                raise DataError(
                    f"{shown(file.path)} has {counted(len(rows), 'row')}, and none names an image here; check its file_name column."
                )
            report.skip(file.path, UNNAMED)
            continue
        _take_up(file.path, found, facts, report)
    return facts


class _Known:
    """The images of a set, by what a row may call them."""

    def __init__(self, images: Sequence[str]):
        self._paths = set(images)
        self._stems = _unique((image.rpartition(".")[0], image) for image in images)
        self._files = _unique((image.rpartition("/")[2], image) for image in images)
        self._file_stems = _unique((image.rpartition("/")[2].rpartition(".")[0], image) for image in images)

    def named(self, value: str, prefix: str) -> str | None:
        """Return the image that a row names: by its path from the table or the set, or its file name alone if no other has it."""
        path = unicodedata.normalize("NFC", value.strip().replace("\\", "/").removeprefix("./"))
        for whole in (prefix + path, path):
            if whole in self._paths:
                return whole
        by_stem = self._stems.get(prefix + path) or self._stems.get(path)
        return by_stem or (None if "/" in path else self._files.get(path) or self._file_stems.get(path))


def _unique(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return a dict without the keys that come more than once."""
    found: dict[str, str] = {}
    twice = set()
    for key, value in pairs:
        if key in found:
            twice.add(key)
        found[key] = value
    return {key: value for key, value in found.items() if key not in twice}


@dataclass
class _Found:
    """The facts of one table, and how many of its rows were of no use."""

    matched: dict[str, Facts]
    missing: int = 0
    twice: int = 0


def _take_up(path: str, found: _Found, facts: dict[str, Facts], report: ImportReport) -> None:
    twice = found.twice + len(found.matched.keys() & facts.keys())
    facts |= {image: fact for image, fact in found.matched.items() if image not in facts}
    if found.missing:
        report.warn(f"{shown(path)} has {counted(found.missing, 'row')} for images that are not here.")
    if twice:
        report.warn(f"{shown(path)} has {counted(twice, 'row')} for images that it names before; the first row counts.")


def _rows(file: File) -> list[dict[str, str]]:
    text = _text(file)
    if file.path.lower().endswith((".jsonl", ".ndjson")):
        return _json_rows(text)
    csv.field_size_limit(1 << 20)
    head = _first_line(text)
    if head.casefold().startswith("sep="):  # Excel's own hint
        text = text[len(head) :].lstrip("\r\n")
        head = _first_line(text)
    within("characters in the first line", len(head), HEAD, "name fewer columns")
    try:
        rows = list(_bounded(csv.DictReader(io.StringIO(text, newline=""), delimiter=_delimiter(head))))
    except csv.Error as error:
        raise DataError(f"it is not a table that can be read ({shown(error)}); save it again as CSV.") from error
    return [{_folded(key): value for key, value in row.items() if isinstance(key, str) and isinstance(value, str)} for row in rows]


def _first_line(text: str) -> str:
    return re.match(r"[^\r\n]*", text).group()  # type: ignore[union-attr]


def _bounded(rows: Iterable[Row]) -> Iterator[Row]:
    """Yield rows; raises DataError for more than a table may have, since each takes far more memory than its text."""
    for number, row in enumerate(rows, 1):
        within("rows", number, ROWS, "give a table of fewer")
        yield row


def _delimiter(head: str) -> str:
    """Return the delimiter that makes most columns with a usual name of a table's first line, else most columns."""

    def columns(delimiter: str) -> tuple[int, int]:
        names = [_folded(name) for name in next(csv.reader([head], delimiter=delimiter), [])]
        return sum(name in (*FILE_COLUMNS, *LABEL_COLUMNS, *SUBJECT_COLUMNS) for name in names), len(names)

    return max(DELIMITERS, key=columns)


def _json_rows(text: str) -> list[dict[str, str]]:
    rows = []
    for number, line in enumerate(_bounded(io.StringIO(text, newline=None)), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"line {number} is not JSON; write one object a line.") from error
        if not isinstance(row, dict):
            raise DataError(f"line {number} is a {type(row).__name__}; write one object a line.")
        values = {k: v for k, v in row.items() if v is not None and not isinstance(v, (dict, list, float))}
        rows.append({_folded(key): str(value) for key, value in values.items()})
    return rows


def _text(file: File) -> str:
    """Return a table's text: UTF-8 or UTF-16 as marked, else UTF-8, else Windows' western code page."""
    data = file.read()
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    if b"\0" in data[:4096]:
        raise DataError("it is not a text file; save it again as CSV.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).strip().casefold().replace(" ", "_")


def chosen_column(names: Sequence[str], usual: Sequence[str], asked: str | None, option: str) -> str | None:
    """Return the column that was asked for, else the first usual one, else None; raises DataError when the one asked for is missing."""
    folded = {_folded(name): name for name in names}
    if asked is not None:
        if _folded(asked) not in folded:
            raise DataError(f"{option} is {shown(asked)}, but the columns are {listed(names)}.")
        return folded[_folded(asked)]
    return next((folded[name] for name in usual if name in folded), None)


def listed(names: Sequence[str]) -> str:
    """Return column names for a message, at most twenty."""
    return ", ".join(shown(name) for name in names[:20]) or "none"


def _facts(rows: list[dict[str, str]], prefix: str, known: _Known, options: ImportOptions) -> _Found:
    columns = list(rows[0]) if rows else []
    file_column = chosen_column(columns, FILE_COLUMNS, options.image_column, "--image-column")
    label_column = chosen_column(columns, LABEL_COLUMNS, options.label_column, "--label-column")
    subject_column = chosen_column(columns, SUBJECT_COLUMNS, options.subject_column, "--subject-column")
    if file_column is None:
        raise DataError(f"its columns are {listed(columns)}; name one file_name, or say which it is with --image-column.")
    found = _Found({})
    for row in rows:
        image = known.named(row.get(file_column, ""), prefix)
        if image is None:
            found.missing += 1
        elif image in found.matched:
            found.twice += 1
        else:
            values = (row.get(column, "").strip() if column else None for column in (label_column, subject_column))
            found.matched[image] = Facts(*(None if v is not None and v.casefold() in UNLABELED else v for v in values))
    if label_column is not None:  # there a missing label is one, whatever the folder is called
        found.matched = {image: fact if fact.label else Facts("", fact.subject) for image, fact in found.matched.items()}
    return found
