"""One visitor's own images: the files they sent, what was read of them, the lab on them, and the end of all of it."""

from __future__ import annotations

import asyncio
import gc
import io
import secrets
import shutil
import threading
import time
import weakref
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from core.data.datasets import Dataset, load_dataset
from core.data.images import InputLimits
from core.data.imports.files import is_archive
from core.data.imports.names import plain_path
from core.data.imports.options import ImportOptions
from core.data.imports.tables import ENDINGS
from core.errors import DataError, InputError, LMEraserError
from core.runtime.executors import LocalExecutor
from core.runtime.temporary import Scratch
from demo.own import words
from demo.own.mounting import Mounted
from demo.session.engine import PACKAGES, CoreEngine, CoreModel
from demo.session.lab import Lab

MIB = 1 << 20
MOST_BYTES, MOST_IMAGES = 300 * MIB, 10_000
LIMITS = InputLimits(image_bytes=40 * MIB, set_images=MOST_IMAGES, set_bytes=MOST_BYTES, zip_bytes=MOST_BYTES, zip_entries=30_000)
LIMITS = replace(LIMITS, array_bytes=1024 * MIB, metadata_bytes=16 * MIB, classes=200)
GALLERY, SHOWN = 40, 8  # classes that the gallery shows, and pictures of each
THUMBNAIL = 64  # px
ENDING = 60  # quarters of a second in which a proof or a request that is under way stops
SOUGHT = 200  # images that the search after deletion looks for


class OwnEngine(CoreEngine):
    """The page's engine on a visitor's own images; the worker processes are those of the whole site."""

    def close(self) -> None:
        """Let go of the images; leave the worker processes to the others."""
        nothing = self.dataset.train.take(np.empty(0, np.int64))
        object.__setattr__(self, "dataset", replace(self.dataset, train=nothing, test=nothing))


@dataclass
class Progress:
    """How far the reading is: nothing, reading, read or failed."""

    stage: str = ""
    done: int = 0
    total: int = 0
    error: str = ""


