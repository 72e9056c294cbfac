"""Residue scan: after a request, is anything of the forgotten samples left where the model keeps things?

Searched are
* folders named by the caller (a workspace, caches), file by file as raw bytes, so that free pages, write-ahead log and journal of SQLite
  are included; names of files; zip, gzip, bzip2, xz and parquet, unpacked in memory; and every image found in them, decoded;
* the project's own temporary folders (`temporary_folders`);
* registries of this process: everything reachable from the fitted model through objects of this project (samples, derived tables,
  answers, states, stores), what modules of the project keep (`module_caches`), and what the queues to worker processes hold back.

What belongs to the scanned model: all it refers to, except attributes that a class lists in `SHARED`. Those belong to someone else, who
may still hold the samples by right: the store beneath a fork (its parent's), public test images, the public backbone. A parent that a
fork was made from, another visitor's copy, and the data set that the caller read are other owners; scan them by passing them.

Not searched: memory that was freed, local variables of running functions, memory of worker processes, swap, blocks that the file system
has freed, backups, and the outside world. Knows no request and no page; what is looked for is in `core.needles`.
"""

from __future__ import annotations

import base64
import binascii
import bz2
import functools
import gc
import gzip
import io
import lzma
import os
import re
import stat
import sys
import tempfile
import threading
import time
import traceback
import types
import zipfile
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.errors import DataError
from core.images import InputLimits, decode_image
from core.needles import Index, Needles, pixels_digest

TEMPORARY = "lmeraser-"  # how the project's temporary folders begin
PROJECT = ("core", "demo")  # packages whose objects are looked into
BLOCK = 256 << 20  # bytes of a file in memory at a time
OVERLAP = 1 << 20
UNPACKED = 1 << 30  # most bytes that one compressed file is unpacked to
SMALL = 1 << 16  # buffers of a registry up to this size are searched together
DEPTH = 4  # containers inside containers
_IMAGES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF", b"BM")
_LOADED = time.time()
_DATA_URI = re.compile(rb"data:image/[a-z+]{1,10};base64,([A-Za-z0-9+/=]{16,})")
_PACKED = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}


@dataclass(frozen=True)
class Searched:
    """One place that was searched: a folder or a registry, with how many files or buffers, and bytes, unpacked ones included."""

    place: str
    items: int
    bytes: int


@dataclass(frozen=True)
class Finding:
    """Residue of one kind at one place, of so many samples. Never the content itself."""

    kind: str
    place: str
    samples: int


@dataclass(frozen=True)
class ResidueReport:
    """What was sought, where, and what was found. `unread` are files that could not be searched, so nothing is known of them."""

    samples: int
    sought: dict[str, int]  # pieces by kind
    searched: tuple[Searched, ...]
    found: tuple[Finding, ...]
    unread: tuple[str, ...]
    spared: int  # samples with an exact copy that stays: not sought
    plain: tuple[tuple[str, int], ...]  # kinds by which so many samples could not be sought, being too plain
    seconds: float

    @property
    def clean(self) -> bool:
        """Whether all was read and nothing was found."""
        return not self.found and not self.unread

    def to_json(self) -> dict:
        """Return plain values."""
        lists = {"searched": [asdict(s) for s in self.searched], "found": [asdict(f) for f in self.found], "unread": list(self.unread)}
        return {"clean": self.clean, **asdict(self), **lists, "plain": dict(self.plain)}

    def text(self) -> str:
        """Return the report as lines for people."""
        size, items = sum(s.bytes for s in self.searched), sum(s.items for s in self.searched)
        head = "Nothing of the forgotten samples was found." if self.clean else "RESIDUE FOUND." if self.found else "Not all could be read."
        lines = [f"{head} {self.samples} samples, {sum(self.sought.values())} needles, {items:,} files and buffers, {size / 1e6:,.1f} MB"]
        lines[0] += f" in {self.seconds:.1f} s."
        lines += [f"  found: {f.kind} of {f.samples} samples in {f.place}" for f in self.found]
        lines += [f"  not read: {name}" for name in self.unread]
        lines += [f"  searched: {s.place} ({s.items:,} items, {s.bytes / 1e6:,.1f} MB)" for s in self.searched]
        lines += [f"  sought: {n:,} pieces of {kind}" for kind, n in self.sought.items()]
        lines += [f"  not sought: {n} samples by {kind}, being too plain or like one that stays" for kind, n in self.plain]
        return "\n".join([*lines, f"  not sought: {self.spared} samples with an exact copy that stays"] if self.spared else lines)


