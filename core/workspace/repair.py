"""Repairs a workspace that is of an older version, or differs from what its ledger recorded, from the samples and states in it.

Every sample is checked against its own id. A sample is dropped, and reported by its number, if its pixels or label do not match its id
(the image that the model learned is lost), if its number was forgotten (an old file was restored), or if it is there twice. The model is
fitted on the rest: states are found in the store or trained again. A `rebuilt` row with the roots before and after is added to the
ledger, and receipts stay as they are. An unfinished request is completed.

Every step may be repeated after a crash: first the row is written, then the files, then workspace.json. A file that cannot be read at all
is an error that names it, since only its owner can decide to delete it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from core.errors import StoreError
from core.runtime.progress import ProgressCallback
from core.workspace.ledger import Ledger, Pending
from core.workspace.receipts import keys_digest
from core.workspace.recorder import retained
from core.workspace.sample_files import Part

if TYPE_CHECKING:
    from core.workspace.workspace import Workspace


@dataclass(frozen=True, eq=False)
class Sifted:
    """The samples of all parts: which are retained, (n,) bool for each path, and the numbers of those that are not, by reason."""

    retained: dict[Path, np.ndarray]
    dropped: dict[str, list[int]]  # altered, forgotten, repeated


def run_repair(workspace: Workspace, reason: str, progress: ProgressCallback | None = None) -> dict:
    """Repair an attached workspace and return the row that was recorded; the caller resumes an unfinished request.

    Raises StoreError for a damaged file, or when there are more samples than were recorded.
    """
    _refuse_old_parts(workspace)
    workspace.total, renumbered = workspace.files.number(_first_number(workspace))
    pending = _as_planned(workspace)
    parts = dict(workspace.files.parts())
    sifted = _sift(parts, forgotten_numbers(workspace.ledger))
    intact = {path: part.take(sifted.retained[path]) for path, part in parts.items()}
    _refuse_more(workspace, sum(len(part.samples) for part in intact.values()))
    workspace.start_over()  # nothing of a model that was fitted on other samples is used again
    workspace.fit(intact, [path for path in intact if sifted.retained[path].all()], progress)
    workspace.about = workspace.about.current()
    workspace.note_rebuilt({"reason": reason, "dropped": sifted.dropped, "renumbered": renumbered, **_left(workspace, pending)})
    workspace.files.retain(sifted.retained)
    workspace.refresh()
    workspace.upgrade()
    return workspace.ledger.model_event("rebuilt").data


def forgotten_numbers(ledger: Ledger) -> set[int]:
    """Return the numbers of all samples that finished requests have forgotten, as far as they were recorded."""
    events = ledger.events()
    done = {e.request for e in events if e.state == "committed"}
    return {n for e in events if e.state == "accepted" and e.request in done for n in e.data.get("numbers", ())}


def _first_number(workspace: Workspace) -> int:
    """Return the first number that was never given.

    Schema 1 had no permanent numbers and counted rows from 0 at every start. Where samples had been forgotten by then, an old link may
    mean any row below the first count of samples, so these numbers are not used again.
    """
    event = workspace.ledger.model_event("created", "rebuilt")
    if "total" in event.data:
        return event.data["total"]
    created, held = workspace.ledger.model_event("created").data["samples"], sum(len(p.samples) for _, p in workspace.files.parts())
    return 0 if held == created else created


def _as_planned(workspace: Workspace) -> Pending | None:
    """Advance an unfinished request to planned, with every cluster to be replaced, and delete its samples from the files."""
    pending = workspace.ledger.pending()
    if pending and pending.state == "accepted":
        planned = {
            "root_before": workspace.recorded()["root"],
            "affected": sorted(workspace.store.keys()),
            "retrain": [],
            "untouched": 0,
            "untouched_digest": keys_digest(()),
        }
        pending = workspace.ledger.advance(pending.request, "planned", planned)
    if pending:
        workspace.files.remove(pending.ids)
    return pending


def _sift(parts: dict[Path, Part], numbers: set[int]) -> Sifted:
    """Separate the samples to retain from those that are altered, repeated, or among the forgotten `numbers`."""
    retained: dict[Path, np.ndarray] = {}
    dropped: dict[str, list[int]] = {"altered": [], "forgotten": [], "repeated": []}
    seen: set[str] = set()
    for path, part in parts.items():
        altered, forgotten = part.altered(), np.isin(part.numbered, list(numbers))
        candidates = ~(altered | forgotten)
        repeated = np.array([c and i in seen for i, c in zip(part.samples.ids, candidates, strict=True)], bool)
        retained[path] = candidates & ~repeated
        seen |= {i for i, r in zip(part.samples.ids, retained[path], strict=True) if r}
        for reason, rows in (("altered", altered & ~forgotten), ("forgotten", forgotten), ("repeated", repeated)):
            dropped[reason] += part.numbered[rows].tolist()
    return Sifted(retained, dropped)


def _left(workspace: Workspace, pending: Pending | None) -> dict:
    """Return what an unfinished request starts from and must leave, now that the samples are checked."""
    if pending is None:
        return {}
    held = workspace.eraser.samples_.ids
    return {"pending": {"request": pending.request, **retained({*held, *pending.ids}, pending.ids)}}


def _refuse_old_parts(workspace: Workspace) -> None:
    for path, part in workspace.files.parts():
        if part.numbers is None and workspace.about.schema > 1:
            raise StoreError(
                f"{path} is older than the workspace's last repair, so it may hold samples that were forgotten since, and nothing tells "
                "which. Restore a newer copy; or delete it and repair again, and the workspace goes on without its samples."
            )


def _refuse_more(workspace: Workspace, held: int) -> None:
    recorded = workspace.recorded()["samples"]
    if held > recorded:
        raise StoreError(
            f"The workspace {workspace.root} holds {held} samples, but {recorded} were recorded last: some were restored after they had "
            "been forgotten, and nothing tells which. Restore the folder `samples` from a copy of the same day as the ledger."
        )
