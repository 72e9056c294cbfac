"""Signatures of forgotten samples: short byte strings, cut from everything that is derived from them, that a residue scan looks for.

Capture them while the samples are still in the model, and search for them once they should be gone (`core.audit.residue_scan`). A
signature is long and varied enough to occur by chance only where the sample, or a copy of it, is. Byte strings that a retained sample
has at the same place are left out.

| kind | what is matched | bytes |
|---|---|---|
| id | the digest: 16 of its 64 hex digits, or 16 of its 32 bytes | 16 |
| pixels | uint8 as RGB, as one plane, planar; as the float32 that the backbone reads | up to 192; 1,024 |
| encoded image | the end of its PNG: compressed pixels and their checksum; or any image that decodes to its pixels | 32; all |
| thumbnail | the same end in base64, as in a data URI; or any data URI that decodes to its pixels | about 36; all |
| feature | float32 of the frozen feature, as it is and scaled to length 1 | 64 |
| activations | float16 of the trunk | 64 |
| coordinates | both coordinates of its point on the map, float32 or float64 | 8, 16 |
| state | float32 of the prompts and heads of the clusters that the request touches, or int64 of their sums | 64 |

Lossy re-encodings, resized copies and encrypted data are not recognized.
"""

from __future__ import annotations

import base64
import hashlib
import io
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from PIL import Image

from core.data.samples import Samples
from core.lmeraser.eraser import LMEraser
from core.lmeraser.global_head import class_sums
from core.lmeraser.records import ClusterState, ForgetPlan
from core.runtime.fixed_point import unit

VARIED = 5  # fewest different byte values in a signature
COMPARED = 64  # retained samples whose activations and float pixels are compared
ANCHOR = 8  # bytes of a signature that are looked up first
Buffer: TypeAlias = bytes | bytearray | memoryview
Points: TypeAlias = tuple[np.ndarray, np.ndarray]  # map coordinates (n, 2) of the forgotten and of the retained samples


@dataclass(frozen=True)
class Signature:
    """A byte string of one kind, and the number of the forgotten sample (or state) that it was cut from."""

    kind: str
    sample: int
    data: bytes


@dataclass(frozen=True, eq=False)
class Signatures:
    """Everything to search for after one request. It holds parts of the forgotten samples, so release it after the scan.

    `images` maps the hash of a sample's pixels to its number, for comparison with decoded images; `shape` (h, w) is their
    size. `spared` samples have an exact copy that is retained, so they are not searched for; `plain` counts, by kind, samples that are too
    plain to have a signature.
    """

    entries: tuple[Signature, ...]
    images: dict[bytes, int]
    shape: tuple[int, int]
    samples: int
    spared: int = 0
    plain: tuple[tuple[str, int], ...] = ()

    @classmethod
    def of(cls, eraser: LMEraser, ids: Sequence[str], places: np.ndarray | None = None) -> Signatures:
        """Capture the signatures of samples that are in a fitted model; the model is not changed.

        `places` (n, 2) are the map coordinates of all of the model's samples, in their order. Raises what `plan` raises.
        """
        plan, samples = eraser.plan(ids), eraser.samples_
        rows = samples.rows(plan.ids)
        retained = np.setdiff1d(np.arange(len(samples)), rows)
        points = None if places is None else (np.asarray(places)[rows], np.asarray(places)[retained])
        signatures = cls.of_samples(eraser, samples.take(rows), samples.take(retained), points)
        touched = [eraser.states_[eraser.keys_[c]] for c in plan.touched]
        untouched = [eraser.states_[key] for key in plan.untouched]
        found = _of_states(touched, untouched) if eraser.config_.has_prompts else _of_sums(eraser, plan, touched, untouched)
        return replace(signatures, entries=(*signatures.entries, *found))

    @classmethod
    def of_samples(cls, eraser: LMEraser, forgotten: Samples, retained: Samples, points: Points | None = None) -> Signatures:
        """Capture the signatures of samples from any source, for a model that holds, or will hold, only `retained`.

        The eraser's backbone computes features and activations; the model is not changed.
        """
        retained_digests, retained_pixels = set(retained.digests), {image.tobytes() for image in retained.images}
        unique = [r for r, digest in enumerate(forgotten.digests) if digest not in retained_digests]
        rows = np.array([r for r in unique if forgotten.images[r].tobytes() not in retained_pixels], np.int64)
        entries = [entry for r in unique for entry in _of_id(r, forgotten.digests[r])]
        if len(rows):
            entries += _of_content(eraser, forgotten, rows, retained)
        if points is not None and len(rows):
            entries += _of_points(rows, points[0][rows], points[1])
        images = {pixels_digest(forgotten.images[r]): int(r) for r in rows}
        plain, copies = _plain(entries, len(rows), points is not None), len(forgotten) - len(unique)
        h, w = forgotten.images.shape[1:3]
        return cls(tuple(dict.fromkeys(entries)), images, (h, w), len(forgotten), copies, plain)

    def plus(self, kind: str, data: bytes) -> Signatures:
        """Return these signatures and one more byte string, such as a request's salt."""
        return replace(self, entries=(*self.entries, Signature(kind, 0, data)))

    def kinds(self) -> dict[str, int]:
        """Return how many signatures of each kind there are."""
        return dict(Counter(entry.kind for entry in self.entries))


