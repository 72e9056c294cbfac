"""Makes what the import tests read: encoded images, folders, archives and tables, all from code."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image
from pyarrow import parquet

from core.data.datasets import Dataset, load_dataset
from core.data.imports.options import ImportOptions


def pixels(seed: int, height: int = 8, width: int = 8) -> np.ndarray:
    """Return random pixels (height, width, 3) uint8."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def encoded(image: np.ndarray, kind: str = "PNG", mode: str | None = None, **options) -> bytes:
    """Return an encoded image; HEIF by pillow_heif, all others by Pillow."""
    made, out = Image.fromarray(image), io.BytesIO()
    made = made.convert(mode) if mode else made
    if kind == "HEIF":
        import pillow_heif

        pillow_heif.from_pillow(made).save(out, **options)
    else:
        made.save(out, kind, **options)
    return out.getvalue()


def png(seed: int, height: int = 8, width: int | None = None) -> bytes:
    """Return a PNG of random pixels."""
    return encoded(pixels(seed, height, width or height))


def names(*kinds: str, each: int = 5, prefix: str = "") -> list[str]:
    """Return image paths, so many in each class folder."""
    return [f"{prefix}{kind}/{i}.png" for kind in kinds for i in range(each)]


def members(paths: Iterable[str], first: int = 0) -> dict[str, bytes]:
    """Return different small images by path."""
    return {path: png(first + seed) for seed, path in enumerate(paths)}


def write_files(root: Path, files: Mapping[str, bytes | str]) -> Path:
    """Write files below a folder."""
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
    root.mkdir(parents=True, exist_ok=True)
    return root


def write_zip(path: Path, files: Mapping, method: int = zipfile.ZIP_STORED) -> Path:
    """Write a zip of names or ZipInfo."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def write_tar(path: Path, files: Mapping[str, bytes], mode: str = "w", more: Iterable[tarfile.TarInfo] = ()) -> Path:
    """Write a tar of files, and of further members without content."""
    with tarfile.open(path, mode) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        for member in more:
            archive.addfile(member)
    return path


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


def write_table(path: Path, columns: Mapping, **options) -> Path:
    """Write a parquet file without features."""
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.table(dict(columns)), path, **options)
    return path


def load(path: Path, **options) -> Dataset:
    """Load a set from a path with import options."""
    return load_dataset(str(path), options=ImportOptions(**options))


def why(data: Dataset) -> dict[str, str]:
    """Return the reason for which each file was left out."""
    return dict(data.report.skipped)


def labels_of(data: Dataset) -> dict[bytes, str]:
    """Return the class name of every image, by its pixels."""
    return {
        image.tobytes(): side.classes[label]
        for side in (data.train, data.test)
        for image, label in zip(side.images, side.labels, strict=True)
    }


def class_of(data: Dataset, seed: int) -> str | None:
    """Return the class of the image that `png(seed)` made, or None where it was left out."""
    return labels_of(data).get(pixels(seed).tobytes())


def subject_of(data: Dataset, seed: int) -> str | None:
    """Return the subject of the image that `png(seed)` made."""
    for side in (data.train, data.test):
        for row, image in enumerate(side.images):
            if np.array_equal(image, pixels(seed)):
                return None if side.subjects is None else side.subjects[row]
    raise AssertionError(f"image {seed} was left out")