def scan(needles: Needles, folders: Iterable[Path | str] = (), registries: Mapping[str, Any] | None = None) -> ResidueReport:
    """Search folders, the project's temporary folders, and registries (see `registries_of`) for needles captured beforehand."""
    began, search = time.perf_counter(), _Search(needles)
    for folder in dict.fromkeys(Path(f).resolve() for f in (*folders, *temporary_folders())):
        search.folder(folder)
    for name, value in (registries or {}).items():
        search.registry(name, value)
    places: dict[tuple[str, str], set[int]] = {}
    for kind, place, sample in search.found:
        places.setdefault((kind, place), set()).add(sample)
    return ResidueReport(
        samples=needles.samples,
        sought=needles.kinds(),
        searched=tuple(search.searched),
        found=tuple(Finding(kind, place, len(samples)) for (kind, place), samples in sorted(places.items())),
        unread=tuple(search.unread),
        spared=needles.spared,
        plain=needles.plain,
        seconds=time.perf_counter() - began,
    )


def temporary_folders() -> list[Path]:
    """Return the project's folders for temporary files that were last changed since this process began.

    Older ones are of other processes, such as a page that serves other models, and so are another owner's.
    """
    folders = [p for p in Path(tempfile.gettempdir()).glob(f"{TEMPORARY}*") if p.is_dir() and not p.is_symlink()]
    return sorted(p for p in folders if p.stat().st_ctime >= _began() - 1)


def _began() -> float:
    """Return when this process began, or, where the system does not say, when this module was loaded."""
    process = Path(f"/proc/{os.getpid()}")
    return process.stat().st_ctime if process.exists() else _LOADED


def registries_of(eraser: Any) -> dict[str, Any]:
    """Return what of this process belongs to a fitted model: the model, the modules' own caches, the queues to worker processes."""
    return {"model": eraser, "modules": module_caches(), "worker queues": queue_leftovers()}


def module_caches() -> types.SimpleNamespace:
    """Return the values that the project's loaded modules keep, each under its full name, functions' caches included."""
    found = {}
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in PROJECT and module is not None:
            found |= {f"{name}.{key}": value for key, value in list(vars(module).items()) if not key.startswith("__")}
    return types.SimpleNamespace(**{name: v for name, v in found.items() if not isinstance(v, types.ModuleType)})


def queue_leftovers() -> list[dict[str, Any]]:
    """Return what the threads that feed worker processes hold: the last job sent stays in a local variable of theirs."""
    feeders = {t.ident for t in threading.enumerate() if t.name.startswith("QueueFeeder")}
    frames = [frame for ident, frame in sys._current_frames().items() if ident in feeders]
    return [dict(outer.f_locals) for frame in frames for outer, _ in traceback.walk_stack(frame)]


