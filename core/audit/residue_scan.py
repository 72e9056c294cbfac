"""Residue scan: after a request, is anything of the forgotten samples left where the model stores data?

Capture the samples' signatures before the request (`core.audit.signatures`), and call `scan` afterwards. It searches
* folders that the caller names (a workspace, caches), file by file as raw bytes, so that free pages, the write-ahead log and the journal
  of SQLite are included; file names; what archives, compressed files and images hold (`core.audit.file_contents`);
* the project's own temporary folders (`temporary_folders`);
* registries of this process (`core.audit.memory_walk`): everything reachable from the fitted model (samples, derived tables, answers,
  states, stores), from the values in the packages' modules, and from the queues to worker processes.

Everything that the scanned model refers to belongs to it, except attributes that a class lists in `SHARED`. Those belong to another
owner, who may still hold the samples by right: the store beneath a fork (its parent's), public test images, the public backbone. The
parent of a fork, another visitor's copy, and the data set that the caller read are other owners; pass them to scan them, too.

Not searched: freed memory, local variables of running functions, memory of worker processes, swap, blocks that the file system has
freed, backups, and other machines.
"""

from __future__ import annotations

import os
import stat
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.audit.file_contents import file_blocks, images_in, unpacked
from core.audit.memory_walk import PACKAGES, buffers
from core.audit.signatures import SignatureIndex, Signatures, pixels_digest

TEMPORARY = "lmeraser-"  # how the names of the project's temporary folders begin
SMALL = 1 << 16  # buffers of a registry up to this many bytes are searched together
DEPTH = 4  # archives inside archives
_LOADED = time.time()


@dataclass(frozen=True)
class Searched:
    """One place that was searched: a folder or a registry, with how many files or buffers, and bytes, unpacked ones included."""

    place: str
    items: int
    bytes: int


@dataclass(frozen=True)
class Finding:
    """Residue of one kind in one place, and of how many samples it is; never the content itself."""

    kind: str
    place: str
    samples: int


@dataclass(frozen=True)
class ResidueReport:
    """What was searched for, where, and what was found. `unread` are files that could not be searched."""

    samples: int
    sought: dict[str, int]  # signatures by kind
    searched: tuple[Searched, ...]
    found: tuple[Finding, ...]
    unread: tuple[str, ...]
    spared: int  # samples with an exact copy that is retained: not searched for
    plain: tuple[tuple[str, int], ...]  # by kind: samples too plain to be recognized by it
    seconds: float

    @property
    def clean(self) -> bool:
        """Whether everything was read and nothing was found."""
        return not self.found and not self.unread

    def to_json(self) -> dict:
        """Return plain values."""
        lists = {"searched": [asdict(s) for s in self.searched], "found": [asdict(f) for f in self.found], "unread": list(self.unread)}
        return {"clean": self.clean, **asdict(self), **lists, "plain": dict(self.plain)}

    def text(self) -> str:
        """Return the report as lines of text."""
        size, items = sum(s.bytes for s in self.searched), sum(s.items for s in self.searched)
        outcome = "RESIDUE FOUND." if self.found else "Some files could not be read."
        lines = ["Nothing of the forgotten samples was found." if self.clean else outcome]
        lines[0] += f" {self.samples} samples, {sum(self.sought.values())} signatures, {items:,} files and buffers"
        lines[0] += f", {size / 1e6:,.1f} MB in {self.seconds:.1f} s."
        lines += [f"  found: {f.kind} of {f.samples} samples in {f.place}" for f in self.found]
        lines += [f"  not read: {name}" for name in self.unread]
        lines += [f"  searched: {s.place} ({s.items:,} items, {s.bytes / 1e6:,.1f} MB)" for s in self.searched]
        lines += [f"  sought: {n:,} signatures of {kind}" for kind, n in self.sought.items()]
        lines += [f"  not sought: {n} samples by {kind}, too plain or like a retained one" for kind, n in self.plain]
        return "\n".join([*lines, f"  not sought: {self.spared} samples with an exact copy that is retained"] if self.spared else lines)


