"""Checks a workspace against its own records: ledger, receipts, samples, states, root; and replays its last request.

Reports every problem it finds. Opening a workspace completes an unfinished request, so verifying one does, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from core.cleanroom import clean_room
from core.errors import DataError, InputError, StoreError
from core.executors import Executor
from core.ledger import Event
from core.receipts import Receipt, check_chain, keys_digest
from core.store import Store
from core.types import ProgressCallback
from core.workspace import Workspace


def verify_workspace(
    root: Path | str,
    replay: int | None = None,
    executor: Executor | None = None,
    wait: float = 0.0,
    progress: ProgressCallback | None = None,
) -> dict:
    """Return what was checked and every problem found, as plain values; `equal` says that there is none.

    Checks that no row of the ledger was altered and each receipt follows from it; that every sample is what its id was made of
    and every state what it was written as; that the model's root is the one recorded after the last request. `replay` names that
    last request (0 where there is none yet): a separate process then trains from scratch on what remains, and roots are compared.

    Raises InputError for an earlier request, StoreError when the folder is no workspace or in use.
    """
    workspace = Workspace.attach(root, executor, wait)
    try:
        problems = [*workspace.ledger.verify_chain(), *_damaged_states(workspace.store)]
        if not problems:
            problems = _loaded(workspace, progress)
        report = {"workspace": str(root), "problems": problems, **_overview(workspace)}
        if replay is not None:
            report["replay"] = _replayed(workspace, replay, problems)
        return {**report, "equal": not problems}
    finally:
        workspace.close()


def _loaded(workspace: Workspace, progress: ProgressCallback | None) -> list[str]:
    """Load the workspace and return what is wrong with its contents."""
    pending = workspace.ledger.pending() is not None
    try:
        altered = workspace.files.altered()
        workspace.load(progress, check=False)
        problems = list(check_chain(workspace.receipts()))
    except (StoreError, DataError) as error:
        return [str(error)]
    problems += [f"sample {i[:12]}... is not what its id was made of" for i in altered]
    missing = () if pending else workspace.eraser.outcome_.trained
    events = workspace.ledger.events()
    return problems + [*_broken_roots(events), *_broken_model(workspace, len(missing))]


def _damaged_states(store: Store) -> Iterator[str]:
    for key in store.keys():  # noqa: SIM118
        try:
            store.get(key)
        except StoreError as error:
            yield str(error)


def _broken_roots(events: tuple[Event, ...]) -> Iterator[str]:
    """Follow the model's root from event to event."""
    root = None
    for e in events:
        if e.state in ("planned", "rebuilt") and e.data["root_before"] != root:
            yield f"row {e.seq} starts from root {e.data['root_before'][:12]}, but the model had {str(root)[:12]}"
        if e.state in ("created", "trained", "rebuilt"):
            root = e.data["root"]
        if e.state == "committed" and (e.data["receipt"]["root_after"] != root or e.data["receipt"]["request"] != e.request):
            yield f"row {e.seq} holds a receipt that does not belong to request {e.request}"


def _broken_model(workspace: Workspace, missing: int) -> Iterator[str]:
    """Compare the loaded model with what was recorded last."""
    recorded, eraser = workspace.recorded(), workspace.eraser
    if recorded["versions"] != workspace.versions():
        changed = sorted(k for k, v in workspace.versions().items() if recorded["versions"].get(k) != v)
        yield f"the model was trained with other {', '.join(changed)} than are here; verify it there, or open it to train it anew here"
        return
    if missing:
        yield f"{missing} of {len(eraser.keys_)} states were missing; they were trained again"
    if recorded["root"] != eraser.root_:
        yield f"the model has root {eraser.root_[:12]}, but {recorded['root'][:12]} was recorded"
    if recorded["samples"] != len(eraser.samples_):
        yield f"the workspace holds {len(eraser.samples_)} samples, but {recorded['samples']} were recorded"
    yield from _broken_untouched(workspace)


def _broken_untouched(workspace: Workspace) -> Iterator[str]:
    events = workspace.ledger.events()
    if events[-1].state == "committed":
        receipt = Receipt.from_json(events[-1].data["receipt"])
        if keys_digest(set(workspace.eraser.keys_) - set(receipt.retrained)) != receipt.untouched_digest:
            yield f"receipt {receipt.request} names other untouched clusters than the model has"


def _overview(workspace: Workspace) -> dict:
    states = [e.state for e in workspace.ledger.events()]
    event = workspace.ledger.last("created", "trained", "rebuilt")
    recorded = event.data if event else {}
    return {
        "root": recorded.get("root"),
        "samples": recorded.get("samples"),
        "states": len(list(workspace.store.keys())),
        "rows": len(states),
        "receipts": states.count("committed"),
    }


def _replayed(workspace: Workspace, request: int, problems: list[str]) -> dict:
    """Train from scratch in a clean process on what remains; a difference is added to the problems."""
    receipts = [e.request for e in workspace.ledger.events() if e.state == "committed"]
    last = max(receipts, default=0)
    if request != last:
        raise InputError(
            f"Request {request} cannot be replayed: the samples that remained after it were partly forgotten since, which is the "
            f"point. Only the last one can ({last}); earlier receipts are vouched for by the chain."
        )
    if problems:
        return {"request": request, "ran": False}
    control = clean_room(workspace.eraser, workspace.workers)
    if control.root != workspace.eraser.root_:
        problems.append(f"trained from scratch, the model has root {control.root[:12]}, not {workspace.eraser.root_[:12]}")
    return {"request": request, "ran": True, "clean_room": control.root, "seconds": asdict(control.seconds)}
