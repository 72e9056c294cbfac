"""Zips of Windows, macOS and Info-ZIP, tars, WebDataset shards, and the archives that are an attack."""

from __future__ import annotations

import json
import os
import stat
import struct
import tarfile
import unicodedata
import warnings
import zipfile
import zlib

import numpy as np
import pytest

from core.data.images import InputLimits
from core.data.imports.files import LINK, SYSTEM
from core.errors import DataError
from tests.core.data.makers import (
    class_of,
    encoded,
    labels_of,
    load,
    members,
    names,
    pixels,
    png,
    subject_of,
    why,
    write_files,
    write_tar,
    write_zip,
)

FILES = members(names("cat", "dog"))


def raw_zip(path, files: dict[bytes, bytes], flags: int = 0, extra: bytes = b""):
    """Write a zip whose names are given as bytes, as other programs store them."""
    body, directory = b"", b""
    for name, data in files.items():
        head = struct.pack("<HHHHHIIIHH", 20, flags, 0, 0, 33, zlib.crc32(data), len(data), len(data), len(name), len(extra))
        directory += b"PK\1\2" + struct.pack("<H", 20) + head + struct.pack("<HHHII", 0, 0, 0, 0, len(body)) + name + extra
        body += b"PK\3\4" + head + name + extra + data
    end = b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, len(files), len(files), len(directory), len(body), 0)
    path.write_bytes(body + directory + end)
    return path


def test_a_zip_of_windows_with_backslashes(tmp_path):
    files = {name.replace("/", "\\").encode(): data for name, data in FILES.items()}
    data = load(raw_zip(tmp_path / "x.zip", {b"cat\\": b"", **files}))
    assert labels_of(data) == labels_of(load(write_zip(tmp_path / "y.zip", FILES))) and not data.report.skipped


def test_names_without_a_flag_are_utf8_where_they_can_be_else_code_page_437(tmp_path):
    utf8 = load(raw_zip(tmp_path / "a.zip", {name.replace("cat", "Kätzchen").encode(): data for name, data in FILES.items()}))
    assert utf8.train.classes == ("dog", "Kätzchen")
    dos = load(raw_zip(tmp_path / "b.zip", {name.replace("cat", "Kätzchen").encode("cp437"): data for name, data in FILES.items()}))
    assert dos.train.classes == ("dog", "Kätzchen") and class_of(dos, 0) == "Kätzchen"


def test_info_zips_unicode_field_counts(tmp_path):
    good, stored = "猫/0.png".encode(), b"?\x84/0.png"
    field = struct.pack("<BI", 1, zlib.crc32(stored)) + good
    extra = struct.pack("<HH", 0x5455, 1) + b"\0" + struct.pack("<HH", 0x7075, len(field)) + field
    with pytest.raises(DataError, match="The test split has 0 of 1 usable image"):
        load(raw_zip(tmp_path / "x.zip", {stored: png(0)}, extra=extra))
    from core.data.imports.files import files_of
    from core.data.imports.report import ImportReport

    assert [file.path for file in files_of(tmp_path / "x.zip", InputLimits(), ImportReport())] == ["猫/0.png"]


def test_a_zip_of_macos(tmp_path):
    nfd = unicodedata.normalize("NFD", "Kätzchen")
    files = {f"Archive/{name.replace('cat', nfd)}": data for name, data in FILES.items()}
    files |= {f"__MACOSX/Archive/{nfd}/._0.png": b"x", "Archive/.DS_Store": b"x"}
    data = load(write_zip(tmp_path / "x.zip", files))
    assert data.train.classes == ("dog", unicodedata.normalize("NFC", nfd)) and data.report.read == 10
    assert set(data.report.reasons) == {SYSTEM} and data.report.warnings == []


@pytest.mark.parametrize("prefix", ["./", "x/", "x/y z/", "./x//", "train/"])
def test_prefixes_and_wrappers_change_nothing(tmp_path, prefix):
    packed = {prefix + name: data for name, data in FILES.items()}
    want = load(write_files(tmp_path / "x", FILES))
    for path in (
        write_zip(tmp_path / "x.zip", packed),
        write_tar(tmp_path / "x.tar", packed),
        write_tar(tmp_path / "x.tar.gz", packed, "w:gz"),
    ):
        data = load(path)
        assert data.name == "x" and data.train.ids == want.train.ids and data.test.ids == want.test.ids and not data.report.skipped


