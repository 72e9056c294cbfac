"""File, class and split names as people's machines write them: any script and Unicode form, any archive program, any spelling."""

from __future__ import annotations

import re
import unicodedata

from core.data.images import InputLimits, shown, within
from core.errors import DataError, UnusableImage

SPLITS = {
    "train": ("train", "training", "trn", "tr"),
    "test": ("test", "testing", "tst", "ts", "eval", "evaluation", "holdout"),
    "validation": ("validation", "valid", "val", "dev", "development"),
}
_SPLIT_OF = {word: split for split, words in SPLITS.items() for word in words}
SYSTEM_FOLDERS = ("__macosx", "@eadir", "#recycle", "$recycle.bin", "system volume information", "lost+found", "__pycache__")
SYSTEM_FILES = ("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r")
UNLABELED = ("", "-1", "nan", "null", "none", "n/a", "na")  # what stands for "no label" in tables


def split_of(word: str) -> str | None:
    """Return train, test or validation for a folder or file stem that names a split in any usual spelling, else None."""
    return _SPLIT_OF.get(word.casefold().strip())


def split_in(stem: str) -> str | None:
    """Return the split that a data file's stem begins with, as in `train-00000-of-00002`."""
    return split_of(re.split(r"[-_. ]", stem, maxsplit=1)[0])


def plain_path(name: str, limits: InputLimits, on_disk: bool = False) -> str:
    """Return a relative path in one form: slashes, no `./`, NFC.

    Raises DataError for a path that climbs, is absolute or names a drive, and UnusableImage for other paths that cannot be used.
    A path that was found on disk names no drive: its colons are characters like others.
    """
    parts = [part for part in name.replace("\\", "/").split("/") if part != "."]
    absolute = name.startswith(("/", "\\")) or (re.match("[A-Za-z]:", name) and not on_disk)
    if absolute or ".." in parts:
        raise DataError(f"{shown(name)} leads out of the folder it lies in. Use plain relative paths, without '..' and drive letters.")
    path = unicodedata.normalize("NFC", "/".join(part for part in parts if part))
    if len(path) > limits.path_chars or not path:
        raise UnusableImage(f"{shown(name)} has {len(path):,} characters; use 1 to {limits.path_chars:,}.", "a path without usable length")
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in path):
        raise UnusableImage(f"{shown(name)} holds control characters; use others.", "control characters in the name")
    return path


def hidden(path: str) -> bool:
    """Return whether a path is one of what systems, not people, leave behind."""
    parts = [part.casefold() for part in path.split("/")]
    return any(part.startswith(".") or part in SYSTEM_FOLDERS for part in parts) or parts[-1] in SYSTEM_FILES


def checked_name(value: object, what: str, limits: InputLimits) -> str:
    """Return a class or subject name from outside in NFC, without invisible characters; raises DataError for an empty or long one."""
    text = unicodedata.normalize("NFC", str(value)).strip()
    within(f"characters in a {what} name", len(text), limits.name_chars, "use a shorter one")
    text = "".join(c for c in text if unicodedata.category(c)[0] != "C" or c in "\u200c\u200d").strip()
    if not text:
        raise DataError(f"A {what} name is {shown(value)}; use at least 1 visible character.")
    return text


def natural(text: str) -> tuple:
    """Return a sort key by which 2 comes before 10, and 02 beside 2."""
    parts = re.split(r"([0-9]+)", text)
    return tuple((int(p), "") if i % 2 else (-1, p.casefold()) for i, p in enumerate(parts)), text


def archived_name(raw: str, utf8: bool, extra: bytes) -> str:
    """Return a zip member's name as its maker meant it.

    Without the UTF-8 flag, `raw` is code page 437; then Info-ZIP's Unicode field counts, or UTF-8 where the bytes are valid in it.
    """
    if utf8 or raw.isascii():
        return raw
    at = 0
    while at + 4 <= len(extra):
        kind, size = int.from_bytes(extra[at : at + 2], "little"), int.from_bytes(extra[at + 2 : at + 4], "little")
        if kind == 0x7075 and size > 5:
            return extra[at + 9 : at + 4 + size].decode("utf-8", "replace")
        at += 4 + size
    try:
        return raw.encode("cp437").decode("utf-8")
    except UnicodeError:
        return raw
