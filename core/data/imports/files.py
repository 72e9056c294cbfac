"""The files of a folder, zip or tar, each read only when its turn comes; nothing is extracted to disk.

A set is refused where an attack is likely (climbing paths, bombs). Single files that cannot be used are reported and left out.
"""

from __future__ import annotations

import io
import os
import stat
import struct
import tarfile
import threading
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from core.data.images import InputLimits, check_size, shown, within
from core.data.imports.names import archived_name, hidden, plain_path
from core.data.imports.report import ImportReport
from core.errors import DataError, UnusableImage

DEPTH = 12  # folders in folders
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
SYSTEM = "a system's own file"
LINK = "a link or special file"


@dataclass(frozen=True)
class File:
    """A file of a set: its path there, with slashes and in NFC, and how to read it, which raises UnusableImage.

    disk: where it lies, unless it is a member of an archive. written: its path as its maker wrote it.
    """

    path: str
    read: Callable[[], bytes]
    size: int = 0
    disk: Path | None = None
    written: str = ""


def files_of(path: Path, limits: InputLimits, report: ImportReport) -> list[File]:
    """Return the files of a folder, zip or tar by path; raises DataError where the whole cannot be used."""
    if path.is_dir():
        found = list(_walk(path, path, "", limits, report))
    elif path.suffix.lower() == ".zip":
        found = _zip(path, limits, report)
    else:
        found = _tar(path, limits, report)
    files: dict[str, File] = {}
    folders: dict[str, set[str]] = {}
    for file in found:
        folders.setdefault(file.path.rpartition("/")[0], set()).add(file.written.replace("\\", "/").rpartition("/")[0])
        other = unicodedata.normalize("NFD", file.path)
        if file.path not in files:
            files[file.path] = file
        elif files[file.path].written != file.written and other not in files:  # two Unicode forms of one name are two files
            files[other] = replace(file, path=other)
        else:
            report.skip(file.path, "a second file of the same name")
    for folder, forms in folders.items():
        if folder in forms and any(unicodedata.normalize("NFC", form) != form for form in forms):
            report.warn(f"Folder {shown(folder)} is there in two Unicode forms of one name; they count as one.")
    within("files in the set", len(files), limits.zip_entries, "give fewer")
    return [files[name] for name in sorted(files)]


def is_archive(path: Path) -> bool:
    """Return whether a file's name is that of an archive that is read here."""
    return path.name.lower().endswith(ARCHIVES)