def test_members_that_cannot_be_used_are_left_out(tmp_path):
    link = zipfile.ZipInfo("cat/link.png")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    odd = zipfile.ZipInfo("cat/odd.png")
    odd.compress_type = zipfile.ZIP_LZMA
    broken = zipfile.ZipInfo("dog/broken.png")
    path = write_zip(tmp_path / "x.zip", {**FILES, "dog/locked.png": png(70), broken: png(71), link: b"/etc/passwd", odd: png(72)})
    data = bytearray(path.read_bytes())
    data[data.rindex(b"PK\1\2", 0, data.rindex(b"dog/locked.png")) + 8] |= 1
    at = data.index(png(71))
    data[at + 60] ^= 255
    path.write_bytes(data)
    loaded = load(path)
    assert loaded.report.read == 10 and why(loaded) == {
        "cat/link.png": LINK,
        "cat/odd.png": "packed by a method other than deflate or store",
        "dog/locked.png": "encrypted",
        "dog/broken.png": "damaged in the archive",
    }


def test_doubled_members_count_once(tmp_path):
    with warnings.catch_warnings(), zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        warnings.simplefilter("ignore")
        for name, data in [*FILES.items(), ("cat/0.png", png(80))]:
            archive.writestr(name, data)
    data = load(tmp_path / "x.zip")
    assert why(data) == {"cat/0.png": "a second file of the same name"} and data.report.read == 10
    assert class_of(data, 0) == "cat" and class_of(data, 80) is None


def test_a_zip64_directory_is_read_and_bounded(tmp_path):
    data = bytearray(write_zip(tmp_path / "x.zip", FILES).read_bytes())
    end = data.rindex(b"PK\5\6")
    count, size, start = struct.unpack("<HII", data[end + 10 : end + 20])
    record = b"PK\6\6" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, count, count, size, start)
    locator = b"PK\6\7" + struct.pack("<IQI", 0, end, 1)
    tail = b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    path = tmp_path / "y.zip"
    path.write_bytes(data[:end] + record + locator + tail)
    assert load(path).report.read == 10
    with pytest.raises(DataError, match="bytes in the zip's directory: .* over the limit of 132; give fewer files"):
        load(path, limits=InputLimits(zip_entries=2, path_chars=20))
    path.write_bytes(data[:end] + b"xxxx" + record[4:] + locator + tail)
    with pytest.raises(DataError, match="damaged zip directory"):
        load(path)


@pytest.mark.parametrize("name", ["../a.png", "/etc/a.png", "a/../../b.png", "C:/a.png", "a\\..\\b.png", "\\\\host\\a.png"])
def test_climbing_paths_are_refused(tmp_path, name):
    with pytest.raises(DataError, match="leads out of the folder"):
        load(raw_zip(tmp_path / "x.zip", {b"cat/0.png": png(0), name.encode(): png(1)}))
    for mode, path in (("w", tmp_path / "x.tar"), ("w:gz", tmp_path / "x.tgz")):
        with pytest.raises(DataError, match="leads out of the folder"):
            load(write_tar(path, {**FILES, name: png(1)}, mode))


def test_bombs_are_refused(tmp_path):
    bomb = {**FILES, "cat/bomb.png": bytes(4_000_000)}
    with pytest.raises(DataError, match="bytes unpacked for each byte of the archive: .* over the limit of 100; pack photos"):
        load(write_zip(tmp_path / "x.zip", bomb, zipfile.ZIP_DEFLATED))
    with pytest.raises(DataError, match="bytes unpacked for each byte of the archive"):
        load(write_tar(tmp_path / "x.tar.gz", bomb, "w:gz"))
    with pytest.raises(DataError, match="bytes in the archive: .* over the limit of 1,000"):
        load(write_zip(tmp_path / "y.zip", FILES), limits=InputLimits(set_bytes=1000))


