"""Reads public images from parquet files in the Hugging Face layout; decodes on all cores."""

from __future__ import annotations

import io
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image

from core.errors import DataError


def load_images(files: list[Path], image_size: int, column: str = "image", limit: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return images (n, 3, s, s) uint8 and labels (n,) int64, the first `limit` of each file.

    Raises DataError when a file is missing.
    """
    import pyarrow.parquet as parquet

    missing = [str(f) for f in files if not Path(f).is_file()]
    if missing:
        raise DataError(f"No such public data file: {missing[0]}. Give the folder of train-*.parquet and valid.parquet with --data.")
    tables = [parquet.read_table(f, columns=[column, "label"])[:limit] for f in files]
    encoded = [row["bytes"] for table in tables for row in table[column].to_pylist()]
    labels = np.concatenate([table["label"].to_numpy() for table in tables]).astype(np.int64)
    jobs = [(encoded[i : i + 2000], image_size) for i in range(0, len(encoded), 2000)]
    return np.concatenate(in_processes(_decode_some, jobs)), labels


def in_processes(work: Callable, jobs: list) -> list:
    """Return [work(job) for job in jobs], on all cores when there are several."""
    if len(jobs) == 1:
        return [work(jobs[0])]
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        return list(pool.map(work, jobs))


def _decode_some(job: tuple[list[bytes], int]) -> np.ndarray:
    encoded, size = job
    return np.stack([decode(data, size) for data in encoded])


def decode(data: bytes, size: int) -> np.ndarray:
    """Return an encoded picture as (3, size, size) uint8."""
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    if picture.size != (size, size):
        picture = picture.resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(picture).transpose(2, 0, 1)