def read_bytes(path: Path, limit: int) -> bytes:
    """Return a regular file's content, at most `limit` bytes; raises DataError."""
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            raise DataError(f"{shown(path.name)} is a link or not a regular file; give the file itself.")
        with open(path, "rb") as file:
            data = file.read(limit + 1)
    except (OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{shown(path.name)} cannot be read ({type(error).__name__}); check that it exists and may be read.") from error
    within(f"{shown(path.name)} in bytes", len(data), limit, "give a smaller file")
    return data


def _read_one(path: Path, name: str, limits: InputLimits) -> bytes:
    try:
        check_size(os.path.getsize(path), name, limits)
        return read_bytes(path, limits.set_bytes)
    except UnusableImage:
        raise
    except (DataError, OSError) as error:
        raise UnusableImage(str(error), "cannot be read") from error


def _named(raw: str, limits: InputLimits, report: ImportReport, on_disk: bool = False) -> str | None:
    """Return a path in its one form, or None for one that is left out."""
    try:
        name = plain_path(raw, limits, on_disk)
    except UnusableImage as error:
        report.skip(raw, error.reason)
        return None
    if hidden(name):
        report.skip(name, SYSTEM)
        return None
    return name


def _walk(root: Path, folder: Path, prefix: str, limits: InputLimits, report: ImportReport) -> Iterator[File]:
    try:
        entries = sorted(os.scandir(folder), key=lambda e: e.name)
    except OSError as error:
        if folder == root:
            raise DataError(f"{shown(folder.name)} cannot be listed ({type(error).__name__}); check that it may be read.") from error
        report.skip(prefix, "a folder that cannot be listed")
        return
    for entry in entries:
        written = prefix + entry.name.replace("\\", "_")  # there, a backslash is a character like others
        name = _named(written, limits, report, on_disk=True)
        if name is None:
            continue
        try:
            path = Path(entry.path)
            if entry.is_symlink():
                target = _own_blob(root, path)
                if target is None:
                    report.skip(name, LINK)
                else:
                    yield File(name, partial(_read_one, target, name, limits), target.stat().st_size, path, written)
            elif entry.is_dir():
                if name.count("/") >= DEPTH:
                    report.skip(name, f"over {DEPTH} folders deep")
                else:
                    yield from _walk(root, path, f"{written}/", limits, report)
            elif entry.is_file():
                yield File(name, partial(_read_one, path, name, limits), entry.stat().st_size, path, written)
            else:
                report.skip(name, LINK)
        except OSError:
            report.skip(name, "cannot be read")


def _own_blob(root: Path, link: Path) -> Path | None:
    """Return a link's target where the Hub's cache keeps it: in `blobs`, beside the `snapshots` that the folder lies in."""
    target = link.resolve()
    for parent in (root.resolve(), *root.resolve().parents):
        if parent.name == "snapshots":
            return target if target.parent == parent.parent / "blobs" and target.is_file() else None
    return None


class _Unpacked:
    """Counts the bytes that really come out of an archive; raises DataError for a bomb. Headers are not trusted."""

    def __init__(self, packed: int, limits: InputLimits):
        self._packed, self._limits, self._total = max(packed, 1), limits, 0

    def add(self, size: int) -> None:
        self._total += size
        ratio = self._total // self._packed
        within("bytes unpacked for each byte of the archive", ratio, self._limits.zip_ratio, "pack photos, not blank images")
        within("bytes in the archive", self._total, self._limits.set_bytes, "give fewer or smaller images")


def _zip(path: Path, limits: InputLimits, report: ImportReport) -> list[File]:
    size = path.stat().st_size
    within(f"{shown(path.name)} in bytes", size, limits.zip_bytes, "give a smaller archive")
    lock, files = threading.Lock(), []
    try:
        with open(path, "rb") as raw:
            _check_directory(raw, size, path.name, limits)
        archive = zipfile.ZipFile(path)
        unpacked = _Unpacked(size, limits)
        within("members of the zip", len(archive.infolist()), limits.zip_entries, "give fewer files")
        for member in archive.infolist():
            raw_name = archived_name(member.orig_filename, bool(member.flag_bits & 0x800), member.extra)
            name = _named(raw_name, limits, report)
            if name is None or member.is_dir() or raw_name.endswith("\\"):
                continue
            if reason := _refused(member):
                report.skip(name, reason)
            else:
                read = partial(_unzip, archive, member, name, lock, unpacked, limits)
                files.append(File(name, read, member.file_size, written=raw_name))
    except DataError:
        raise
    except Exception as error:  # zipfile raises many kinds on damaged archives
        raise DataError(
            f"{shown(path.name)} ({size:,} bytes) is not a usable zip archive ({type(error).__name__}: {shown(error)}); pack it again."
        ) from error
    return files


def _check_directory(file: io.BufferedReader, size: int, name: str, limits: InputLimits) -> None:
    """Bound the member list before zipfile parses it: it alone could fill the memory."""
    file.seek(max(0, size - 66_000))  # the record at the end, before a comment of at most 65,535 bytes
    tail = file.read()
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) < end + 22:
        raise DataError(f"{shown(name)} ({size:,} bytes) has no zip directory: it is cut off or not a zip archive; pack it again.")
    (listed,) = struct.unpack("<I", tail[end + 12 : end + 16])
    if tail[max(end - 20, 0) : end].startswith(b"PK\x06\x07"):  # zip64: the sizes stand in a record of their own
        (at,) = struct.unpack("<Q", tail[end - 12 : end - 4])
        file.seek(min(at, size))
        record = file.read(56)
        if len(record) < 56 or not record.startswith(b"PK\x06\x06"):
            raise DataError(f"{shown(name)} ({size:,} bytes) has a damaged zip directory; pack it again.")
        (listed,) = struct.unpack("<Q", record[40:48])
    within("bytes in the zip's directory", listed, limits.zip_entries * (46 + limits.path_chars), "give fewer files, with shorter names")