def test_a_size_that_lies_in_the_header_is_not_trusted(tmp_path):
    noise = os.urandom(25_600)
    path = write_zip(tmp_path / "x.zip", {**FILES, "cat/noise.png": noise}, zipfile.ZIP_DEFLATED)
    whole = path.read_bytes()
    for lie in (7, 10**9):
        path.write_bytes(whole.replace(struct.pack("<I", 25_600), struct.pack("<I", lie)))
        data = load(path)
        assert list(why(data)) == ["cat/noise.png"] and data.report.read == 10


def test_archive_limits_name_value_limit_and_remedy(tmp_path):
    zip_path, tar_path = write_zip(tmp_path / "x.zip", FILES), write_tar(tmp_path / "x.tar", FILES)
    for path, limits, words in (
        (zip_path, InputLimits(zip_bytes=100), "'x.zip' in bytes: .* over the limit of 100; give a smaller archive"),
        (tar_path, InputLimits(zip_bytes=100), "'x.tar' in bytes: .* over the limit of 100; give a smaller archive"),
        (zip_path, InputLimits(zip_entries=9), "members of the zip: 10 is over the limit of 9; give fewer files"),
        (tar_path, InputLimits(zip_entries=9), "members of the tar: 10 is over the limit of 9; give fewer files"),
        (zip_path, InputLimits(set_images=9), "images in the set: 10 is over the limit of 9; give fewer"),
    ):
        with pytest.raises(DataError, match=words):
            load(path, limits=limits)


@pytest.mark.parametrize("name", ["x.zip", "x.tar", "x.tar.gz"])
def test_archives_that_are_none_are_refused(tmp_path, name):
    for content in (b"", b"x", b"\x1f\x8b", bytes(range(256)) * 8):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match="pack it again|0 images among 0 files"):
            load(tmp_path / name)


