"""Receipts: what a finished request did, in JSON that anyone may keep, chained by hashes.

Knows no workspace and no model. A receipt never holds ids or pixels, only commitments: HMAC-SHA256 of each id under the request's
random salt. The salt is deleted with the commit, so that the commitments then say nothing to anyone; a requester who wants to
prove later that an id was among them brings the salt along (`forget(ids, salt=...)`), keeps it, and calls `opens`.

The chain shows alteration of any receipt in it. It has no secret: whoever can rewrite all of it can make another that fits, so keep
your own receipt, or the newest one's hash, elsewhere. Cluster keys are hashes over their members' digests: someone who holds *all*
other members of a cluster could check a guess against its key.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace

from core.errors import DataError

SCHEMA = 1
SEED_RULE = "each cluster's generator is seeded by the first 60 bits of its key"
_HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Receipt:
    """One finished request. `untouched` clusters are many, so they are named by number and digest (see `keys_digest`)."""

    request: int
    accepted: str  # UTC, ISO 8601
    committed: str
    commitments: tuple[str, ...]  # sorted, one an id
    root_before: str
    root_after: str
    affected: tuple[str, ...]  # keys of clusters that went
    retrained: tuple[str, ...]  # keys of clusters that came in their place
    untouched: int
    untouched_digest: str
    samples: int  # in the model afterwards
    sample_passes: int
    seconds: dict[str, float]  # setup, plan, train, total; of the last run where a crash came between
    resumed: bool  # completed after a restart
    versions: dict[str, str]
    hardware: dict[str, str]
    backbone: str  # fingerprint of the frozen weights
    seed: str = SEED_RULE
    previous: str | None = None  # hash of the receipt before
    schema: int = SCHEMA

    @property
    def hash(self) -> str:
        """SHA-256 over every field."""
        return hashlib.sha256(canonical(asdict(self)).encode()).hexdigest()

    def to_json(self) -> dict:
        """Return a JSON object; `from_json` reads it back."""
        return {**json.loads(canonical(asdict(self))), "hash": self.hash}

    def after(self, previous: Receipt | None) -> Receipt:
        """Return this receipt linked to the one before."""
        return replace(self, previous=previous.hash if previous else None)

    @classmethod
    def from_json(cls, value: str | bytes | dict) -> Receipt:
        """Read a receipt, checking types and its own hash; raises DataError."""
        value = _parsed(value)
        stated = value.pop("hash", None)
        receipt = cls(**{f.name: _checked(f.name, str(f.type), value) for f in fields(cls)})
        extra = set(value) - {f.name for f in fields(cls)}
        if extra:
            raise DataError(f"A receipt has no field {min(extra)[:40]!r}. Give the text as it was handed out.")
        if receipt.schema != SCHEMA:
            raise DataError(
                f"The receipt has schema {receipt.schema}, but this version reads {SCHEMA}. Read it with the version that wrote it."
            )
        if stated != receipt.hash:
            raise DataError(f"Receipt {receipt.request} says hash {str(stated)[:64]}, but its content has {receipt.hash}: it was altered.")
        return receipt


def canonical(value) -> str:
    """Return the one JSON text of a value that hashes are made over."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def commit_to(salt: bytes, ids: Iterable[str]) -> tuple[str, ...]:
    """Return the ids' commitments, sorted, so that their order says nothing."""
    return tuple(sorted(hmac.new(salt, i.encode(), hashlib.sha256).hexdigest() for i in ids))


def opens(receipt: Receipt, salt: bytes, sample_id: str) -> bool:
    """Return whether the receipt commits to the id under this salt."""
    return commit_to(salt, [sample_id])[0] in receipt.commitments


def keys_digest(keys: Iterable[str]) -> str:
    """Return the SHA-256 over a set of cluster keys, in sorted order."""
    return hashlib.sha256("\n".join(sorted(keys)).encode()).hexdigest()


def check_chain(receipts: Sequence[Receipt]) -> tuple[str, ...]:
    """Return what is wrong with a chain, oldest receipt first; nothing when it holds from the first request on."""
    problems, before = [], None
    for receipt in receipts:
        expected = before.hash if before else None
        if receipt.previous != expected:
            problems.append(f"receipt {receipt.request} follows {_short(receipt.previous)}, but the one before it has {_short(expected)}")
        if before and receipt.request <= before.request:
            problems.append(f"receipt {receipt.request} comes after receipt {before.request}")
        before = receipt
    return tuple(problems)


MOST_BYTES = 8 << 20  # of a file of receipts: a receipt for 50,000 samples has 3.4 MB


@dataclass(frozen=True)
class ReceiptFile:
    """A file of receipts: those that could be read, and everything that is wrong with them."""

    receipts: tuple[Receipt, ...]
    problems: tuple[str, ...]


def read_receipts(content: str | bytes) -> ReceiptFile:
    """Read one receipt, or a list that must be a chain from its first request on; raises DataError for what is neither.

    Receipts that were altered, and places where the chain breaks, are named among the problems.
    """
    if len(content) > MOST_BYTES:
        raise DataError(f"The file has {len(content):,} bytes; receipts have at most {MOST_BYTES:,}. Give a file as it was handed out.")
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)[:80]
        raise DataError(f"The file is not JSON ({reason}). Give a file as it was handed out.") from error
    if not isinstance(found, (list, dict)) or not found:
        raise DataError("The file holds no receipt. Give one receipt, or the list of all, as it was handed out.")
    entries = found if isinstance(found, list) else [found]
    receipts, problems = [], []
    for number, entry in enumerate(entries, 1):
        try:
            receipts.append(Receipt.from_json(entry))
        except DataError as error:
            problems.append(str(error) if len(entries) == 1 else f"Entry {number}: {error}")
    chained = () if isinstance(found, dict) else check_chain(receipts)
    return ReceiptFile(tuple(receipts), (*problems, *chained))


def _short(text: str | None) -> str:
    return text[:12] if text else "none"


def _parsed(value) -> dict:
    if isinstance(value, (str, bytes)):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise DataError(f"The receipt is not JSON ({str(error)[:80]}). Give the text as it was handed out.") from error
    if not isinstance(value, dict):
        raise DataError(f"A receipt is a JSON object, not {type(value).__name__}. Give the text as it was handed out.")
    return dict(value)


def _checked(name: str, kind: str, value: dict):
    """Return one field in its Python type; raises DataError naming the field."""
    found = value.get(name)
    hashes = ("root_before", "root_after", "untouched_digest", "backbone")
    fits = {
        "int": lambda: type(found) is int and found >= 0,
        "bool": lambda: type(found) is bool,
        "str": lambda: isinstance(found, str) and (name not in hashes or _HEX.fullmatch(found)),
        "str | None": lambda: found is None or (isinstance(found, str) and _HEX.fullmatch(found)),
        "tuple[str, ...]": lambda: isinstance(found, list) and all(isinstance(k, str) and _HEX.fullmatch(k) for k in found),
        "dict[str, float]": lambda: isinstance(found, dict) and all(type(v) in (int, float) and abs(v) < 1e12 for v in found.values()),
        "dict[str, str]": lambda: isinstance(found, dict) and all(isinstance(v, str) for v in found.values()),
    }[kind]()
    if name not in value or not fits:
        raise DataError(f"The receipt's {name} is {str(found)[:60]!r}, not a fitting {kind}. Give the text as it was handed out.")
    return tuple(found) if isinstance(found, list) else found