class ImageSet:
    """The images of one visitor. Everything of them on disk lies in one private folder."""

    def __init__(self, size: int, name: str = "", data_dir: str | Path | None = None):
        """`size`: the backbone's input side, px. `name`: a public set to take instead of files, from `data_dir` or the Hub."""
        self.name, self._data_dir = name, data_dir
        self.token = secrets.token_urlsafe(18)
        self.seen = time.monotonic()
        self.progress = Progress()
        self.data: Dataset | None = None
        self.lab: Lab | None = None
        self.mounted: Mounted | None = None
        self._size, self._scratch = size, Scratch()
        self._files, self._received, self._names = self._scratch.folder(), 0, 0
        self._lock = threading.Lock()

    def seen_now(self) -> None:
        """Take note that somebody looks at it."""
        self.seen = time.monotonic()

    @property
    def idle(self) -> float:
        """Seconds since anybody looked at it, or at its lab."""
        return 0.0 if self.lab is not None and self.lab.visited else time.monotonic() - self.seen

    @property
    def pace(self) -> float | None:
        """Seconds an image that the first fit took, the map included; None before it is done."""
        return self.lab.fit.seconds / len(self.lab.samples) if self.lab is not None and self.lab.fit.seconds else None

    def place(self, name: str) -> Path:
        """Return where a file of this relative path is to be written; raises DataError for a path that cannot be used."""
        if self.lab is not None:
            raise InputError(words.BUSY)
        path = self._files / plain_path(name, LIMITS)
        self._names += 1
        if self._names > LIMITS.zip_entries:
            raise DataError(f"{self._names:,} files are over the limit of {LIMITS.zip_entries:,}. Drop fewer, or a zip.")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"A file and a folder have the same name on the way to {path.name}. Rename one of them.") from error
        return path

    def receive(self, size: int) -> None:
        """Count bytes that arrive; raises DataError beyond the limit."""
        self._received += size
        if self._received > MOST_BYTES:
            raise DataError(words.TOO_LARGE.format(MOST_BYTES // MIB))

    def check(self, fit: str, label: str, columns: Mapping[str, str]) -> None:
        """Read the images in the background; raises InputError while they are being read, or when there are none.

        columns: those of a table to take for `image`, `label` and `subject`; what is not named is found by itself.
        """
        with self._lock:
            if self.progress.stage == "reading" or self.lab is not None:
                raise InputError(words.BUSY)
            if not self._names and not self.name:
                raise InputError(words.TOO_FEW)
            image, owner = columns.get("image"), columns.get("subject")
            options = ImportOptions(self._size, fit, label.strip() or None, image, columns.get("label"), owner, limits=LIMITS)
            self.progress = Progress("reading")
        threading.Thread(target=self._read, args=(options,), name="lmeraser-import", daemon=True).start()

    def _read(self, options: ImportOptions) -> None:
        try:
            if self.name:
                self.data = load_dataset(self.name, self._data_dir, MOST_IMAGES, replace(options, limits=InputLimits()), self._tell)
            else:
                self.data = load_dataset(str(self._root()), options=options, tell=self._tell)
            self.progress = Progress("read")
        except LMEraserError as error:
            self.data, self.progress = None, Progress("failed", error=words.of_the_page(str(error)))
        except Exception as error:
            self.data, self.progress = None, Progress("failed", error=words.BROKEN.format(type(error).__name__))
            raise

    def _root(self) -> Path:
        """Return what is the set: the one archive or table that was sent, or the one folder with folders of classes in it, or all files.

        A single folder with nothing but images is a class of its name.
        """
        top = list(self._files.iterdir())
        if len(top) != 1:
            return self._files
        whole = top[0].is_file() and (is_archive(top[0]) or top[0].suffix.lower() in ENDINGS)
        return top[0] if whole or (top[0].is_dir() and any(path.is_dir() for path in top[0].iterdir())) else self._files

    def _tell(self, done: int, total: int) -> None:
        self.progress = Progress("reading", done, total)

    def state(self) -> dict[str, Any]:
        """Return what the page shows: progress, then the report and a gallery."""
        progress = self.progress
        shown: dict[str, Any] = {"stage": progress.stage, "done": progress.done, "total": progress.total, "error": progress.error}
        if progress.stage == "read" and self.data is not None and self.data.report is not None:
            report = self.data.report
            reasons = [{"reason": reason, "names": names[:200], "count": len(names)} for reason, names in report.reasons.items()]
            shown |= {"report": {**report.to_json(), "skipped": reasons, "renamed": report.to_json()["renamed"][:200]}}
            shown |= {"gallery": _gallery(self.data), "opened": self.lab is not None, "images": len(self.data.train)}
        return shown

    def open(self, executor: LocalExecutor, turn: threading.Lock, build: Callable[[Lab], Any]) -> Any:
        """Make the lab, delete the files that were sent, and return what `build` makes of the lab; raises InputError before a check."""
        with self._lock:
            if self.data is None or self.progress.stage != "read":
                raise InputError(words.NOT_CHECKED)
            folder = self._scratch.folder()
            data = self.data if self.name else replace(self.data, name=words.TITLE)
            self.lab = Lab(OwnEngine(data, "fast", folder / "states", executor, cache=folder), data.train, folder, turn)
            shutil.rmtree(self._files, ignore_errors=True)
        return build(self.lab)

    async def delete(self) -> dict[str, Any]:
        """End the lab and delete everything; return in words what a search of files and memory then finds, and whether it is clean."""
        if self.mounted is not None:
            await self.mounted.end()
        return await asyncio.to_thread(self._deleted)

    def end(self) -> None:
        """Delete everything at the end of the program, without a search."""
        if self.lab is not None:
            self.lab.close()
        self._scratch.close()

    def _deleted(self) -> dict[str, Any]:
        from core.audit.memory_walk import registries_of
        from core.audit.residue_scan import scan

        signatures, folder, held = self._signatures(), self._files.parent, self._held()
        self.end()
        self.lab = self.mounted = self.data = None
        kept = _still_held(held)
        if signatures is None:
            clean = not folder.exists() and not kept
            return {"text": words.DELETED_BEFORE if clean else words.RESIDUE.format(folder.name), "clean": clean}
        report = scan(signatures, [folder] if folder.exists() else [], registries_of(None, PACKAGES), PACKAGES)
        found = sorted({f"{finding.kind} in {finding.place}" for finding in report.found} | ({"images in memory"} if kept else set()))
        items = sum(searched.items for searched in report.searched)
        clean_text = words.DELETED.format(images=f"{report.samples:,}", items=f"{items:,}")
        return {"text": words.RESIDUE.format(", ".join(found)) if found else clean_text, "clean": not found}

    def _held(self) -> list[weakref.ref]:
        """Return references that show, after everything was let go, whether any object with images is still held by something."""
        held: list[Any] = [] if self.data is None else [self.data.train, self.data.test]
        if self.lab is not None and self.lab.base is not None and self.lab.base.model is not None:
            held += [self.lab.base.model, self.lab.base.model.samples]
        return [weakref.ref(value) for value in held]

    def _signatures(self) -> Any:
        """Return what to look for after the images are gone, of some of them, or None where no model was made of them."""
        from core.audit.signatures import Signatures

        model = self.lab.base.model if self.lab is not None and self.lab.base is not None else None
        if not isinstance(model, CoreModel) or not len(model.samples):
            return None
        rng, ids = np.random.default_rng(0), model.samples.ids
        return Signatures.of(model.eraser, [ids[i] for i in np.sort(rng.permutation(len(ids))[:SOUGHT])])


def _still_held(held: list[weakref.ref]) -> int:
    """Return how many objects are still held, after work that is under way has had time to stop."""
    for _ in range(ENDING):
        gc.collect()
        if not any(ref() is not None for ref in held):
            return 0
        time.sleep(0.25)
    return sum(ref() is not None for ref in held)


def _gallery(data: Dataset) -> list[dict[str, Any]]:
    """Return some pictures of each class, as data URIs."""
    classes = []
    for c, name in enumerate(data.train.classes[:GALLERY]):
        rows = np.flatnonzero(data.train.labels == c)[:SHOWN]
        classes.append({"name": name, "pictures": [_picture(data.train.images[row]) for row in rows]})
    return classes


def _picture(image: np.ndarray) -> str:
    small, out = Image.fromarray(image), io.BytesIO()
    if max(small.size) > THUMBNAIL:
        small.thumbnail((THUMBNAIL, THUMBNAIL))
    small.save(out, "WEBP", lossless=max(small.size) <= 32, quality=80)
    return f"data:image/webp;base64,{b64encode(out.getvalue()).decode()}"
