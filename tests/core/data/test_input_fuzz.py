"""About 1,500 malformed inputs: each loads with a report or raises the project's own error, and none leaves a file behind.

Mutations are seeded, so a failure names a case that can be run again; Hypothesis looks where small inputs matter.
"""

from __future__ import annotations

import csv
import io
import json
import os
import resource
import stat
import struct
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from core.data.datasets import load_dataset
from core.data.images import InputLimits, decode, decode_image
from core.data.imports.files import files_of
from core.data.imports.names import archived_name, checked_name, plain_path
from core.data.imports.options import ImportOptions
from core.data.imports.report import ImportReport
from core.data.named_sets import NAMED
from core.errors import LMEraserError
from tests.core.data.makers import encoded as encoded_as
from tests.core.data.makers import pixels

LIMITS = InputLimits(
    image_pixels=1_000_000, set_pixels=4_000_000, set_bytes=2**20, zip_bytes=2**20, zip_entries=100, array_bytes=2**24, metadata_bytes=2**20
)
OPTIONS = ImportOptions(limits=LIMITS)
LIGHT = settings(deadline=None, database=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
SECONDS = 5.0  # for one input; each takes milliseconds
MEMORY = 2**19  # KiB that a test of many inputs may add to the most this process ever took


def encoded(kind: str, seed: int = 0, **options) -> bytes:
    return encoded_as(pixels(seed, 12, 12), kind, **options)


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """Return the data with some bytes changed, cut, doubled, moved or set to extremes."""
    out = bytearray(data)
    for _ in range(int(rng.integers(1, 6))):
        at, kind = int(rng.integers(0, len(out) + 1)), int(rng.integers(0, 6))
        end = at + int(rng.integers(1, 9))
        if kind == 0:
            out[at : at + 1] = rng.bytes(1)
        elif kind == 1:
            out[at:end] = b"\xff" * (end - at)
        elif kind == 2:
            out[at:end] = b""
        elif kind == 3:
            out[at:at] = out[max(at - 40, 0) : at]
        elif kind == 4:
            out[at:end] = b"\0" * (end - at)
        elif rng.random() < 0.3:
            del out[at:]
    return bytes(out)


def survives(call, *args) -> bool:
    """Return whether the call worked; any error but the project's own fails the test."""
    begun = time.perf_counter()
    try:
        call(*args)
    except LMEraserError as error:
        assert 10 < len(str(error)) < 1000
        str(error).encode("utf-8")
        return False
    finally:
        assert time.perf_counter() - begun < SECONDS
    return True


def loads(path: Path) -> None:
    """Load a data set; its report must be complete, and fit to be printed."""
    data = load_dataset(str(path), options=OPTIONS)
    assert data.report.read == len(data.train) + len(data.test) > 1
    data.report.text(every_name=True).encode("utf-8")
    assert data.train.images.nbytes <= LIMITS.array_bytes and len(data.train.classes) <= 20


@pytest.fixture(autouse=True)
def nothing_left_in_the_working_folder(tmp_path, monkeypatch):
    """The working folder must hold what the test put there, and the process may not have grown much."""
    monkeypatch.chdir(tmp_path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "AVIF", "HEIF", "JPEG2000", "TGA", "ICO", "PPM"])
def test_mutated_images(kind):
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    data = encoded(kind, **({"exif": exif} if kind in ("PNG", "JPEG", "WEBP") else {}))
    rng, good = np.random.default_rng(1), 0
    for _ in range(50):
        good += survives(decode, mutated(data, rng), "a.png", LIMITS, 48)
    assert good < 50