class _Search:
    """One scan under way."""

    def __init__(self, needles: Needles):
        self.needles, self.index = needles, Index(needles.pieces)
        self.found: set[tuple[str, str, int]] = set()
        self.searched: list[Searched] = []
        self.unread: list[str] = []
        self._tally = Counter()

    def folder(self, folder: Path) -> None:
        """Search every file under a folder, or one file, names included; links are not followed."""
        self._tally.clear()
        paths = [folder] if folder.is_file() else [Path(top) / name for top, _, names in os.walk(folder) for name in names]
        for path in sorted(paths):
            self._file(path, str(path.relative_to(folder.parent)))
        if not folder.exists() and not folder.name.startswith(TEMPORARY):  # a temporary one may go meanwhile
            self.unread.append(f"{folder}: it is not there")
        self.searched.append(Searched(str(folder), self._tally["items"], self._tally["bytes"]))

    def registry(self, name: str, value: Any) -> None:
        """Search everything reachable from a value; small buffers of one kind are put together first."""
        self._tally.clear()
        waiting: dict[str, bytearray] = {}
        for place, data in buffers(value, name):
            self._tally["items"] += 1
            if len(data) > SMALL:
                self._bytes(place, data, DEPTH)
                continue
            heap = waiting.setdefault(place, bytearray())
            heap += data
            if len(heap) > 64 * SMALL:
                self._bytes(place, waiting.pop(place), DEPTH)
        for place, heap in waiting.items():
            self._bytes(place, heap, DEPTH)
        self.searched.append(Searched(name, self._tally["items"], self._tally["bytes"]))

    def _file(self, path: Path, place: str) -> None:
        self._tally["items"] += 1
        self._hits(place, os.fsencode(place))
        try:
            if not stat.S_ISREG(path.lstat().st_mode):
                self.unread.append(f"{place}: a link or no regular file")
                return
            for block in _blocks(path):
                self._bytes(place, block, 0)
        except FileNotFoundError:
            return  # a temporary file that is gone by now
        except OSError as error:
            self.unread.append(f"{place}: {error.strerror}")

    def _bytes(self, place: str, data, depth: int) -> None:
        """Search bytes, the images in them, and what they hold in compressed form."""
        self._tally["bytes"] += len(data)
        self._hits(place, data)
        if self.needles.images:
            for kind, image in _images(bytes(data)):
                self._image(kind, place, image)
        if depth < DEPTH:
            self._unpack(place, data, depth)

    def _hits(self, place: str, data) -> None:
        self.found |= {(piece.kind, place, piece.sample) for piece in self.index.find(data)}

    def _image(self, kind: str, place: str, image: np.ndarray) -> None:
        """Compare a decoded image with the samples: itself, enlarged by a whole number, or as one of its tiles."""
        h, w = self.needles.shape
        if image.shape[0] % h or image.shape[1] % w:
            return
        down, across = image.shape[0] // h, image.shape[1] // w
        tiles = image.reshape(down, h, across, w, 3).swapaxes(1, 2).reshape(-1, h, w, 3)
        for part in (*tiles, image[::down, ::across]):
            sample = self.needles.images.get(pixels_digest(part))
            if sample is not None:
                self.found.add((kind, place, sample))

    def _unpack(self, place: str, data, depth: int) -> None:
        try:
            for name, part in _parts(bytes(data)):
                self._hits(f"{place}!{name}", name.encode())
                self._bytes(f"{place}!{name}", part, depth + 1)
        except Exception as error:  # damaged archives raise nearly everything
            self.unread.append(f"{place}: it cannot be unpacked ({type(error).__name__}: {str(error)[:80]})")


def _blocks(path: Path) -> Iterator[bytes]:
    """Yield a file's content, cut into overlapping blocks if it is large."""
    with path.open("rb") as file:
        block = file.read(BLOCK)
        while block:
            yield block
            tail = block[-OVERLAP:]
            more = file.read(BLOCK)
            block = tail + more if more else b""


def _images(data: bytes) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the images that lie anywhere in the data, as files of their own or in data URIs, decoded (h, w, 3) uint8."""
    for magic in _IMAGES:
        at = data.find(magic)
        while at >= 0 and (magic != b"BM" or at == 0):
            image = _decoded(data, at)
            if image is not None:
                yield "encoded image", image
            at = data.find(magic, at + 1)
    for match in _DATA_URI.finditer(data):
        try:
            image = _decoded(base64.b64decode(match[1] + b"=" * (-len(match[1]) % 4)), 0)
        except binascii.Error:
            continue
        if image is not None:
            yield "thumbnail", image


def _decoded(data: bytes, at: int) -> np.ndarray | None:
    """Return the image that begins at a place of the data, or None; how long it is shows only in decoding."""
    for size in (1 << 14, 1 << 18, InputLimits().image_bytes):
        try:
            return decode_image(data[at : at + size])
        except DataError:
            if at + size >= len(data):
                break
    return None


def _parts(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of what a compressed file holds; nothing for other files. Raises what its reader raises."""
    if data.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.infolist():
                with archive.open(member) as file:
                    yield member.filename, _limited(file)
    elif data.startswith(b"PAR1"):
        yield from _columns(data)
    for magic, opener in _PACKED.items():
        if data.startswith(magic):
            with opener(io.BytesIO(data)) as file:
                yield "content", _limited(file)


def _limited(file) -> bytes:
    data = file.read(UNPACKED + 1)
    if len(data) > UNPACKED:
        raise DataError(f"it holds over {UNPACKED:,} bytes unpacked")
    return data


