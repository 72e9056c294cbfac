"""What a search for forgotten samples looks for: short byte strings taken from everything that is derived from them.

Needles are captured while the samples are still in the model, and searched for when they should be gone (`core.residue`). A needle is
a *piece*: a run of bytes long and varied enough to occur by chance only where the sample, or a copy of it, is. Pieces that a sample
which stays has at the same place are left out. Knows no files and no registries.

| kind | what is matched | bytes |
|---|---|---|
| id | the digest: 16 of its 64 hex digits, or 16 of its 32 bytes | 16 |
| pixels | uint8 as RGB, as one plane, planar; as the float32 that the backbone reads | up to 192; 1,024 |
| encoded image | the end of its PNG: compressed pixels and their checksum; or any image that decodes to its pixels | 32; all |
| thumbnail | the same end in base64, as in a data URI; or any data URI that decodes to its pixels | about 36; all |
| feature | float32 of the frozen feature, as it is and scaled to length 1 | 64 |
| activations | float16 of the trunk | 64 |
| coordinates | both coordinates of its point on the map, float32 or float64 | 8, 16 |
| state | float32 of the prompts and heads of the clusters that the request touches | 64 |

Lossy re-encodings, resized copies, and anything encrypted are not recognized.
"""

from __future__ import annotations

import base64
import hashlib
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from core.eraser import LMEraser
from core.ranking import unit
from core.types import Samples

VARIED = 5  # different byte values that a piece has at least
COMPARED = 64  # samples that stay, whose activations and float pixels pieces are compared with
ANCHOR = 8  # bytes of a piece that are looked up first


@dataclass(frozen=True)
class Piece:
    """A run of bytes of one kind, and which of the forgotten samples (or states) it is of."""

    kind: str
    sample: int
    data: bytes


@dataclass(frozen=True, eq=False)
class Needles:
    """Everything to look for after one request. Holds what is to be forgotten, so let go of it after the scan.

    `images` maps the hash of a sample's pixels to its number, for images that are decoded; `shape` (h, w) is theirs. `spared` samples have
    an exact copy that stays, which is then all that could be found; `plain` counts samples that offer no piece of a kind.
    """

    pieces: tuple[Piece, ...]
    images: dict[bytes, int]
    shape: tuple[int, int]
    samples: int
    spared: int = 0
    plain: tuple[tuple[str, int], ...] = ()

    @classmethod
    def of(cls, eraser: LMEraser, ids, places: np.ndarray | None = None) -> Needles:
        """Capture needles of samples that are in a fitted model; nothing is changed.

        `places` (n, 2) are the map coordinates of all of the model's samples, in their order. Raises what `plan` raises.
        """
        plan, samples = eraser.plan(ids), eraser.samples_
        rows = samples.rows(plan.ids)
        kept = np.setdiff1d(np.arange(len(samples)), rows)
        points = None if places is None else (np.asarray(places)[rows], np.asarray(places)[kept])
        needles = cls.of_samples(eraser, samples.take(rows), samples.take(kept), points)
        states = [eraser.states_[eraser.keys_[c]] for c in plan.touched]
        others = [eraser.states_[key] for key in plan.untouched]
        return replace(needles, pieces=(*needles.pieces, *_of_states(states, others)))

    @classmethod
    def of_samples(cls, eraser: LMEraser, gone: Samples, staying: Samples, points: tuple[np.ndarray, np.ndarray] | None = None) -> Needles:
        """Capture needles of samples wherever they come from, for a model that holds, or is to hold, `staying` only.

        `points`: map coordinates of both, (n, 2) each. The eraser's backbone derives what is derived; the model is left as it is.
        """
        shown = {i.tobytes() for i in staying.images}
        unique = [r for r, d in enumerate(gone.digests) if d not in set(staying.digests)]
        content = np.array([r for r in unique if gone.images[r].tobytes() not in shown], np.int64)
        pieces = [p for r in unique for p in _of_id(r, gone.digests[r])]
        if len(content):
            pieces += _of_content(eraser, gone, content, staying)
        if points is not None and len(content):
            pieces += _of_points(content, points[0][content], points[1])
        images = {pixels_digest(gone.images[r]): int(r) for r in content}
        plain = _plain(pieces, len(content), points is not None)
        return cls(tuple(dict.fromkeys(pieces)), images, gone.images.shape[1:3], len(gone), len(gone) - len(unique), plain)

    def plus(self, kind: str, data: bytes) -> Needles:
        """Return these needles and one byte string more, such as a request's salt."""
        return replace(self, pieces=(*self.pieces, Piece(kind, 0, data)))

    def kinds(self) -> dict[str, int]:
        """Return how many pieces of each kind there are."""
        return dict(Counter(p.kind for p in self.pieces))


def pixels_digest(image: np.ndarray) -> bytes:
    """Return the SHA-256 of an image (h, w, 3) uint8 and its shape, without a label."""
    return hashlib.sha256(str(image.shape).encode() + np.ascontiguousarray(image).tobytes()).digest()


def _plain(pieces: Sequence[Piece], samples: int, placed: bool) -> tuple[tuple[str, int], ...]:
    """Return the kinds that some samples offer no piece of, and how many such samples there are."""
    having = Counter(kind for kind, _ in {(p.kind, p.sample) for p in pieces})
    kinds = ("pixels", "feature", "coordinates") if placed else ("pixels", "feature")
    return tuple((kind, samples - having[kind]) for kind in kinds if having[kind] < samples)