@LIGHT
@given(
    st.sampled_from(
        [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe1", b"RIFF\x40\0\0\0WEBPVP8X", b"BM", b"GIF89a", b"II*\0", b"MM\0*"]
        + [b"\0\0\0\x20ftypavif", b"\0\0\0\x18ftypheic", b"\0\0\0\x0cjP  ", b"P6 9 9 255 ", b"P7\n", b"\0\0\1\0\1\0"]
    ),
    st.binary(max_size=200),
)
def test_any_bytes_as_an_image(head, tail):
    survives(decode_image, head + tail, "a.png", LIMITS)


@LIGHT
@given(st.text(max_size=40) | st.text("./\\:aZ\0 ~", max_size=12))
def test_any_name(name):
    if survives(plain_path, name, LIMITS):
        path = plain_path(name, LIMITS)
        assert not os.path.isabs(path) and os.path.normpath(os.path.join("/base", path)).startswith("/base/")
        assert plain_path(path, LIMITS) == path
    survives(checked_name, name, "class", LIMITS)


@LIGHT
@given(st.binary(max_size=30), st.binary(max_size=40))
def test_any_zip_name_and_extra_field(name, extra):
    assert isinstance(archived_name(name.decode("cp437"), False, extra), str)


def good_zip(rng: np.random.Generator) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for i, kind in enumerate(("PNG", "JPEG", "WEBP", "BMP") * 2):
            archive.writestr(f"{'cat' if i % 2 else 'dog'}/{i}.png", encoded(kind, i))
        archive.writestr("metadata.csv", "file_name,subject\n" + "".join(f"{'cat' if i % 2 else 'dog'}/{i}.png,p{i}\n" for i in range(8)))
    return out.getvalue()


HOSTILE = ["../../up.png", "/abs.png", "cat/../../x.png", "C:\\x.png", "..\\x.png", "\\\\host\\x.png"]  # refused
ODD = [
    "a\0b.png",
    "x.zip",
    "cat/" * 80 + "x.png",
    "\n.png",
    "cat",
    "cat/./x.png",
    "cat\\9.png",
    "\u202e.png",
    "con.png",
    "y" * 2000,
]  # left out or read


def hostile_zip(rng: np.random.Generator) -> tuple[bytes, bool]:
    """Return an archive with one hostile member among good ones, and whether it must be refused."""
    out, climbs = io.BytesIO(), bool(rng.random() < 0.5)
    blank = bool(rng.random() < 0.3)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(8):
            archive.writestr(f"{'cat' if i % 2 else 'dog'}/{i}.png", encoded("PNG", i))
        names = HOSTILE if climbs else ODD
        member = zipfile.ZipInfo(names[int(rng.integers(len(names)))])
        if rng.random() < 0.4:
            member.create_system, member.external_attr = 3, (int(rng.choice([stat.S_IFLNK, stat.S_IFSOCK, stat.S_IFBLK])) | 0o777) << 16
        member.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(member, bytes(int(rng.integers(1, 2_000_000))) if blank else b"/etc/passwd")
    return out.getvalue(), climbs


@pytest.mark.parametrize("shift", [0, 60])
def test_mutated_zips(tmp_path, shift):
    rng, path, outcomes = np.random.default_rng(2 + shift), tmp_path / "x.zip", set()
    for _ in range(80):
        path.write_bytes(mutated(good_zip(rng), rng))
        outcomes.add(survives(loads, path))
        assert [p.name for p in tmp_path.iterdir()] == ["x.zip"]
    assert outcomes == {True, False}


def test_hostile_zips(tmp_path):
    rng, path = np.random.default_rng(3), tmp_path / "x.zip"
    for case in range(120):
        data, climbs = hostile_zip(rng)
        path.write_bytes(mutated(data, rng) if case % 3 == 0 else data)
        loaded = survives(loads, path)
        assert not (loaded and climbs and case % 3)
        assert [p.name for p in tmp_path.iterdir()] == ["x.zip"]


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_mutated_tars(tmp_path, mode):
    rng, path, outcomes = np.random.default_rng(6), tmp_path / "x.tar", set()
    for _ in range(80):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode=mode, format=int(rng.integers(0, 3))) as archive:
            for i in range(8):
                member = tarfile.TarInfo(f"{'cat' if i % 2 else 'dög'}/{'n' * int(rng.integers(1, 80))}{i}.png")
                blob = encoded("PNG", i)
                member.size = len(blob)
                archive.addfile(member, io.BytesIO(blob))
        path.write_bytes(mutated(out.getvalue(), rng))
        outcomes.add(survives(loads, path))
        assert [p.name for p in tmp_path.iterdir()] == ["x.tar"]
    assert outcomes == {True, False}


def test_mutated_webdataset_shards(tmp_path):
    rng, path, outcomes = np.random.default_rng(7), tmp_path / "x.tar", set()
    for _ in range(40):
        with tarfile.open(path, "w") as archive:
            for i in range(8):
                facts = b'{"label": "cat", "subject": %d}' % i
                for ending, blob in (("png", encoded("PNG", i)), ("json", mutated(facts, rng) if rng.random() < 0.5 else facts)):
                    member = tarfile.TarInfo(f"{i}.{ending}")
                    member.size = len(blob)
                    archive.addfile(member, io.BytesIO(blob))
        outcomes.add(survives(loads, path))
    assert True in outcomes


@LIGHT
@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20), st.binary(max_size=20), max_size=4
    )
)
def test_zips_with_any_names(members):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.zip")
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in members.items():
                archive.writestr(name, data)
        report = ImportReport()
        if survives(files_of, path, LIMITS, report):
            found = files_of(path, LIMITS, ImportReport())
            folders = sum(name.endswith(("/", "\\")) for name in members)
            assert len(members) - folders <= len(found) + len(report.skipped) <= len(members) and len({file.path for file in found}) == len(
                found
            )
        assert os.listdir(folder) == ["x.zip"]


