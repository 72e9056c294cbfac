"""About 1,000 malformed inputs: each loads or raises the project's own error, and none leaves a file behind.

Mutations are seeded, so a failure names a case that can be run again; Hypothesis looks where small inputs matter.
"""

from __future__ import annotations

import csv
import io
import os
import stat
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pyarrow import parquet

from core.data.datasets import load_dataset
from core.data.images import InputLimits, check_name, decode_image, read_zip
from core.data.named_sets import NAMED
from core.errors import LMEraserError

LIMITS = InputLimits(image_pixels=1_000_000, set_pixels=4_000_000, set_bytes=2**20, zip_bytes=2**20, zip_entries=100)
LIGHT = settings(deadline=None, database=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::PIL.Image.DecompressionBombWarning")  # as people run it


def encoded(kind: str, seed: int = 0, **options) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (12, 12, 3), dtype=np.uint8)).save(out, kind, **options)
    return out.getvalue()


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
    try:
        call(*args)
    except LMEraserError as error:
        assert 10 < len(str(error)) < 1000
        return False
    return True


@pytest.fixture(autouse=True)
def nothing_left_behind(tmp_path, tmp_path_factory, monkeypatch):
    """Temporary files go to a folder that must be empty afterwards; the working folder must hold what the test put there."""
    scratch = tmp_path_factory.mktemp("scratch")
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    monkeypatch.chdir(tmp_path)
    yield
    assert list(scratch.rglob("*")) == []


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP"])
def test_mutated_images(kind):
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "note"
    data = encoded(kind, **({} if kind == "BMP" else {"exif": exif}))
    rng = np.random.default_rng(1)
    for _ in range(100):
        survives(decode_image, mutated(data, rng), "a.png", LIMITS)


@LIGHT
@given(st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe1", b"RIFF\x40\0\0\0WEBPVP8X", b"BM"]), st.binary(max_size=200))
def test_any_bytes_as_an_image(head, tail):
    survives(decode_image, head + tail, "a.png", LIMITS)


@LIGHT
@given(st.text(max_size=40) | st.text("./\\:aZ\0 ~", max_size=12))
def test_any_name(name):
    if survives(check_name, name):
        assert not os.path.isabs(name) and os.path.normpath(os.path.join("/base", name)).startswith("/base/")


def good_zip(rng: np.random.Generator) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for i, kind in enumerate(("PNG", "JPEG", "WEBP", "BMP")):
            archive.writestr(f"{'cat' if i % 2 else 'dog'}/{i}.png", encoded(kind, i))
        archive.writestr("metadata.csv", "file_name,subject\n" + "".join(f"{'cat' if i % 2 else 'dog'}/{i}.png,Ada\n" for i in range(4)))
    return out.getvalue()


def hostile_zip(rng: np.random.Generator) -> bytes:
    """Return an archive with one hostile member among good ones."""
    names = [
        "../../up.png",
        "/abs.png",
        "cat/../../x.png",
        "C:\\x.png",
        "a\0b.png",
        "..\\x.png",
        "x.zip",
        "cat/" * 80 + "x.png",
        "\n.png",
        "cat",
    ]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(4):
            archive.writestr(f"cat/{i}.png", encoded("PNG", i))
        member = zipfile.ZipInfo(names[int(rng.integers(len(names)))] if rng.random() < 0.6 else "cat/5.png")
        if rng.random() < 0.4:
            member.create_system, member.external_attr = 3, (int(rng.choice([stat.S_IFLNK, stat.S_IFSOCK, stat.S_IFBLK])) | 0o777) << 16
        member.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(member, b"/etc/passwd" if rng.random() < 0.5 else bytes(int(rng.integers(1, 2_000_000))))
    return out.getvalue()


@pytest.mark.parametrize("make", [good_zip, hostile_zip])
def test_mutated_and_hostile_zips(tmp_path, make):
    rng, path = np.random.default_rng(2), tmp_path / "x.zip"
    for case in range(120):
        data = make(rng)
        path.write_bytes(mutated(data, rng) if make is good_zip or case % 3 == 0 else data)
        loaded = survives(load_dataset, str(path), None, None, LIMITS)
        assert not (loaded and make is hostile_zip and case % 3)
        assert [p.name for p in tmp_path.iterdir()] == ["x.zip"]


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
        survives(read_zip, path, LIMITS)
        assert os.listdir(folder) == ["x.zip"]


@pytest.mark.slow
def test_mutated_parquet(tmp_path):
    import datasets

    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"]), "subject": datasets.Value("string")}
    )
    rows = {"image": [{"bytes": encoded("PNG", i), "path": f"{i}.png"} for i in range(6)], "label": [0, 1] * 3, "subject": list("aabbcc")}
    out = io.BytesIO()
    parquet.write_table(pa.table(rows, schema=features.arrow_schema), out)
    data, footer = out.getvalue(), int.from_bytes(out.getvalue()[-8:-4], "little")
    rng, path = np.random.default_rng(3), tmp_path / "x.parquet"
    for case in range(120):
        head, tail = data[: -footer - 8], data[-footer - 8 :]
        path.write_bytes([mutated(head, rng) + tail, head + mutated(tail[:-8], rng) + tail[-8:], mutated(data, rng)][case % 3])
        survives(load_dataset, str(path), None, None, LIMITS)
        assert [p.name for p in tmp_path.iterdir()] == ["x.parquet"]