def _refused(member: zipfile.ZipInfo) -> str | None:
    """Return why a member is left out by its header, or None."""
    kind = stat.S_IFMT(member.external_attr >> 16) if member.create_system == 3 else 0
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return LINK
    if member.flag_bits & 1:
        return "encrypted"
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "packed by a method other than deflate or store"
    return None


def _unzip(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str, lock: threading.Lock, unpacked: _Unpacked, limits: InputLimits
) -> bytes:
    most = max(limits.image_bytes, limits.metadata_bytes)
    try:
        with lock, archive.open(member) as file:
            data = file.read(most + 1)
            unpacked.add(len(data))
    except DataError:
        raise
    except Exception as error:
        raise UnusableImage(
            f"{shown(name)} is damaged in the archive ({type(error).__name__}); pack it again.", "damaged in the archive"
        ) from error
    if len(data) <= most:
        return data
    raise UnusableImage(f"{shown(name)} in bytes: over the limit of {most:,}; save it smaller.", f"over {most:,} bytes")


def _tar(path: Path, limits: InputLimits, report: ImportReport) -> list[File]:
    """Return the members of a tar, plain or gzipped; a gzipped one is unpacked in memory."""
    size = path.stat().st_size
    within(f"{shown(path.name)} in bytes", size, limits.zip_bytes, "give a smaller archive")
    files, whole = [], True
    try:
        with open(path, "rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
        content = _gunzipped(path, size, limits) if packed else None
        whole = _ended(path, content)
        if not whole:
            report.warn(f"{shown(path.name)} ends without a tar's mark of its end; it may be cut off.")
        with tarfile.open(path if content is None else None, "r:", content, errorlevel=1) as archive:
            for number, member in enumerate(archive):
                within("members of the tar", number + 1, limits.zip_entries, "give fewer files")
                name = _named(member.name, limits, report)
                if name is None or member.isdir():
                    continue
                if not member.isreg() or member.issparse():
                    report.skip(name, LINK)
                    continue
                read = partial(_untar, path, content, member.offset_data, member.size, name, limits)
                files.append(File(name, read, member.size, written=member.name))
    except DataError:
        raise
    except Exception as error:  # tarfile and zlib raise many kinds on damaged archives
        if files and not whole:  # what comes before the cut can be used
            return files
        raise DataError(
            f"{shown(path.name)} ({size:,} bytes) is not a usable tar archive ({type(error).__name__}: {shown(error)}); pack it again."
        ) from error
    return files


def _gunzipped(path: Path, size: int, limits: InputLimits) -> io.BytesIO:
    out, unpacked, engine = io.BytesIO(), _Unpacked(size, limits), zlib.decompressobj(31)
    with open(path, "rb") as raw:
        while block := raw.read(1 << 20):
            while block:
                if engine.eof:  # some programs write several parts one after another
                    engine = zlib.decompressobj(31)
                part = engine.decompress(block, 1 << 24)
                unpacked.add(len(part))
                out.write(part)
                block = engine.unconsumed_tail or engine.unused_data.lstrip(b"\0")  # zeros may fill up the last block
    out.seek(0)
    return out


def _ended(path: Path, content: io.BytesIO | None) -> bool:
    """Return whether a tar ends as its format demands, with a block of zeros."""
    if content is not None:
        with content.getbuffer() as whole:
            return not any(whole[-512:])
    with open(path, "rb") as raw:
        raw.seek(max(0, path.stat().st_size - 512))
        return not any(raw.read())


def _untar(path: Path, content: io.BytesIO | None, at: int, size: int, name: str, limits: InputLimits) -> bytes:
    check_size(size, name, limits)
    if content is not None:
        with content.getbuffer() as whole:
            data = bytes(whole[at : at + size])
    else:
        with open(path, "rb") as raw:
            raw.seek(at)
            data = raw.read(size)
    if len(data) < size:
        raise UnusableImage(f"{shown(name)} is cut off in the archive; pack it again.", "damaged or cut off")
    return data
