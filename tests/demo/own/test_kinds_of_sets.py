"""Each kind of set that people bring, by the page and by the command line: both read the same, and say the same."""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from pyarrow import parquet

from core.__main__ import main
from core.data.datasets import load_dataset
from tests.conftest import DATA, need
from tests.demo.own.test_site import checked, send

ROWS = {"train": 300, "test": 100}


def table(name: str, split: str) -> bytes:
    """Return the first rows of a real set, as a parquet file."""
    path = DATA / name / f"{split}.parquet"
    need(path.is_file(), f"{path} is missing")
    rows, out = parquet.ParquetFile(path).read_row_group(0).slice(0, ROWS[split]), io.BytesIO()
    parquet.write_table(rows, out)
    return out.getvalue()


def cloned() -> dict[str, bytes]:
    """CIFAR-10 as a clone of its repository lies on disk."""
    shards = {f"plain_text/{split}-00000-of-00001.parquet": table("cifar10", split) for split in ROWS}
    return {"README.md": b"---\nlicense: unknown\n---", ".gitattributes": b"*.parquet filter=lfs", **shards}


def parquets(name: str) -> dict[str, bytes]:
    return {f"{split}.parquet": table(name, split) for split in ROWS}


def digit(row: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(load_dataset("digits").train.images[row]).save(out, "PNG")
    return out.getvalue()


def with_subjects() -> dict[str, bytes]:
    lines = ["file_name;label;subject", *(f"{row}.png;{row % 2};Zoë {row % 8}" for row in range(40))]
    return {f"{row}.png": digit(row) for row in range(40)} | {"metadata.csv": "\r\n".join(lines).encode("utf-8-sig")}


def from_windows() -> dict[str, bytes]:
    """A zip with backslashes, names in code page 437, and what Windows leaves beside images."""
    names = [f"Bilder\\{kind}\\{row}.png" for kind in ("Kätzchen", "Hunde") for row in range(6)]
    files = {name: digit(place) for place, name in enumerate(names)} | {"Bilder\\Thumbs.db": b"x", "Bilder\\desktop.ini": b"x"}
    body, directory = b"", b""
    for name, data in files.items():
        stored = name.encode("cp437")
        head = struct.pack("<HHHHHIIIHH", 20, 0, 0, 0, 33, zlib.crc32(data), len(data), len(data), len(stored), 0)
        directory += b"PK\1\2" + struct.pack("<H", 20) + head + struct.pack("<HHHII", 0, 0, 0, 0, len(body)) + stored
        body += b"PK\3\4" + head + stored + data
    end = b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, len(files), len(files), len(directory), len(body), 0)
    return {"bilder.zip": body + directory + end}


KINDS = {
    "cifar10, cloned": (cloned, {"read": 400, "subjects": 0}),
    "madbase, parquet": (lambda: parquets("madbase"), {"read": 400, "classes": 10}),
    "gtsrb, parquet": (lambda: parquets("gtsrb"), {"read": 400}),
    "a folder with persons": (with_subjects, {"read": 40, "subjects": 8, "classes": 2}),
    "a zip made on Windows": (from_windows, {"read": 12, "subjects": 0, "classes": 2}),
}


@pytest.mark.data
@pytest.mark.parametrize(("files", "expected"), KINDS.values(), ids=KINDS)
def test_the_page_and_the_command_line_read_the_same(client, token, tmp_path_factory, capsys, files: Callable, expected: dict):
    found: dict[str, bytes] = files()
    send(client, token, found)
    page = checked(client, token)["report"]
    folder = tmp_path_factory.mktemp("set")
    for name, data in found.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    assert main(["data", "check", str(_whole(folder, found)), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    same = ("read", "classes", "splits", "subjects", "repaired", "warnings", "size")
    assert {name: page[name] for name in same} == {name: told[name] for name in same}
    assert {(s["reason"], name) for s in page["skipped"] for name in s["names"]} == {(s["reason"], s["name"]) for s in told["skipped"]}
    got = told | {"classes": len(told["classes"])}
    assert {name: got[name] for name in expected} == expected
    assert set(told["splits"]) == {"train", "test"}


def _whole(folder: Path, files: dict[str, bytes]) -> Path:
    return folder / next(iter(files)) if len(files) == 1 else folder