def _columns(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the columns of a parquet table, decoded into the memory that Arrow keeps them in."""
    from pyarrow import parquet

    file = parquet.ParquetFile(io.BytesIO(data))
    if file.metadata.num_rows and sum(file.metadata.row_group(g).total_byte_size for g in range(file.num_row_groups)) > UNPACKED:
        raise DataError(f"it holds over {UNPACKED:,} bytes unpacked")
    for name, column in zip(file.schema_arrow.names, file.read().columns, strict=True):
        for chunk in column.chunks:
            yield from ((name, buffer.to_pybytes()) for buffer in chunk.buffers() if buffer is not None)


# What a process holds


def buffers(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield (where, bytes) of everything reachable from a value through containers and objects of this project.

    Arrays give the whole memory that they are a view of. Names never hold keys, which may be ids: `model.entries[].feature`.
    """
    seen: set[int] = set()
    kept = []  # so that no id() is given twice
    waiting = deque([(name, value)])
    while waiting:
        place, item = waiting.popleft()
        if id(item) in seen or isinstance(item, (bool, int, float, type(None), torch.nn.Module)):
            continue
        seen.add(id(item))
        kept.append(item)
        data = _leaf(item, seen)
        if data is not None:
            yield place, data
        else:
            waiting.extend(_inside(place, item))


def _leaf(item: Any, seen: set[int]) -> Any:
    """Return the bytes of a text, an array or a tensor, or None for what is not one; memory seen before gives no bytes."""
    if isinstance(item, str):
        return item.encode("utf-8", "surrogatepass")
    if isinstance(item, (bytes, bytearray, memoryview)):
        return memoryview(item).cast("B") if isinstance(item, memoryview) and item.contiguous else bytes(item)
    if not isinstance(item, (np.ndarray, torch.Tensor)) or (isinstance(item, np.ndarray) and item.dtype.hasobject):
        return None
    whole = _owner(item)
    start = whole.__array_interface__["data"][0]
    if start in seen:
        return b""
    seen.add(start)
    return np.ascontiguousarray(whole).reshape(-1).view(np.uint8).data


def _owner(item: np.ndarray | torch.Tensor) -> np.ndarray:
    """Return the array of all the memory that an array or tensor keeps alive."""
    while isinstance(item, np.ndarray) and isinstance(item.base, np.ndarray):
        item = item.base
    if isinstance(item, np.ndarray) and isinstance(item.base, (bytes, bytearray)):
        return np.frombuffer(item.base, np.uint8)
    tensor = item if isinstance(item, torch.Tensor) else item.base
    if not isinstance(tensor, torch.Tensor):
        return item
    return torch.empty(0, dtype=torch.uint8).set_(tensor.detach().cpu().untyped_storage()).numpy()


def _inside(place: str, item: Any) -> Iterable[tuple[str, Any]]:
    """Return what an object holds, with names; nothing for objects of other projects."""
    if isinstance(item, Mapping):
        return [(f"{place}[]", part) for pair in list(item.items()) for part in pair]
    if isinstance(item, (list, tuple, set, frozenset, deque)):
        return [(f"{place}[]", part) for part in list(item)]
    if isinstance(item, np.ndarray):
        return [(f"{place}[]", part) for part in item.reshape(-1).tolist()]
    if isinstance(item, functools._lru_cache_wrapper):
        return [(f"{place}()", part) for part in _cached(item)]
    if isinstance(item, type):
        own = item.__module__.partition(".")[0] in PROJECT
        return [(f"{place}.{key}", part) for key, part in list(vars(item).items()) if own and not key.startswith("__")]
    if isinstance(item, types.FunctionType) and item.__module__.partition(".")[0] in PROJECT:
        cells = [cell.cell_contents for cell in item.__closure__ or () if _filled(cell)]
        return [(place, part) for part in (*cells, *(item.__defaults__ or ()))]
    if isinstance(item, (functools.partial, types.MethodType)):
        parts = (item.func, item.args, item.keywords) if isinstance(item, functools.partial) else (item.__self__,)
        return [(place, part) for part in parts]
    if type(item).__module__.partition(".")[0] in PROJECT or is_dataclass(item) or isinstance(item, types.SimpleNamespace):
        shared = getattr(type(item), "SHARED", ())
        return [(f"{place}.{key}", part) for key, part in list(getattr(item, "__dict__", {}).items()) if key not in shared]
    return ()


def _cached(function: Any) -> list[Any]:
    """Return the arguments and results that `functools.lru_cache` keeps for a function."""
    return [part for part in gc.get_referents(function) if not (isinstance(part, dict) and "__wrapped__" in part)]


def _filled(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True
