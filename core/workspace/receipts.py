"""Receipts: what a finished request did, in JSON that anyone may keep, chained by hashes.

A receipt holds no id and no pixel, only commitments: HMAC-SHA256 of each id under the request's random salt. The salt is deleted with
the commit, and from then on the commitments reveal nothing. A requester who wants to prove later that an id was among them passes a salt
(`forget(ids, salt=...)`), keeps it, and calls `opens`. Subjects of whom no sample remains are committed to in the same way
(`opens_subject`).

The chain shows that any receipt in it was altered. It has no secret: whoever can rewrite the whole chain can make another valid one, so
keep your own receipt, or the newest one's hash, elsewhere. Cluster keys are hashes over their members' digests: someone who holds *all*
other members of a cluster could check a guess against its key, and someone who holds all other ids a guess against a Merkle root.

Schema 2 states the Merkle roots over the samples' ids before and after the request, derived from the request before any work, so that
`check_request` can tell from two lists of ids that exactly the requested samples went. Receipts of schema 1 lack them and stay valid.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Annotated, Any

from pydantic import Field, StrictBool, StrictStr, TypeAdapter, ValidationError

from core.errors import DataError
from core.workspace.merkle import check_removal

SCHEMA = 4
ADDED = {2: ("samples_before", "retained_before", "retained_after", "repaired"), 3: ("learned",), 4: ("subjects",)}  # by schema
SEED_RULE = "each cluster's generator is seeded by the first 60 bits of its key"
REMEDY = "Give the text as it was handed out."

# What the fields of a receipt from outside may hold. Integers and floats stay what they were, since the hash is made over their text.
Count = Annotated[int, Field(strict=True, ge=0)]
Hash = Annotated[str, Field(strict=True, pattern="^[0-9a-f]{64}$")]
Duration = Annotated[int, Field(strict=True, gt=-1e12, lt=1e12)] | Annotated[float, Field(strict=True, gt=-1e12, lt=1e12)]


@dataclass(frozen=True)
class Receipt:
    """One finished request. `untouched` clusters are many, so they are named by number and digest (see `keys_digest`).

    `seconds` are wall time (setup, plan, train, total). A request that a crash interrupted has no one wall time: there `train` adds up
    what training each retrained cluster took, in whichever run and process, and setup and plan are those of the run that completed it.
    """

    request: Count
    accepted: StrictStr  # UTC, ISO 8601
    committed: StrictStr
    commitments: tuple[Hash, ...]  # sorted, one for each id
    root_before: Hash
    root_after: Hash
    affected: tuple[Hash, ...]  # keys of the clusters that were replaced
    retrained: tuple[Hash, ...]  # keys of the clusters that replaced them
    untouched: Count
    untouched_digest: Hash
    samples: Count  # in the model afterwards
    sample_passes: Count
    seconds: dict[StrictStr, Duration]
    resumed: StrictBool  # completed after a restart
    versions: dict[StrictStr, StrictStr]
    hardware: dict[StrictStr, StrictStr]
    backbone: Hash  # fingerprint of the frozen weights
    samples_before: Count | None  # these four: None in schema 1
    retained_before: Hash | None  # Merkle roots over the ids (`core.workspace.merkle`), derived before any work
    retained_after: Hash | None
    repaired: StrictBool | None  # the workspace was repaired after the previous receipt and may have lost samples: see its ledger
    learned: Count | None = None  # samples that the model learned since the previous receipt; None before schema 3
    subjects: tuple[Hash, ...] | None = None  # sorted, one for each subject of whom no sample remains; None before schema 4
    seed: StrictStr = SEED_RULE
    previous: Hash | None = None  # hash of the receipt before
    schema: Count = SCHEMA

    @property
    def hash(self) -> str:
        """SHA-256 over every field of the receipt's schema."""
        return hashlib.sha256(canonical(self._content()).encode()).hexdigest()

    def to_json(self) -> dict:
        """Return a JSON object; `from_json` reads it back."""
        return {**json.loads(canonical(self._content())), "hash": self.hash}

    def _content(self) -> dict:
        return {name: value for name, value in asdict(self).items() if name in _names(self.schema)}

    def after(self, previous: Receipt | None) -> Receipt:
        """Return this receipt linked to the one before."""
        return replace(self, previous=previous.hash if previous else None)

    @classmethod
    def from_json(cls, value: str | bytes | dict[str, Any]) -> Receipt:
        """Read a receipt and check its fields and its own hash; raises DataError."""
        content = _parsed(value)
        stated, names = content.pop("hash", None), _names(_schema(content))
        for name in sorted(content.keys() ^ names):
            verb = "A receipt of this schema has no" if name in content else "The receipt lacks the"
            raise DataError(f"{verb} field {name[:40]!r}. {REMEDY}")
        added = [name for later in ADDED.values() for name in later]
        for name in (name for name in added if name in names and content[name] is None):
            raise DataError(f"The receipt's {name} is 'None', which schema {content['schema']} does not allow. {REMEDY}")
        try:
            receipt = _RECEIPT.validate_python({**dict.fromkeys(added), **content})
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            reason = first["msg"].replace("Input", "it", 1)
            raise DataError(f"The receipt's {first['loc'][0]} is {str(first['input'])[:60]!r}: {reason}. {REMEDY}") from error
        if stated != receipt.hash:
            raise DataError(f"Receipt {receipt.request} says hash {str(stated)[:64]}, but its content has {receipt.hash}: it was altered.")
        return receipt