def a_table(kind: str) -> bytes:
    import datasets

    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"]), "subject": datasets.Value("string")}
    )
    rows = {"image": [{"bytes": encoded("PNG", i), "path": f"{i}.png"} for i in range(6)], "label": [0, 1] * 3, "subject": list("aabbcd")}
    table, out = pa.table(rows, schema=features.arrow_schema), io.BytesIO()
    if kind == "parquet":
        parquet.write_table(table, out)
    else:
        with pa.ipc.new_stream(out, table.schema) if kind == "stream" else pa.ipc.new_file(out, table.schema) as writer:
            writer.write_table(table)
    return out.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["parquet", "stream", "file"])
def test_mutated_tables(tmp_path, kind):
    data = a_table(kind)
    tail = struct.unpack("<I", data[-8:-4])[0] + 8 if kind == "parquet" else 400
    rng, path, outcomes = np.random.default_rng(3), tmp_path / ("x.parquet" if kind == "parquet" else "x.arrow"), set()
    for case in range(80):
        head, foot = data[:-tail], data[-tail:]
        path.write_bytes([mutated(head, rng) + foot, head + mutated(foot[:-8], rng) + foot[-8:], mutated(data, rng)][case % 3])
        outcomes.add(survives(loads, path))
        assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert False in outcomes


@pytest.mark.slow
def test_folders_with_odd_names_and_contents(tmp_path):
    rng = np.random.default_rng(4)
    odd = ["cat", "..cat", "...", " ", "a\nb", "-rf", "~", "$(x)", "猫", "é", "e\u0301", "\u202egnp", "con", "train", "test", ".git", "val"]
    odd += ["a'b\"c", "<b>", "%s", "{0}", "a\\b", "C:", "\u200b", os.fsdecode(b"\xff\xfe"), "x" * 200]
    outcomes = set()
    for case in range(100):
        root = tmp_path / f"{case}"
        names = [f"{kind}/{i}.png" for kind in ("cat", "dog") for i in range(3)]
        for _ in range(int(rng.integers(1, 3))):
            folders = [str(n) for n in rng.choice(odd, int(rng.integers(0, 3)))]
            names.append(
                "/".join([*folders, str(rng.choice(odd))[:100] + str(rng.choice([".png", ".JPG", ".BMP", ".exe", ".csv", ".zip"]))])
            )
        for i, name in enumerate(names):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(encoded("PNG", i) if rng.random() < 0.97 else rng.bytes(30))
        before = sorted(str(p) for p in tmp_path.rglob("*"))
        outcomes.add(survives(loads, root))
        assert sorted(str(p) for p in tmp_path.rglob("*")) == before
    assert outcomes == {True, False}


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl", "labels.tsv"])
def test_mutated_metadata(tmp_path, name):
    rng, paths = np.random.default_rng(5), [f"cat/{i}.png" for i in range(4)]
    for i, path in enumerate(paths):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(encoded("PNG", i))
    text = io.StringIO()
    if name.endswith("jsonl"):
        rows = ({"file_name": path, "subject": f'A"da{i}', "label": "dog"} for i, path in enumerate(paths))
        text.writelines(json.dumps(row) + "\n" for row in rows)
    else:
        writer = csv.writer(text, delimiter="\t" if name.endswith("tsv") else ",")
        writer.writerows([("file_name", "subject", "label"), *((path, f'A"da, {i}', "dog") for i, path in enumerate(paths))])
    outcomes = set()
    for _ in range(60):
        (tmp_path / name).write_bytes(mutated(text.getvalue().encode(), rng))
        outcomes.add(survives(loads, tmp_path))
    assert True in outcomes
    assert sorted(p.name for p in tmp_path.rglob("*.*")) == ["0.png", "1.png", "2.png", "3.png", name]


@pytest.mark.parametrize(
    "content",
    [b'"' * 200_000, b"," * 200_000, b"a\n" * 100_000, b"\xff\xfe" + b"\n" * 9999, b"[" * 100_000, b'{"a":' * 50_000, b"\r" * 99_999],
)
def test_tables_made_to_take_long(tmp_path, content):
    for i in range(4):
        (tmp_path / "cat").mkdir(exist_ok=True)
        (tmp_path / "cat" / f"{i}.png").write_bytes(encoded("PNG", i))
    for name in ("other.csv", "other.jsonl"):
        (tmp_path / name).write_bytes(content)
    assert survives(loads, tmp_path)


@LIGHT
@given(st.text(max_size=60) | st.from_regex(r"[a-z0-9./-]{1,12}", fullmatch=True))
def test_any_text_as_a_data_set(name):
    if name not in NAMED and set(name) - set("./"):
        assert survives(load_dataset, name) == (name == "digits")