@pytest.mark.slow
def test_folders_with_odd_names_and_contents(tmp_path):
    rng = np.random.default_rng(4)
    odd = [
        "cat",
        "..cat",
        "...",
        " ",
        "a\nb",
        "-rf",
        "~",
        "$(x)",
        "猫",
        "é",
        "\u202egnp",
        "con",
        "train",
        "test",
        ".git",
        "a'b\"c",
        "<b>",
        "%s",
        "{0}",
    ]  # noqa: E501
    odd += [os.fsdecode(b"\xff\xfe"), "x" * 200]
    outcomes = set()
    for case in range(100):
        root = tmp_path / f"{case}"
        names = [f"{kind}/{i}.png" for kind in ("cat", "dog") for i in range(3)]
        for _ in range(int(rng.integers(1, 3))):
            folders = [str(n) for n in rng.choice(odd, int(rng.integers(0, 3)))]
            names.append("/".join([*folders, str(rng.choice(odd))[:100] + str(rng.choice([".png", ".JPG", ".BMP", ".exe"]))]))
        for i, name in enumerate(names):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(encoded("PNG", i) if rng.random() < 0.97 else rng.bytes(30))
        before = sorted(str(p) for p in tmp_path.rglob("*"))
        outcomes.add(survives(load_dataset, str(root), None, None, LIMITS))
        assert sorted(str(p) for p in tmp_path.rglob("*")) == before
    assert outcomes == {True, False}


def test_mutated_metadata(tmp_path):
    rng, names = np.random.default_rng(5), [f"cat/{i}.png" for i in range(4)]
    for i, name in enumerate(names):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(encoded("PNG", i))
    text = io.StringIO()
    csv.writer(text).writerows([("file_name", "subject", "label"), *((n, 'A"da, 1', "dog") for n in names)])
    for _ in range(100):
        (tmp_path / "metadata.csv").write_bytes(mutated(text.getvalue().encode(), rng))
        survives(load_dataset, str(tmp_path), None, None, LIMITS)
    assert sorted(p.name for p in tmp_path.rglob("*.*")) == ["0.png", "1.png", "2.png", "3.png", "metadata.csv"]


@LIGHT
@given(st.text(max_size=60))
def test_any_text_as_a_data_set(name):
    if name not in NAMED and set(name) - set("./"):
        assert survives(load_dataset, name) == (name == "digits")