def _of_id(sample: int, digest: str) -> Iterator[Piece]:
    raw = bytes.fromhex(digest)
    yield from (Piece("id", sample, digest[i : i + 16].encode()) for i in range(0, 64, 16))
    yield from (Piece("id", sample, raw[i : i + 16]) for i in (0, 16))


def _of_content(eraser: LMEraser, gone: Samples, rows: np.ndarray, staying: Samples) -> Iterator[Piece]:
    """Yield pieces of pixels, encodings, features and activations of some rows of the forgotten samples."""
    images, some = gone.images[rows], staying.images[:COMPARED]
    inputs = eraser.prepare(images)
    beside = eraser.prepare(some) if len(some) else None
    for planes in (lambda x: x, lambda x: x[..., 0], lambda x: x.transpose(0, 3, 1, 2)):
        yield from cut("pixels", rows, planes(images), planes(staying.images), 192)
    yield from cut("pixels", rows, _floats(eraser, images), _floats(eraser, some), 1024)
    yield from (piece for row, image in zip(rows, images, strict=True) for piece in _of_png(int(row), image))
    for scaled in (lambda x: x, unit):
        yield from cut("feature", rows, scaled(inputs.features), beside and scaled(beside.features), 64, most=4)
    if inputs.values.dtype != np.uint8:
        yield from cut("activations", rows, inputs.values, beside and beside.values, 64)


def _floats(eraser: LMEraser, images: np.ndarray) -> np.ndarray:
    """Return images as the backbone reads them, in the order in which they lie in memory."""
    return eraser.backbone_.pixels(images).permute(0, 2, 3, 1).cpu().numpy()


def _of_png(sample: int, image: np.ndarray) -> Iterator[Piece]:
    """Yield the last 32 bytes before the PNG's closing chunk (12 bytes), and what base64 of them is sure to hold."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    png = buffer.getvalue()
    end = len(png) - 12
    first, last = -(-(end - 32) // 3), end // 3
    yield Piece("encoded image", sample, png[end - 32 : end])
    yield Piece("thumbnail", sample, base64.b64encode(png)[4 * first : 4 * last])


def _of_points(rows: np.ndarray, points: np.ndarray, others: np.ndarray) -> Iterator[Piece]:
    for kind in (np.float32, np.float64):
        yield from cut("coordinates", rows, points.astype(kind), others.astype(kind), 2 * np.dtype(kind).itemsize)


def _of_states(states, others) -> Iterator[Piece]:
    rows = np.arange(len(states))
    for name in ("prompt", "head.weight"):
        tensors, beside = (np.stack([s.tensors[name] for s in some]) if some else None for some in (states, others))
        if tensors is not None:
            yield from cut("state", rows, tensors, beside, 64, most=4)


def cut(kind: str, samples: Sequence[int], values: np.ndarray, others: np.ndarray | None, size: int, most: int = 8) -> Iterator[Piece]:
    """Yield up to `most` pieces of `size` bytes, evenly spread, of each row of `values` (n, ...).

    Left out are pieces with few different bytes, and those that a row of `others` (m, ...) has at the same place.
    """
    mine, theirs = _rows_of_bytes(values), _rows_of_bytes(others) if others is not None and len(others) else None
    size = min(size, mine.shape[1])
    for start in np.unique(np.linspace(0, mine.shape[1] - size, most).astype(int) // 8 * 8):
        taken = set() if theirs is None else {row.tobytes() for row in theirs[:, start : start + size]}
        for sample, row in zip(samples, mine, strict=True):
            data = row[start : start + size].tobytes()
            if len(set(data)) >= VARIED and data not in taken:
                yield Piece(kind, int(sample), data)


def _rows_of_bytes(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values).reshape(len(values), -1).view(np.uint8)


class Index:
    """Finds all pieces in a buffer in one pass: every 8 bytes of it are looked up, and what is found there is compared whole."""

    def __init__(self, pieces: Sequence[Piece]):
        self.pieces = tuple(p for p in pieces if len(p.data) >= ANCHOR)
        self._at: dict[int, list[tuple[int, int]]] = {}  # anchor -> (number of the piece, where in it the anchor lies)
        for number, piece in enumerate(self.pieces):
            where = _best_anchor(piece.data)
            self._at.setdefault(int.from_bytes(piece.data[where : where + ANCHOR], "little"), []).append((number, where))
        self._anchors = np.array(sorted(self._at), np.uint64)
        self._shift = np.uint64(64 - max(16, min(24, len(self._anchors).bit_length() + 6)))
        self._table = np.zeros(1 << (64 - int(self._shift)), bool)
        self._table[self._slots(self._anchors)] = True

    def _slots(self, words: np.ndarray) -> np.ndarray:
        return (words * np.uint64(0x9E3779B97F4A7C15)) >> self._shift

    def find(self, data) -> set[Piece]:
        """Return the pieces that occur in a buffer of bytes."""
        view, found = memoryview(data).cast("B"), set()
        for position, word in self._candidates(view):
            for number, where in self._at[word]:
                piece = self.pieces[number]
                if piece not in found and view[max(0, position - where) : position - where + len(piece.data)] == piece.data:
                    found.add(piece)
        return found

    def _candidates(self, view: memoryview) -> Iterator[tuple[int, int]]:
        """Yield (position, the 8 bytes there) wherever they are some piece's anchor."""
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
