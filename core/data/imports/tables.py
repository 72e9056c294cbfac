"""Reads images from the tables that the Hugging Face Hub and its tools write: parquet, and Arrow from `save_to_disk`.

Labels and subjects are read first, images only when their turn comes, batch by batch. pyarrow is imported only then.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from core.data.images import InputLimits, check_size, shown, within
from core.data.imports.files import File, read_bytes
from core.data.imports.metadata import LABEL_COLUMNS, SUBJECT_COLUMNS, chosen_column, listed
from core.data.imports.names import UNLABELED, plain_path, split_in, split_of
from core.data.imports.options import ImportOptions
from core.data.imports.placing import NO_LABEL, Found, FoundSet, arranged
from core.data.imports.report import ImportReport, counted
from core.errors import DataError, UnusableImage

if TYPE_CHECKING:
    import pyarrow as pa

ENDINGS = (".parquet", ".arrow")
IMAGE_COLUMNS = ("image", "img", "picture", "photo", "jpg", "jpeg", "png", "webp", "pixel_values", "image_bytes", "bytes")
BATCH = 64  # most rows with images in memory at a time
LABEL_BATCH = 4096  # most rows without images
BATCH_BYTES = 2**28  # and most bytes, if each value were as large as its row group (one value can stand in every row)
POINTER = b"version https://git-lfs"


@dataclass(frozen=True)
class TableFile:
    """A table on disk, the path it has in its set, and what that path says: split ('' for none) and configuration."""

    path: Path
    name: str
    split: str
    config: str


def tables_of(files: Sequence[File], report: ImportReport) -> list[TableFile]:
    """Return the tables among the files of a folder, by name; what `datasets` keeps beside them for itself is left out."""
    tables = []
    for file in files:
        if not file.path.lower().endswith(ENDINGS) or file.disk is None:
            continue
        *folders, last = file.path.split("/")
        if last.startswith("cache-") and last.endswith(".arrow"):
            report.skip(file.path, "an earlier result that `datasets` kept")
            continue
        splits = [split_of(part) for part in folders]
        split = next(filter(None, reversed(splits)), None) or split_in(PurePosixPath(last).stem) or ""
        rest = [part for part, is_split in zip(folders, splits, strict=True) if not is_split and part != "data"]
        tables.append(TableFile(file.disk, file.path, split, "/".join(rest)))
    return tables


def read_tables(
    tables: Sequence[TableFile], root: Path, options: ImportOptions, report: ImportReport, files: Sequence[File] = ()
) -> FoundSet:
    """Return the images that tables of one set hold, or name among its files (else, those in the folder `root`).

    Raises DataError for damaged files, missing columns and over the limits.
    """
    beside = _Beside(root, {file.path: file for file in files})
    configs = sorted({table.config for table in tables})
    if len(configs) > 1:
        raise DataError(
            f"{counted(len(configs), 'configuration')} lie in {root}: {', '.join(map(shown, configs[:12]))}; give the folder of one."
        )
    images: list[Found] = []
    classes: dict[str, None] = {}
    for table in sorted(tables, key=lambda table: table.split != "train"):  # whose class names come first
        try:
            opened = _Table(table.path, options.limits)
            found = _images(opened, table, beside, options, report)
        except DataError:
            raise
        except Exception as error:  # pyarrow raises many kinds on damaged files
            raise DataError(
                f"{shown(table.name)} cannot be read as a table ({type(error).__name__}: {shown(error)}); write it again."
            ) from error
        within("images in the set", len(images) + len(found), options.limits.set_images, "give fewer")
        images += found
        classes |= dict.fromkeys(opened.class_names)
    if not images:
        raise DataError(f"{counted(len(report.skipped), 'row')} found, and none is an image with a label; see --label-column.")
    return arranged(images, tuple(classes), options, report)


@dataclass
class _Table:
    """One parquet or Arrow file, and the class names that its features give for the label."""

    path: Path
    limits: InputLimits
    class_names: tuple[str, ...] = ()
    is_parquet: bool = field(init=False)

    def __post_init__(self) -> None:
        within(f"{shown(self.path.name)} in bytes", self.path.stat().st_size, self.limits.set_bytes, "give fewer or smaller images")
        self.is_parquet = self.path.suffix.lower() == ".parquet"
        with open(self.path, "rb") as file:
            if file.read(len(POINTER)) == POINTER:
                raise DataError(f"{shown(self.path.name)} is a Git LFS pointer, not the file itself; run `git lfs pull` in its folder.")

    @cached_property
    def schema(self) -> pa.Schema:
        import pyarrow as pa
        from pyarrow import parquet

        if self.is_parquet:
            return parquet.read_schema(self.path)
        with pa.memory_map(str(self.path)) as source, _arrow(source) as reader:
            return reader.schema

    @cached_property
    def features(self) -> dict[str, Any]:
        """What Hugging Face's `datasets` wrote of the columns, if it did."""
        try:
            features = json.loads((self.schema.metadata or {})[b"huggingface"])["info"]["features"]
            return {name: kind for name, kind in features.items() if isinstance(kind, dict)}
        except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
            return {}

    def batches(self, columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
        """Yield the columns in batches of at most so many rows, checked to be sound."""
        import pyarrow as pa
        from pyarrow import parquet

        if self.is_parquet:
            with parquet.ParquetFile(self.path) as file:
                yield from file.iter_batches(rows, columns=columns)
            return
        with pa.memory_map(str(self.path)) as source, _arrow(source) as reader:
            for batch in reader:
                batch = batch.select(columns)
                batch.validate(full=True)
                yield from (batch.slice(at, rows) for at in range(0, len(batch), rows))

    @cached_property
    def _groups(self) -> list[dict[str, int]]:
        """For each row group of a parquet file, the bytes that each column unpacks to."""
        from pyarrow import parquet

        groups = []
        with parquet.ParquetFile(self.path) as file:
            within("rows", file.metadata.num_rows, self.limits.set_images, "give fewer images")
            for g in range(file.metadata.num_row_groups):
                group, sizes = file.metadata.row_group(g), dict[str, int]()
                for c in range(group.num_columns):
                    column = group.column(c)
                    name = column.path_in_schema.partition(".")[0]
                    sizes[name] = sizes.get(name, 0) + column.total_uncompressed_size
                groups.append(sizes)
        return groups

    def check_size(self) -> None:
        """Raise DataError for a parquet file that claims to unpack to too much."""
        total = sum(sum(sizes.values()) for sizes in self._groups) if self.is_parquet else 0
        within(f"{shown(self.path.name)} in bytes, unpacked", total, self.limits.set_bytes, "give fewer or smaller images")

    def rows_at_once(self, columns: list[str], most: int) -> int:
        """Return how many rows of the columns may be read at a time, if each value were as large as its row group."""
        if not self.is_parquet:
            return most
        largest = max((sum(sizes.get(name.partition(".")[0], 0) for name in columns) for sizes in self._groups), default=0)
        return min(max(BATCH_BYTES // max(largest, 1), 1), most)


def _arrow(source: Any):
    """Return a reader of an Arrow file in either of its forms; `datasets` writes streams."""
    import pyarrow as pa

    try:
        return pa.ipc.open_stream(source)
    except pa.ArrowInvalid:
        source.seek(0)
        return _Rows(pa.ipc.open_file(source))


class _Rows:
    """An Arrow file with random access, read from the first batch to the last."""

    def __init__(self, file: Any):
        self._file, self.schema = file, file.schema

    def __enter__(self) -> _Rows:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.__exit__(*error)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return (self._file.get_batch(i) for i in range(self._file.num_record_batches))


def _images(table: _Table, file: TableFile, beside: _Beside, options: ImportOptions, report: ImportReport) -> list[Found]:
    columns = table.schema.names
    image = _image_column(table, options)
    label = chosen_column(columns, LABEL_COLUMNS, options.label_column, "--label-column") or _single_label(table)
    if label is None and options.label is None:
        raise DataError(f"{shown(file.name)} has the columns {listed(columns)}; say with --label-column which one is the label.")
    subject = chosen_column(columns, SUBJECT_COLUMNS, options.subject_column, "--subject-column")
    names = table.features.get(label or "", {}).get("names")
    table.class_names = tuple(map(str, names)) if isinstance(names, list) else ()
    wanted = list(dict.fromkeys(name for name in (label, subject) if name))
    table.check_size()
    reader = _ImageReader(table, image, table.rows_at_once([image], BATCH), file, beside)
    wanted = wanted or [image]
    found, row = [], 0
    for batch in table.batches(wanted, table.rows_at_once(wanted, LABEL_BATCH)):
        labels, subjects = (_values(batch, name, options.limits) for name in (label, subject))
        for at in range(len(batch)):
            name = f"{file.name}, row {row}"
            value, reason = (None, NO_LABEL) if label is None else _label(labels[at], table.class_names)
            value = options.label if value is None and reason == NO_LABEL else value
            if value is None:
                report.skip(name, reason)
            else:
                known = None if subject is None or _is_missing(subjects[at]) else str(subjects[at])
                found.append(Found(name, partial(reader.read, row, options.limits), value, file.split, known))
            row += 1
        within("rows", row, options.limits.set_images, "give fewer images")
    return found


def _image_column(table: _Table, options: ImportOptions) -> str:
    """Return the column with images: as asked for, as its features say, as it is usually called, or the only one with bytes."""
    import pyarrow.types as kinds

    names = table.schema.names
    said = [name for name in names if table.features.get(name, {}).get("_type") == "Image"]
    usual = [name.casefold() for name in said] if len(said) == 1 else IMAGE_COLUMNS
    column = chosen_column(names, usual, options.image_column, "--image-column")
    if column is None:
        bytes_like = lambda kind: kinds.is_binary(kind) or kinds.is_large_binary(kind) or kinds.is_struct(kind)  # noqa: E731
        fitting = said or [f.name for f in table.schema if bytes_like(f.type)]
        if len(fitting) != 1:
            raise DataError(
                f"{shown(table.path.name)} has the columns {listed(names)}; "
                "say with --image-column which one holds images, or take the table away."
            )
        column = fitting[0]
    return column


def _single_label(table: _Table) -> str | None:
    """Return the one column that can only be the label: the only one with class names, else the only one of whole numbers or texts."""
    import pyarrow.types as kinds

    named = [name for name in table.schema.names if table.features.get(name, {}).get("_type") == "ClassLabel"]
    if len(named) == 1:
        return named[0]
    fits = [f.name for f in table.schema if kinds.is_integer(f.type) or kinds.is_string(f.type) or kinds.is_dictionary(f.type)]
    return fits[0] if len(fits) == 1 and not named else None


def _values(batch: pa.RecordBatch, column: str | None, limits: InputLimits) -> list[Any]:
    """Return a column's values; raises DataError for texts that are far too long, before there is a copy of them for each row."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as kinds

    if column is None:
        return []
    values = batch.column(column)
    texts = values.dictionary if isinstance(values, pa.DictionaryArray) else values
    if kinds.is_string(texts.type) or kinds.is_large_string(texts.type):
        longest = pc.max(pc.binary_length(texts)).as_py() or 0
        within(f"bytes in a value of column {shown(column)}", longest, 4 * limits.name_chars, "use shorter names")
    if isinstance(values, pa.DictionaryArray):
        values = values.dictionary_decode()
    if kinds.is_string(values.type) or kinds.is_large_string(values.type):
        pass
    elif not (kinds.is_integer(values.type) or kinds.is_boolean(values.type) or kinds.is_floating(values.type)):
        raise DataError(f"Column {shown(column)} is of type {shown(values.type)}; give texts or whole numbers.")
    return values.to_pylist()


def _is_missing(value: Any) -> bool:
    return value is None or str(value).strip().casefold() in UNLABELED


def _label(value: Any, classes: tuple[str, ...]) -> tuple[str | None, str]:
    """Return a label as a class name, or None and why it has none."""
    if isinstance(value, float) and value == value:  # nan is a missing one
        if not value.is_integer():
            return None, "a label that is no whole number"
        value = int(value)
    if _is_missing(value):
        return None, NO_LABEL
    if not classes or isinstance(value, str):
        return str(value), ""
    if not 0 <= value < len(classes):
        return None, f"a label that is not one of 0 to {len(classes) - 1}"
    return classes[value], ""


@dataclass(frozen=True)
class _Beside:
    """The files that rows may name: those of the set, or where a table was given alone, those in its folder."""

    root: Path
    files: dict[str, File]

    def read(self, path: str, folder: str, limits: InputLimits) -> bytes | None:
        """Return the content of a file that is named from the table's folder or from the set's; None for any other."""
        try:
            plain = plain_path(path, limits)
        except DataError:
            return None
        for name in (f"{folder}/{plain}", plain):
            if name in self.files:
                return self.files[name].read()
        try:
            target = self.root / plain
            if not self.files and target.is_file() and target.resolve().is_relative_to(self.root.resolve()):
                return read_bytes(target, limits.image_bytes)
        except (DataError, OSError):
            pass
        return None


class _ImageReader:
    """Reads images by row. Rows that are asked for in order are read once; only the present batch is kept."""

    def __init__(self, table: _Table, column: str, rows: int, file: TableFile, beside: _Beside):
        self._table, self._column, self._rows, self._file, self._beside = table, column, rows, file, beside
        self._start = 0
        self._batches: Iterator[Any] = iter(())
        self._batch: Any = None

    def read(self, row: int, limits: InputLimits) -> bytes:
        """Return a row's encoded image; raises UnusableImage where it holds none."""
        name = f"{self._file.name}, row {row}"
        try:
            value = self._value(row)
        except Exception as error:
            raise UnusableImage(
                f"{shown(name)} cannot be read ({type(error).__name__}); write the table again.", "damaged in the table"
            ) from error
        path = None
        if isinstance(value, dict):
            path, value = value.get("path"), value.get("bytes")
        if isinstance(value, str):
            value, path = None, value
        if isinstance(value, bytes):
            check_size(len(value), name, limits)
            return value
        if value is None and isinstance(path, str):
            data = self._beside.read(path, self._file.name.rpartition("/")[0], limits)
            if data is None:
                raise UnusableImage(f"{shown(name)} names {shown(path)}, which is not in the set.", "names a file that is not in the set")
            return data
        if value is None:
            raise UnusableImage(f"{shown(name)} holds no image; give one.", "an empty row")
        raise UnusableImage(f"{shown(name)} holds {type(value).__name__}, no encoded image; write images as bytes.", "not an encoded image")

    def _value(self, row: int) -> Any:
        if self._batch is None or row < self._start:
            self._batches, self._start, self._batch = self._table.batches([self._column], self._rows), 0, None
        while self._batch is None or row >= self._start + len(self._batch):
            self._start += 0 if self._batch is None else len(self._batch)
            self._batch = next(self._batches)
        return self._batch.column(0)[row - self._start].as_py()