def pixels_digest(image: np.ndarray) -> bytes:
    """Return the SHA-256 of an image (h, w, 3) uint8 and its shape, without a label."""
    return hashlib.sha256(str(image.shape).encode() + np.ascontiguousarray(image).tobytes()).digest()


def _plain(entries: Sequence[Signature], samples: int, placed: bool) -> tuple[tuple[str, int], ...]:
    """Return, by kind, how many samples have no signature of it."""
    having = Counter(kind for kind, _ in {(entry.kind, entry.sample) for entry in entries})
    kinds = ("pixels", "feature", "coordinates") if placed else ("pixels", "feature")
    return tuple((kind, samples - having[kind]) for kind in kinds if having[kind] < samples)


def _of_id(sample: int, digest: str) -> Iterator[Signature]:
    raw = bytes.fromhex(digest)
    yield from (Signature("id", sample, digest[i : i + 16].encode()) for i in range(0, 64, 16))
    yield from (Signature("id", sample, raw[i : i + 16]) for i in (0, 16))


def _of_content(eraser: LMEraser, forgotten: Samples, rows: np.ndarray, retained: Samples) -> Iterator[Signature]:
    """Yield signatures of the pixels, encodings, features and activations of some rows of the forgotten samples."""
    images, some = forgotten.images[rows], retained.images[:COMPARED]
    inputs = eraser.prepare(images)
    beside = eraser.prepare(some) if len(some) else None
    layouts: tuple[Callable[[np.ndarray], np.ndarray], ...] = (lambda x: x, lambda x: x[..., 0], lambda x: x.transpose(0, 3, 1, 2))
    for arranged in layouts:
        yield from cut("pixels", rows, arranged(images), arranged(retained.images), 192)
    yield from cut("pixels", rows, _floats(eraser, images), _floats(eraser, some), 1024)
    yield from (entry for row, image in zip(rows, images, strict=True) for entry in _of_png(int(row), image))
    yield from cut("feature", rows, inputs.features, beside.features if beside else None, 64, most=4)
    yield from cut("feature", rows, unit(inputs.features), unit(beside.features) if beside else None, 64, most=4)
    if inputs.values.dtype != np.uint8:
        yield from cut("activations", rows, inputs.values, beside.values if beside else None, 64)


def _floats(eraser: LMEraser, images: np.ndarray) -> np.ndarray:
    """Return images as the backbone reads them, in their order in memory."""
    return eraser.backbone_.pixels(images).permute(0, 2, 3, 1).cpu().numpy()


def _of_png(sample: int, image: np.ndarray) -> Iterator[Signature]:
    """Yield the last 32 bytes before the PNG's closing chunk (12 bytes), and the part of their base64 that does not depend on the rest."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    png = buffer.getvalue()
    end = len(png) - 12
    first, last = -(-(end - 32) // 3), end // 3
    yield Signature("encoded image", sample, png[end - 32 : end])
    yield Signature("thumbnail", sample, base64.b64encode(png)[4 * first : 4 * last])


def _of_points(rows: np.ndarray, points: np.ndarray, others: np.ndarray) -> Iterator[Signature]:
    for kind in (np.float32, np.float64):
        yield from cut("coordinates", rows, points.astype(kind), others.astype(kind), 2 * np.dtype(kind).itemsize)


def _of_states(touched: Sequence[ClusterState], untouched: Sequence[ClusterState]) -> Iterator[Signature]:
    if not touched:
        return
    for name in ("prompt", "head.weight"):
        tensors = np.stack([state.tensors[name] for state in touched])
        others = np.stack([state.tensors[name] for state in untouched]) if untouched else None
        yield from cut("state", np.arange(len(touched)), tensors, others, 64, most=4)


def _of_sums(eraser: LMEraser, plan: ForgetPlan, touched: Sequence[ClusterState], untouched: Sequence[ClusterState]) -> Iterator[Signature]:
    """Yield signatures of the touched clusters' sums, one for each class, except those that are the same afterwards."""
    labels, features = eraser.samples_.labels[plan.retained], eraser.member_features()[plan.retained]
    retrained = [plan.partition.members(c) for c, key in enumerate(plan.keys) if key in set(plan.retrain)]
    after = [state.tensors for state in untouched] + [class_sums(features[rows], labels[rows]) for rows in retrained]
    old, new = (np.concatenate([t["sums"] for t in some]) if some else None for some in ([s.tensors for s in touched], after))
    if old is not None:
        yield from cut("state", np.arange(len(old)), old, new, 64, most=4)


