"""Reads image data sets from parquet files, with Hugging Face `datasets`, under limits.

`datasets` is imported only when a file is read. It reads nothing but parquet and leaves no cache of local files, which would be a
copy that outlives forgetting.
"""

from __future__ import annotations

import glob
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from core.data.encoded_rows import EncodedRows, checked_name
from core.data.images import InputLimits, shown, within
from core.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset, IterableDataset

IMAGE_COLUMNS = ("image", "img")
LABEL_COLUMNS = ("label", "fine_label")
BATCH = 64  # most parquet rows in memory at a time
BATCH_BYTES = 2**28  # and most bytes, if each value were as large as its row group (one value can stand in every row)


def read_parquet(paths: list[Path], split: str, limits: InputLimits) -> EncodedRows:
    """Return a split's rows, read batch by batch; raises DataError for damaged files and over the limits."""
    try:
        count, batch = _claims(paths, limits)
        with tempfile.TemporaryDirectory(prefix="lmeraser-") as cache:
            return collect_rows(_stream(paths, cache, batch), count, f"{split or 'the'} parquet", limits, batch)
    except DataError:
        raise
    except Exception as error:  # pyarrow and datasets raise many kinds on damaged files
        names = shown(", ".join(path.name for path in paths))
        raise DataError(f"{names} cannot be read as parquet ({type(error).__name__}: {shown(error)}); write it again.") from error


def _stream(paths: list[Path], cache: str, batch: int) -> IterableDataset:
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
    columns = []
    for wanted in (IMAGE_COLUMNS, LABEL_COLUMNS):
        present = [n for n in wanted if n in names]
        if not present:
            raise DataError(f"Columns are {shown(list(names))}; name one of them {' or '.join(wanted)}.")
        columns.append(present[0])
    return columns + [n for n in ("subject",) if n in names]


def collect_rows(table: Dataset | IterableDataset, count: int, where: str, limits: InputLimits, batch_size: int = BATCH) -> EncodedRows:
    """Return the `count` rows of a Hugging Face table with images left encoded; raises DataError when there are others."""
    import datasets

    columns = _columns(list(table.features))
    image, label = columns[:2]
    classes = getattr(table.features[label], "names", None)
    table = table.select_columns(columns)
    if isinstance(table.features[image], datasets.Image):
        table = table.cast_column(image, datasets.Image(decode=False))
    rows, size = EncodedRows(subjects=[] if len(columns) > 2 else None, classes=None if classes is None else tuple(classes)), 0
    for batch in table.iter(batch_size=batch_size):
        for at, value in enumerate(batch[image]):
            rows.names.append(f"{where}, row {len(rows.names)}")
            rows.blobs.append(_blob(value, rows.names[-1]))
            rows.labels.append(batch[label][at])
            if rows.subjects is not None:
                rows.subjects.append(checked_name(batch["subject"][at], "subject", limits))
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
