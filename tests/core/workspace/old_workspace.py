"""Turns a workspace into one of schema 1, as the version before permanent numbers and Merkle roots wrote it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save

from core.workspace.about import ABOUT
from core.workspace.ledger import Ledger
from core.workspace.receipts import ADDED, Receipt, commit_to
from core.workspace.workspace import LEDGER

SALT = bytes(range(32))
NEW = {"total", "about", "retained", "numbers", "samples_before", "retained_before", "retained_after", "subjects"}


def old_root(root: str) -> str:
    """What the root of the same model was then: any other."""
    return root[::-1]


def stand_ins(request: int, count: int) -> list[str]:
    """Ids in place of those that a finished request named, which are gone."""
    return [f"{request}-{n}" for n in range(count)]


def make_old(folder: Path, pending=None, state: str = "accepted") -> None:
    """Rewrite a closed workspace; `pending` ids are a request that was under way, in the state given."""
    for path in sorted((folder / "samples").glob("part-*")):
        _write_old_part(path)
    about = json.loads((folder / ABOUT).read_text())
    del about["id"]
    (folder / ABOUT).write_text(json.dumps({**about, "schema": 1}))
    ledger = Ledger(folder / LEDGER[0])
    events = ledger.events()
    ledger.close()
    for name in LEDGER:
        (folder / name).unlink(missing_ok=True)
    _write_old_ledger(folder / LEDGER[0], events, pending, state)


def _write_old_part(path: Path) -> None:
    with safe_open(path, "numpy") as file:
        subjects = file.metadata()["subjects"]
        tensors = {name: file.get_tensor(name) for name in ("images", "labels", "digests", "occurrences", "features")}
    meta = {"backbone": "a fingerprint", "environment": "{}", "subjects": subjects}
    path.write_bytes(save({name: np.ascontiguousarray(a) for name, a in tensors.items()}, meta))


def _old_facts(data: dict) -> dict:
    kept = {name: value for name, value in data.items() if name not in NEW}
    return {name: old_root(value) if name in ("root", "root_before") else value for name, value in kept.items()}


def _old_receipt(data: dict, before: Receipt | None) -> Receipt:
    roots = {"root_before": old_root(data["root_before"]), "root_after": old_root(data["root_after"])}
    data = {**data, **roots, **dict.fromkeys(n for names in ADDED.values() for n in names), "schema": 1}
    data["commitments"] = commit_to(SALT, stand_ins(data["request"], len(data["commitments"])))
    del data["hash"]
    return Receipt(**{name: tuple(v) if isinstance(v, list) else v for name, v in data.items()}).after(before)


def _write_old_ledger(path: Path, events, pending, state: str) -> None:
    ledger, receipt = Ledger(path), None
    for e in events:
        if e.state == "created":
            ledger.note("created", _old_facts(e.data))
        elif e.state == "accepted":
            ledger.accept(stand_ins(e.request, e.data["count"]), SALT)
        elif e.state == "committed":
            receipt = _old_receipt(e.data["receipt"], receipt)
            ledger.finish(e.request, "committed", {"receipt": receipt.to_json()})
        else:
            ledger.advance(e.request, e.state, _old_facts(e.data))
    if pending:
        request = ledger.accept(pending, SALT).request
        if state == "planned":
            root = receipt.root_after if receipt else old_root(events[0].data["root"])
            digest = "1" * 64  # of keys that are no longer made
            ledger.advance(
                request, "planned", {"root_before": root, "affected": [], "retrain": [], "untouched": 7, "untouched_digest": digest}
            )
    ledger.close()