def cut(kind: str, samples: np.ndarray, values: np.ndarray, others: np.ndarray | None, size: int, most: int = 8) -> Iterator[Signature]:
    """Yield up to `most` signatures of `size` bytes, evenly spread, of each row of `values` (n, ...), for sample numbers (n,).

    Byte strings with few different values are left out, and those that a row of `others` (m, ...) has at the same place.
    """
    mine, theirs = _rows_of_bytes(values), _rows_of_bytes(others) if others is not None and len(others) else None
    size = min(size, mine.shape[1])
    for start in np.unique(np.linspace(0, mine.shape[1] - size, most).astype(int) // 8 * 8):
        taken = set() if theirs is None else {row.tobytes() for row in theirs[:, start : start + size]}
        for sample, row in zip(samples, mine, strict=True):
            data = row[start : start + size].tobytes()
            if len(set(data)) >= VARIED and data not in taken:
                yield Signature(kind, int(sample), data)


def _rows_of_bytes(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values).reshape(len(values), -1).view(np.uint8)


class SignatureIndex:
    """Finds all signatures in a buffer in one pass: every run of 8 bytes is looked up, and each match is then compared in full."""

    def __init__(self, entries: Sequence[Signature]):
        self.entries = tuple(e for e in entries if len(e.data) >= ANCHOR)
        self._at: dict[int, list[tuple[int, int]]] = {}  # anchor -> (number of the signature, offset of the anchor in it)
        for number, entry in enumerate(self.entries):
            offset = _best_anchor(entry.data)
            self._at.setdefault(int.from_bytes(entry.data[offset : offset + ANCHOR], "little"), []).append((number, offset))
        self._anchors = np.array(sorted(self._at), np.uint64)
        self._shift = np.uint64(64 - max(16, min(24, len(self._anchors).bit_length() + 6)))
        self._table = np.zeros(1 << (64 - int(self._shift)), bool)
        self._table[self._slots(self._anchors)] = True

    def _slots(self, words: np.ndarray) -> np.ndarray:
        return (words * np.uint64(0x9E3779B97F4A7C15)) >> self._shift

    def find(self, data: Buffer) -> set[Signature]:
        """Return the signatures that occur in a buffer of bytes."""
        view, matches = memoryview(data).cast("B"), set()
        for position, word in self._candidates(view):
            for number, offset in self._at[word]:
                entry = self.entries[number]
                if entry not in matches and view[max(0, position - offset) : position - offset + len(entry.data)] == entry.data:
                    matches.add(entry)
        return matches

    def _candidates(self, view: memoryview) -> Iterator[tuple[int, int]]:
        """Yield (position, the 8 bytes there) wherever they are a signature's anchor."""
        for offset in range(min(ANCHOR, len(view) - ANCHOR + 1)) if len(self._anchors) else ():
            words = np.frombuffer(view, "<u8", (len(view) - offset) // ANCHOR, offset)
            for start in range(0, len(words), 1 << 17):
                block = words[start : start + (1 << 17)]
                likely = np.flatnonzero(self._table[self._slots(block)])
                for at in likely[np.isin(block[likely], self._anchors)]:
                    yield offset + ANCHOR * (start + int(at)), int(block[at])


def _best_anchor(data: bytes) -> int:
    """Return where the 8 bytes with the most different values begin."""
    return max(range(len(data) - ANCHOR + 1), key=lambda i: len(set(data[i : i + ANCHOR])))