_RECEIPT = TypeAdapter(Receipt)


def _names(schema: int) -> set[str]:
    """Return the fields that a receipt of a schema has."""
    later = {name for since, names in ADDED.items() if since > schema for name in names}
    return {f.name for f in fields(Receipt)} - later


def _schema(value: dict[str, Any]) -> int:
    """Return the schema of a receipt's text; raises DataError for one that this version cannot read."""
    schema = value.get("schema")
    if type(schema) is not int or not 1 <= schema <= SCHEMA:
        raise DataError(
            f"The receipt has schema {str(schema)[:60]}, but this version reads 1 to {SCHEMA}. Read it with the version that wrote it."
        )
    return schema


def canonical(value: Any) -> str:
    """Return the one JSON text of a value that hashes are made over."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def commit_to(salt: bytes, ids: Iterable[str]) -> tuple[str, ...]:
    """Return the ids' commitments, sorted, so that their order says nothing."""
    return tuple(sorted(hmac.new(salt, i.encode(), hashlib.sha256).hexdigest() for i in ids))


def commit_to_subjects(salt: bytes, subjects: Iterable[str]) -> tuple[str, ...]:
    """Return the subjects' commitments, sorted; none is also that of an id."""
    return commit_to(salt, (f"subject {name}" for name in subjects))


def opens(receipt: Receipt, salt: bytes, sample_id: str) -> bool:
    """Return whether the receipt commits to the id under this salt."""
    return commit_to(salt, [sample_id])[0] in receipt.commitments


def opens_subject(receipt: Receipt, salt: bytes, subject: str) -> bool:
    """Return whether the receipt commits, under this salt, to a subject of whom no sample remained; a receipt before schema 4 does not."""
    return commit_to_subjects(salt, [subject])[0] in (receipt.subjects or ())


def keys_digest(keys: Iterable[str]) -> str:
    """Return the SHA-256 over a set of cluster keys, in sorted order."""
    return hashlib.sha256("\n".join(sorted(keys)).encode()).hexdigest()


def check_request(receipt: Receipt, before: Iterable[str], requested: Iterable[str], salt: bytes | None = None) -> tuple[str, ...]:
    """Return what contradicts that a receipt's request took exactly the requested ids from those before it; needs no image.

    With the requester's `salt` the receipt's commitments are checked, too. A receipt of schema 1 states too little for it.
    """
    before, requested = tuple(before), tuple(requested)
    if receipt.retained_before is None or receipt.retained_after is None:
        return (f"receipt {receipt.request} has schema {receipt.schema}, which does not state which samples there were",)
    problems = list(check_removal(before, requested, receipt.retained_before, receipt.retained_after))
    if len(receipt.commitments) != len(requested):
        problems.append(f"receipt {receipt.request} is for {len(receipt.commitments)} ids, not for {len(requested)}")
    if salt is not None and receipt.commitments != commit_to(salt, requested):
        problems.append(f"receipt {receipt.request} does not commit to these ids under this salt")
    return tuple(problems)


def check_chain(receipts: Sequence[Receipt]) -> tuple[str, ...]:
    """Return what is wrong with a chain, oldest receipt first; nothing when it holds from the first request on."""
    problems: list[str] = []
    before = None
    for receipt in receipts:
        problems += _broken_link(before, receipt)
        before = receipt
    return tuple(problems)


def _broken_link(before: Receipt | None, receipt: Receipt) -> Iterator[str]:
    expected = before.hash if before else None
    if receipt.previous != expected:
        yield f"receipt {receipt.request} follows {_short(receipt.previous)}, but the one before it has {_short(expected)}"
    if before and receipt.request <= before.request:
        yield f"receipt {receipt.request} comes after receipt {before.request}"
    left = before.retained_after if before and not receipt.repaired and not receipt.learned else None
    if left and receipt.retained_before and receipt.retained_before != left:
        yield f"receipt {receipt.request} starts from samples {_short(receipt.retained_before)}, but {_short(left)} were left before it"
    if before and receipt.learned and receipt.samples_before != before.samples + receipt.learned:
        yield (
            f"receipt {receipt.request} says that {receipt.learned} samples were learned since {before.samples} were left, "
            f"but starts from {receipt.samples_before}"
        )
    if receipt.samples_before is not None and receipt.samples_before - len(receipt.commitments) != receipt.samples:
        yield (
            f"receipt {receipt.request} says that of {receipt.samples_before} samples {receipt.samples} were left "
            f"when {len(receipt.commitments)} went"
        )


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


def _parsed(value: Any) -> dict[str, Any]:
    if isinstance(value, (str, bytes)):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise DataError(f"The receipt is not JSON ({str(error)[:80]}). {REMEDY}") from error
    if not isinstance(value, dict):
        raise DataError(f"A receipt is a JSON object, not {type(value).__name__}. {REMEDY}")
    return dict(value)