def scan(
    signatures: Signatures,
    folders: Iterable[Path | str] = (),
    registries: Mapping[str, Any] | None = None,
    packages: Sequence[str] = PACKAGES,
) -> ResidueReport:
    """Search folders, the project's temporary folders and registries (`memory_walk.registries_of`) for signatures captured beforehand.

    `packages`: top-level packages whose objects are looked into.
    """
    began, search = time.perf_counter(), _Search(signatures, packages)
    for folder in dict.fromkeys(Path(f).resolve() for f in (*folders, *temporary_folders())):
        search.folder(folder)
    for name, value in (registries or {}).items():
        search.registry(name, value)
    places: dict[tuple[str, str], set[int]] = {}
    for kind, place, sample in search.found:
        places.setdefault((kind, place), set()).add(sample)
    return ResidueReport(
        samples=signatures.samples,
        sought=signatures.kinds(),
        searched=tuple(search.searched),
        found=tuple(Finding(kind, place, len(samples)) for (kind, place), samples in sorted(places.items())),
        unread=tuple(search.unread),
        spared=signatures.spared,
        plain=signatures.plain,
        seconds=time.perf_counter() - began,
    )


def temporary_folders() -> list[Path]:
    """Return the project's temporary folders that were last changed since this process began.

    Older ones belong to other processes, such as a page that serves other models.
    """
    folders = [p for p in Path(tempfile.gettempdir()).glob(f"{TEMPORARY}*") if p.is_dir() and not p.is_symlink()]
    return sorted(p for p in folders if p.stat().st_ctime >= _began() - 1)


def _began() -> float:
    """Return when this process began; on systems without /proc, when this module was loaded."""
    process = Path(f"/proc/{os.getpid()}")
    return process.stat().st_ctime if process.exists() else _LOADED


class _Search:
    """One scan under way."""

    def __init__(self, signatures: Signatures, packages: Sequence[str]):
        self.signatures, self.packages, self.index = signatures, packages, SignatureIndex(signatures.entries)
        self.found: set[tuple[str, str, int]] = set()
        self.searched: list[Searched] = []
        self.unread: list[str] = []
        self._tally: Counter[str] = Counter()

    def folder(self, folder: Path) -> None:
        """Search every file under a folder, or one file, names included; links are not followed."""
        self._tally.clear()
        paths = [folder] if folder.is_file() else [Path(top) / name for top, _, names in os.walk(folder) for name in names]
        for path in sorted(paths):
            self._file(path, str(path.relative_to(folder.parent)))
        if not folder.exists() and not folder.name.startswith(TEMPORARY):  # a temporary one may be deleted meanwhile
            self.unread.append(f"{folder}: it does not exist")
        self.searched.append(Searched(str(folder), self._tally["items"], self._tally["bytes"]))

    def registry(self, name: str, value: Any) -> None:
        """Search everything reachable from a value; small buffers in the same place are joined first."""
        self._tally.clear()
        waiting: dict[str, bytearray] = {}
        for place, data in buffers(value, name, self.packages):
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
                self.unread.append(f"{place}: a link or a special file")
                return
            for block in file_blocks(path):
                self._bytes(place, block, 0)
        except FileNotFoundError:
            return  # a temporary file that was deleted meanwhile
        except OSError as error:
            self.unread.append(f"{place}: {error.strerror}")

    def _bytes(self, place: str, data, depth: int) -> None:
        """Search bytes, the images in them, and what they hold in compressed form."""
        self._tally["bytes"] += len(data)
        self._hits(place, data)
        if self.signatures.images:
            for kind, image in images_in(bytes(data)):
                self._image(kind, place, image)
        if depth < DEPTH:
            self._unpack(place, data, depth)

    def _hits(self, place: str, data) -> None:
        self.found |= {(signature.kind, place, signature.sample) for signature in self.index.find(data)}

    def _image(self, kind: str, place: str, image: np.ndarray) -> None:
        """Compare a decoded image with the samples: itself, enlarged by a whole number, or as one of its tiles."""
        h, w = self.signatures.shape
        if image.shape[0] % h or image.shape[1] % w:
            return
        down, across = image.shape[0] // h, image.shape[1] // w
        tiles = image.reshape(down, h, across, w, 3).swapaxes(1, 2).reshape(-1, h, w, 3)
        for part in (*tiles, image[::down, ::across]):
            sample = self.signatures.images.get(pixels_digest(part))
            if sample is not None:
                self.found.add((kind, place, sample))

    def _unpack(self, place: str, data, depth: int) -> None:
        try:
            for name, part in unpacked(bytes(data)):
                self._hits(f"{place}!{name}", name.encode())
                self._bytes(f"{place}!{name}", part, depth + 1)
        except Exception as error:  # damaged archives raise nearly everything
            self.unread.append(f"{place}: it cannot be unpacked ({type(error).__name__}: {str(error)[:80]})")