def test_what_a_cut_off_tar_lost_is_said(tmp_path):
    whole = write_tar(tmp_path / "x.tar", FILES).read_bytes()
    with tarfile.open(tmp_path / "x.tar") as archive:
        offsets = {m.name: (m.offset, m.offset_data) for m in archive}
    (tmp_path / "x.tar").write_bytes(whole[: offsets["dog/4.png"][0]])
    assert load(tmp_path / "x.tar").report.warnings == ["'x.tar' ends without a tar's mark of its end; it may be cut off."]
    (tmp_path / "x.tar").write_bytes(whole[: offsets["dog/4.png"][1] + 20])
    assert why(load(tmp_path / "x.tar")) == {"dog/4.png": "damaged or cut off"}
    packed = write_tar(tmp_path / "y.tar.gz", FILES, "w:gz").read_bytes()
    (tmp_path / "y.tar.gz").write_bytes(packed[: len(packed) // 2])
    assert "'y.tar.gz' ends without a tar's mark of its end; it may be cut off." in load(tmp_path / "y.tar.gz").report.warnings


def test_links_and_special_members_of_a_tar_are_left_out(tmp_path):
    more = []
    for kind, name in (
        (tarfile.SYMTYPE, "cat/s.png"),
        (tarfile.LNKTYPE, "cat/h.png"),
        (tarfile.FIFOTYPE, "dog/f.png"),
        (tarfile.CHRTYPE, "dog/c.png"),
    ):
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, "cat/0.png"
        more.append(member)
    data = load(write_tar(tmp_path / "x.tar", FILES, more=more))
    assert why(data) == dict.fromkeys(("cat/s.png", "cat/h.png", "dog/f.png", "dog/c.png"), LINK) and data.report.read == 10


def test_a_gzip_in_several_parts_is_read_whole(tmp_path):
    import gzip

    plain = write_tar(tmp_path / "x.tar", FILES).read_bytes()
    (tmp_path / "x.tar.gz").write_bytes(gzip.compress(plain[:3000]) + gzip.compress(plain[3000:]) + bytes(512))
    assert load(tmp_path / "x.tar.gz").train.ids == load(tmp_path / "x.tar").train.ids


def shard(path, first: int, split: str = "", by: str = "cls"):
    files = {}
    for i in range(4):
        files[f"{i:04}.png"] = png(first + i)
        label, subject = ("cat", "dog")[i % 2], f"{split}{i}"
        if by == "cls":
            files[f"{i:04}.cls"] = label.encode()
        else:
            files[f"{i:04}.json"] = json.dumps({"label": label, "subject_id": subject, "boxes": [1, 2]}).encode()
    return write_tar(path, files)


def test_webdataset_shards_with_classes(tmp_path):
    data = load(shard(tmp_path / "x.tar", 0))
    assert data.report.classes == {"cat": 2, "dog": 2} and [class_of(data, i) for i in range(4)] == ["cat", "dog"] * 2
    assert not data.report.skipped


def test_webdataset_shards_of_two_splits_keep_subjects_apart(tmp_path):
    shard(tmp_path / "pets-train-000000.tar", 0)
    for name, first, split in (("train-000000.tar", 0, "a"), ("train-000001.tar", 10, "b"), ("test-000000.tar", 20, "c")):
        shard(tmp_path / "w" / name, first, split, "json") if (tmp_path / "w").mkdir(exist_ok=True) is None else None
    write_files(tmp_path / "w", {"README.md": "x"})
    data = load(tmp_path / "w")
    assert data.report.splits == {"train": 8, "test": 4} and data.report.subjects == 12
    assert [subject_of(data, seed) for seed in (0, 10, 21, 22)] == ["a0", "b0", "c1", "c2"] and class_of(data, 21) == "dog"
    assert why(data) == {"README.md": "not an image"}


def test_annotations_beside_images_in_class_folders_are_no_labels(tmp_path):
    notes = {name.replace("png", "txt"): b"0 0.5 0.5 1 1" for name in FILES} | {
        name.replace("png", "json"): b'{"shapes": []}' for name in FILES
    }
    for path in (write_zip(tmp_path / "x.zip", FILES | notes), write_tar(tmp_path / "x.tar", FILES | notes)):
        data = load(path)
        assert data.report.classes == {"cat": 5, "dog": 5} and set(data.report.reasons) == {"not an image"}


def test_one_archive_for_each_split_in_a_folder(tmp_path):
    write_zip(tmp_path / "train.ZIP", FILES)
    write_tar(tmp_path / "test.tar.gz", members(names("cat", each=2), 50), "w:gz")
    data = load(tmp_path)
    assert data.report.splits == {"train": 10, "test": 2} and not data.report.skipped and class_of(data, 50) == "cat"


def test_parts_that_hold_files_of_one_name(tmp_path):
    write_zip(tmp_path / "a.zip", FILES)
    write_zip(tmp_path / "b.zip", members(names("cat", each=2), 50))
    data = load(tmp_path)
    assert data.report.classes == {"cat": 7, "dog": 5} and not data.report.skipped and class_of(data, 50) == "cat"
    rows = "file_name,subject\n" + "".join(f"{name},Ada{i}\n" for i, name in enumerate(FILES))
    write_zip(tmp_path / "b.zip", {**members(names("cat", each=2), 50), "metadata.csv": rows})
    data = load(tmp_path)
    assert why(data) == dict.fromkeys(names("cat", each=2), "a second file of the same name") and subject_of(data, 0) == "Ada0"


def test_labels_of_shards_that_stand_for_none(tmp_path):
    files = {f"{i}.png": png(i) for i in range(6)} | {f"{i}.cls": b"cat" if i < 4 else b"-1" for i in range(6)}
    assert why(load(write_tar(tmp_path / "x.tar", files))) == {"4.png": "no label", "5.png": "no label"}
    assert load(tmp_path / "x.tar", label="owl").report.classes == {"cat": 4, "owl": 2}


def test_images_of_an_archive_keep_their_pixels(tmp_path):
    data = load(write_zip(tmp_path / "x.zip", {**FILES, "cat/x.bmp": encoded(pixels(90), "BMP")}, zipfile.ZIP_DEFLATED))
    assert class_of(data, 90) == "cat" and np.array_equal(data.train.images.shape[1:], (8, 8, 3))
