"""Checks a model against its own records: ledger, receipts, samples, states, root; and replays its last request.

`verify_workspace` reads a workspace from its folder, which completes an unfinished request; `verify_model` checks one that is open,
on disk or in memory, and changes nothing. Both report every problem they find.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from core.cleanroom import clean_room
from core.errors import DataError, InputError, StoreError
from core.executors import Executor
from core.ledger import Event
from core.receipts import Receipt, check_chain, keys_digest
from core.recorder import Recorder
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
        states = len(list(workspace.store.keys()))
        report = {"workspace": str(root), "problems": problems, **_overview(workspace.recorder, states)}
        if replay is not None:
            check_replay(workspace.recorder, replay)
            report["replay"] = replay_request(workspace.recorder, replay) if not problems else {"request": replay, "ran": False}
            problems += report["replay"].get("problems", ())
        return {**report, "equal": not problems}
    finally:
        workspace.close()


def verify_model(recorder: Recorder, workspace: Workspace | None = None) -> dict:
    """Return what was checked of a model that is open, and every problem, as `verify_workspace` does; nothing is changed.

    Every state's digest is made anew from its bytes in memory; with a `workspace`, those on disk and the samples' ids, too.
    """
    problems = [*recorder.ledger.verify_chain(), *(_damaged_states(workspace.store) if workspace else ())]
    if not problems:
        altered = workspace.files.altered() if workspace else []
        problems = _checked(recorder, altered)
    report = {"problems": problems, **_overview(recorder, len(recorder.eraser.states_))}
    return {**report, "equal": not problems}


def check_replay(recorder: Recorder, request: int) -> None:
    """Raise InputError unless this is the last request, the only one whose samples are all still there."""
    last = max((e.request for e in recorder.ledger.events() if e.state == "committed"), default=0)
    if not 1 <= request <= last:
        raise InputError(f"Request {request} is not in the ledger, which has {last} of them. Give the last one's number.")
    if request != last:
        raise InputError(
            f"Request {request} cannot be replayed: the samples that remained after it were partly forgotten since, which is the "
            f"point. Only the last one can ({last}); earlier receipts are vouched for by the chain."
        )


def replay_request(
    recorder: Recorder, request: int, progress: ProgressCallback | None = None, cancel: threading.Event | None = None
) -> dict:
    """Train the last request's result from scratch in a clean process and compare roots; raises InputError, CancelledError."""
    check_replay(recorder, request)
    root = recorder.eraser.root_
    control = clean_room(recorder.eraser, recorder.workers, progress, cancel)
    problems = [] if control.root == root else [f"trained from scratch, the model has root {control.root[:12]}, not {root[:12]}"]
    return {"request": request, "ran": True, "clean_room": control.root, "seconds": asdict(control.seconds), "problems": problems}


def _loaded(workspace: Workspace, progress: ProgressCallback | None) -> list[str]:
    """Load the workspace and return what is wrong with its contents."""
    pending = workspace.ledger.pending() is not None
    try:
        altered = workspace.files.altered()
        workspace.load(progress, check=False)
    except (StoreError, DataError) as error:
        return [str(error)]
    missing = () if pending else workspace.eraser.outcome_.trained
    return _checked(workspace.recorder, altered, len(missing))


def _checked(recorder: Recorder, altered: Sequence[str], missing: int = 0) -> list[str]:
    """Return what is wrong with receipts, samples, roots and states."""
    try:
        problems = list(check_chain(recorder.receipts()))
    except DataError as error:
        return [str(error)]
    problems += [f"sample {i[:12]}... is not what its id was made of" for i in altered]
    return problems + [*_broken_roots(recorder.ledger.events()), *_broken_model(recorder, missing)]


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


def _broken_model(recorder: Recorder, missing: int) -> Iterator[str]:
    """Compare the model in memory with what was recorded last."""
    recorded, eraser = recorder.recorded(), recorder.eraser
    if recorded["versions"] != recorder.versions():
        changed = sorted(k for k, v in recorder.versions().items() if recorded["versions"].get(k) != v)
        yield f"the model was trained with other {', '.join(changed)} than are here; verify it there, or open it to train it anew here"
        return
    if missing:
        yield f"{missing} of {len(eraser.keys_)} states were missing; they were trained again"
    if recorded["root"] != eraser.root_:
        yield f"the model has root {eraser.root_[:12]}, but {recorded['root'][:12]} was recorded"
    if eraser.recomputed_root() != eraser.root_:
        yield f"the states' digests give root {eraser.recomputed_root()[:12]}, but the model was made with {eraser.root_[:12]}"
    if recorded["samples"] != len(eraser.samples_):
        yield f"the model holds {len(eraser.samples_)} samples, but {recorded['samples']} were recorded"
    yield from _broken_untouched(recorder)


def _broken_untouched(recorder: Recorder) -> Iterator[str]:
    events = recorder.ledger.events()
    if events[-1].state == "committed":
        receipt = Receipt.from_json(events[-1].data["receipt"])
        if keys_digest(set(recorder.eraser.keys_) - set(receipt.retrained)) != receipt.untouched_digest:
            yield f"receipt {receipt.request} names other untouched clusters than the model has"


def _overview(recorder: Recorder, states: int) -> dict:
    events = recorder.ledger.events()
    event = recorder.ledger.last("created", "trained", "rebuilt")
    recorded = event.data if event else {}
    return {
        "root": recorded.get("root"),
        "samples": recorded.get("samples"),
        "states": states,
        "rows": len(events),
        "receipts": sum(e.state == "committed" for e in events),
    }
