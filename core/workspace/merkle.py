"""Merkle roots over sets of sample ids: one hash that says exactly which samples a model holds, without their images.

The tree is that of RFC 6962: leaves are SHA-256(0x00 || id), inner nodes SHA-256(0x01 || left || right), over the sorted set, so
order and repetition do not matter and no inner node can pass for an id.

A receipt states the root before and after its request. Whoever holds the list of ids before and the requested ids can check with
`check_removal` that exactly these went; one path from `inclusion_path` shows that a single sample stayed. The root has no secret:
someone who holds *all* other ids can check a guess at a missing one against it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence

from core.errors import UnknownSampleError

_HEX = re.compile(r"[0-9a-f]{64}")
Path = tuple[tuple[str, str], ...]  # from the leaf up: ("left" or "right", the sibling's hash on that side)


def merkle_root(ids: Iterable[str]) -> str:
    """Return the hex SHA-256 root over the set of ids; an empty set has the hash of nothing."""
    return _top(_leaves(sorted(set(ids))))


def roots_around(ids: Iterable[str], requested: Iterable[str]) -> tuple[str, str]:
    """Return the roots over the ids and over those that remain without the requested ones; each id is hashed once for both."""
    ordered, forgotten = sorted(set(ids)), set(requested)
    leaves = _leaves(ordered)
    return _top(leaves), _top([leaf for i, leaf in zip(ordered, leaves, strict=True) if i not in forgotten])


def inclusion_path(ids: Iterable[str], sample_id: str) -> Path:
    """Return the hashes that lead from one id to the root over all ids; raises UnknownSampleError when the id is not among them."""
    ordered = sorted(set(ids))
    if sample_id not in ordered:
        raise UnknownSampleError(f"{sample_id[:16]}... is not among the {len(ordered)} ids. Give an id of the list that the root is over.")
    at, level, path = ordered.index(sample_id), _leaves(ordered), []
    while len(level) > 1:
        sibling = at ^ 1
        if sibling < len(level):  # the last node of an odd level has none and moves up unchanged
            path.append(("left" if sibling < at else "right", level[sibling].hex()))
        at, level = at // 2, _above(level)
    return tuple(path)


def check_inclusion(root: str, sample_id: str, path: Sequence[Sequence[str]]) -> bool:
    """Return whether the path leads from the id to the root; a malformed path leads nowhere."""
    node = _leaves([sample_id])[0]
    for step in path:
        if len(step) != 2 or step[0] not in ("left", "right") or not _HEX.fullmatch(step[1]):
            return False
        sibling = bytes.fromhex(step[1])
        node = _above([sibling, node] if step[0] == "left" else [node, sibling])[0]
    return node.hex() == root


def without(ids: Iterable[str], requested: Iterable[str]) -> frozenset[str]:
    """Return the ids that remain; raises UnknownSampleError for a requested id that is not among them."""
    before, forgotten = frozenset(ids), frozenset(requested)
    unknown = forgotten - before
    if unknown:
        raise UnknownSampleError(f"{min(unknown)[:16]}... is not among the {len(before)} ids before. Give the whole list.")
    return before - forgotten


def check_removal(before: Iterable[str], requested: Iterable[str], retained_before: str, retained_after: str) -> tuple[str, ...]:
    """Return what contradicts that the requested ids, and no others, went between two roots; nothing when it holds."""
    before, requested = tuple(before), tuple(requested)
    try:
        without(before, requested)
    except UnknownSampleError as error:
        return (str(error),)
    start, end = roots_around(before, requested)
    problems = []
    if start != retained_before:
        problems.append(f"the {len(before)} ids have Merkle root {start[:12]}, but {retained_before[:12]} is stated before")
    if end != retained_after:
        problems.append(f"without the requested ids the Merkle root is {end[:12]}, but {retained_after[:12]} is stated after")
    return tuple(problems)


def _leaves(ordered: Sequence[str]) -> list[bytes]:
    sha256 = hashlib.sha256
    return [sha256(b"\x00" + i.encode()).digest() for i in ordered]


def _top(level: list[bytes]) -> str:
    if not level:
        return hashlib.sha256().hexdigest()
    while len(level) > 1:
        level = _above(level)
    return level[0].hex()


def _above(level: list[bytes]) -> list[bytes]:
    """Return the level above; pairing from the left gives the same tree as RFC 6962's split at the largest power of two."""
    sha256 = hashlib.sha256  # a Python function for each node would take as long as the hashes
    pairs = [sha256(b"\x01" + left + right).digest() for left, right in zip(level[::2], level[1::2], strict=False)]
    return pairs + level[len(level) - len(level) % 2 :]
