"""Checks a model against its own records: ledger, receipts, samples, states, root; and replays its last request.

`verify_workspace` reads a workspace from its folder, which completes an unfinished request; `verify_model` checks one that is open,
on disk or in memory, and changes nothing. Both report every problem they find.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from core.data.samples import Samples
from core.errors import DataError, InputError, LMEraserError, StoreError
from core.lmeraser.state_store import DirectoryStore
from core.runtime.atomic_files import file_digest
from core.runtime.executors import Executor
from core.runtime.file_locks import WorkspaceLock
from core.runtime.progress import ProgressCallback
from core.workspace.about import ABOUT, About
from core.workspace.ledger import Event, Ledger
from core.workspace.merkle import merkle_root
from core.workspace.proof import prove_survivors
from core.workspace.receipts import Receipt, check_chain, keys_digest
from core.workspace.recorder import RETAINED, Recorder
from core.workspace.workspace import LEDGER, Workspace


def verify_workspace(
    root: Path | str,
    replay: int | None = None,
    executor: Executor | None = None,
    wait: float = 0.0,
    progress: ProgressCallback | None = None,
) -> dict:
    """Return what was checked and every problem found, as plain values; `equal` says that there is none.

    Checks that no row of the ledger was altered and each receipt follows from it and belongs to its request; that every sample matches
    its id, and every state is as it was written; that the model's root and the samples' Merkle root are those recorded
    after the last request. `replay` names that last request (0 where there is none yet): a separate process then trains from scratch
    on what remains, and roots are compared.

    Raises InputError for an earlier request, StoreError when the folder is no workspace or in use. Damage is among the problems.
    """
    workspace = _attached(Path(root), executor, wait)
    if isinstance(workspace, str):
        return {"workspace": str(root), "problems": [workspace], "equal": False}
    try:
        return _report(workspace, replay, progress)
    except StoreError as error:  # of a ledger that can be opened, but not read
        return {"workspace": str(root), "problems": [str(error)], "equal": False}
    finally:
        workspace.close()


def _attached(root: Path, executor: Executor | None, wait: float) -> Workspace | str:
    """Return the workspace, or the damage that prevents opening it; raises StoreError for no workspace, or one in use."""
    if not (root / ABOUT).exists():
        return Workspace.attach(root, executor, wait)
    lock = WorkspaceLock(root / "lock", wait)
    try:
        about = About.read(root / ABOUT)
        problem = _about_problem(root, about)
        if problem:
            raise StoreError(problem)
        return Workspace(root, about, lock, executor)
    except LMEraserError as error:
        lock.close()
        return str(error)


def _about_problem(root: Path, about: About) -> str | None:
    """Return how workspace.json differs from what the ledger recorded of it, if it does; raises StoreError for a damaged ledger."""
    ledger = Ledger(root / LEDGER[0])
    try:
        event = ledger.last("created", "rebuilt")
    finally:
        ledger.close()
    if about.schema > 1 and event and event.data.get("about") != file_digest(root / ABOUT):
        return f"{ABOUT} is not what the ledger recorded; restore it from a copy, or repair the workspace to go on with it as it is"
    return None


def _report(workspace: Workspace, replay: int | None, progress: ProgressCallback | None) -> dict:
    problems = [*workspace.ledger.verify_chain(), *_damaged_states(workspace.store), *workspace.files.problems()]
    if not problems:
        problems = _loaded(workspace, progress)
    states = len(list(workspace.store.keys()))
    report = {"workspace": str(workspace.root), "problems": problems, **_overview(workspace.recorder, states)}
    if replay is not None:
        check_replay(workspace.recorder, replay)
        ran = not problems
        report["replay"] = (
            replay_request(workspace.recorder, replay, progress, None, workspace) if ran else {"request": replay, "ran": False}
        )
        problems += report["replay"].get("problems", ())
    return {**report, "equal": not problems}


def verify_model(recorder: Recorder, workspace: Workspace | None = None) -> dict:
    """Return what was checked of a model that is open, and every problem, as `verify_workspace` does; nothing is changed.

    Every state's digest is computed again from its bytes in memory; with a `workspace`, so are states on disk and ids.
    """
    problems = list(recorder.ledger.verify_chain())
    if workspace:
        problems += [*_damaged_states(workspace.store), *workspace.files.problems()]
    if not problems:
        problems = _checked(recorder)
    report = {"problems": problems, **_overview(recorder, len(recorder.eraser.states_))}
    return {**report, "equal": not problems}


def check_replay(recorder: Recorder, request: int) -> None:
    """Raise InputError unless this is the last request, the only one whose samples are all still there."""
    last = max((e.request for e in recorder.ledger.events() if e.state == "committed"), default=0)
    if not 1 <= request <= last:
        raise InputError(f"Request {request} is not in the ledger, which has {last} of them. Give the last one's number.")
    if request != last:
        raise InputError(
            f"Request {request} cannot be replayed: the samples that remained after it have partly been forgotten "
            f"since. Only the last one can ({last}); the chain vouches for earlier receipts."
        )
    last_event = recorder.ledger.last("committed", "learned")
    if last_event and last_event.state == "learned":
        raise InputError(f"The model has learned more since request {request}, so it cannot be replayed. Forget what was learned first.")


def replay_request(
    recorder: Recorder,
    request: int,
    progress: ProgressCallback | None = None,
    cancel: threading.Event | None = None,
    workspace: Workspace | None = None,
) -> dict:
    """Train the last request's result from scratch in a clean process and compare roots; raises InputError, CancelledError.

    The clean process is given the samples on disk where there is a `workspace`, and it must be given exactly those that were to remain
    by what was recorded before the work.
    """
    check_replay(recorder, request)
    survivors = workspace.files.read() if workspace else recorder.eraser.samples_
    return {"request": request, **_proof(recorder, survivors, progress, cancel)}


def _to_remain(recorder: Recorder) -> str | None:
    """Return the Merkle root over what was to remain: by the last receipt, or by a repair since; None where an earlier version gave it."""
    last = recorder.ledger.model_event("committed", "rebuilt")
    return last.data.get("retained") if last.state == "rebuilt" else Receipt.from_json(last.data["receipt"]).retained_after


def _proof(recorder: Recorder, survivors: Samples, progress, cancel) -> dict:
    """Compare the model with one trained on the survivors, which must be exactly the samples that were to remain."""
    retained = _to_remain(recorder) or merkle_root(survivors.ids)
    try:
        proof = prove_survivors(recorder.eraser, survivors, retained, recorder.workers, progress, cancel)
    except DataError as error:  # of a sample that does not match its id
        return {"ran": False, "problems": [str(error)]}
    return {"ran": True, "clean_room": proof.clean_root, "seconds": asdict(proof.seconds), "problems": list(proof.problems)}


def _loaded(workspace: Workspace, progress: ProgressCallback | None) -> list[str]:
    """Load the workspace and return what is wrong with its contents."""
    pending = workspace.ledger.pending() is not None
    try:
        workspace.load(progress, check=False)
    except LMEraserError as error:
        return [str(error)]
    missing = () if pending else workspace.eraser.outcome_.trained
    return _checked(workspace.recorder, len(missing))


def _checked(recorder: Recorder, missing: int = 0) -> list[str]:
    """Return what is wrong with receipts, samples, roots and states."""
    try:
        problems = list(check_chain(recorder.receipts()))
    except DataError as error:
        return [str(error)]
    events = recorder.ledger.events()
    return [*problems, *_broken_roots(events), *_broken_samples(events), *_broken_model(recorder, missing)]


def _damaged_states(store: DirectoryStore) -> Iterator[str]:
    for key in store.keys():  # noqa: SIM118
        try:
            DirectoryStore.get(store, key)  # a workspace's own would delete a damaged one
        except StoreError as error:
            yield str(error)


def _broken_roots(events: tuple[Event, ...]) -> Iterator[str]:
    """Follow the model's root from event to event."""
    root = None
    for e in events:
        if e.state in ("planned", "rebuilt", "learned") and e.data["root_before"] != root:
            yield f"row {e.seq} starts from root {e.data['root_before'][:12]}, but the model had {str(root)[:12]}"
        if e.state in ("created", "trained", "rebuilt", "learned"):
            root = e.data["root"]
        if e.state == "committed" and (e.data["receipt"]["root_after"] != root or e.data["receipt"]["request"] != e.request):
            yield f"row {e.seq} holds a receipt that does not belong to request {e.request}"


def _broken_samples(events: tuple[Event, ...]) -> Iterator[str]:
    """Follow the Merkle root over the samples from event to event, and compare what each request left, and its receipt, with it."""
    held, accepted, expected = None, {}, {}
    for e in events:
        if e.state == "accepted":
            accepted[e.request] = expected[e.request] = e.data
            yield from _differing(e, "starts from", e.data.get("retained_before"), held)
        elif e.state == "trained":
            yield from _differing(e, "leaves", e.data.get("retained"), expected[e.request].get("retained_after"))
        elif e.state == "rebuilt" and "pending" in e.data:
            expected[e.data["pending"]["request"]] = e.data["pending"]
        elif e.state == "committed":
            yield from _foreign_receipt(e, Receipt.from_json(e.data["receipt"]), accepted[e.request], expected[e.request])
        held = e.data.get("retained") if e.state in ("created", "rebuilt", "trained", "learned") else held


def _differing(event: Event, verb: str, stated: str | None, expected: str | None) -> Iterator[str]:
    if stated is not None and expected is not None and stated != expected:
        yield f"row {event.seq} {verb} samples with Merkle root {stated[:12]}, but {expected[:12]} was recorded before"


def _foreign_receipt(event: Event, receipt: Receipt, accepted: dict, expected: dict) -> Iterator[str]:
    """Compare a receipt with what was recorded of its request before any work."""
    if keys_digest(receipt.commitments) != accepted["commitments"]:
        yield f"row {event.seq} holds a receipt for other samples than request {event.request} named"
    if receipt.subjects is not None and list(receipt.subjects) != accepted.get("subjects", []):
        yield f"row {event.seq} holds a receipt for other subjects than request {event.request} named"
    for name in RETAINED:
        if None not in (expected.get(name), getattr(receipt, name)) and getattr(receipt, name) != expected[name]:
            yield f"row {event.seq} holds a receipt whose {name} is not what was recorded before the work on request {event.request}"


def _broken_model(recorder: Recorder, missing: int) -> Iterator[str]:
    """Compare the model in memory with what was recorded last."""
    recorded, eraser = recorder.recorded(), recorder.eraser
    if recorded["versions"] != recorder.versions():
        changed = sorted(k for k, v in recorder.versions().items() if recorded["versions"].get(k) != v)
        yield f"the model was trained with other {', '.join(changed)} than are here; verify it there, or open it to train it again here"
        return
    if missing:
        yield f"{missing} of {len(eraser.keys_)} states were missing; they were trained again"
    if recorded["root"] != eraser.root_:
        yield f"the model has root {eraser.root_[:12]}, but {recorded['root'][:12]} was recorded"
    if eraser.recomputed_root() != eraser.root_:
        yield f"the states' digests give root {eraser.recomputed_root()[:12]}, but the model was made with {eraser.root_[:12]}"
    if recorded["samples"] != len(eraser.samples_):
        yield f"the model holds {len(eraser.samples_)} samples, but {recorded['samples']} were recorded"
    held = merkle_root(eraser.samples_.ids)
    if recorded.get("retained", held) != held:
        yield f"the model's samples have Merkle root {held[:12]}, but {recorded['retained'][:12]} was recorded"
    yield from _broken_untouched(recorder)


def _broken_untouched(recorder: Recorder) -> Iterator[str]:
    events = recorder.ledger.events()
    if events[-1].state == "committed":
        receipt = Receipt.from_json(events[-1].data["receipt"])
        if keys_digest(set(recorder.eraser.keys_) - set(receipt.retrained)) != receipt.untouched_digest:
            yield f"receipt {receipt.request} names other untouched clusters than the model has"


def _overview(recorder: Recorder, states: int) -> dict:
    events = recorder.ledger.events()
    event = recorder.ledger.last("created", "trained", "rebuilt", "learned")
    recorded = event.data if event else {}
    return {
        "root": recorded.get("root"),
        "samples": recorded.get("samples"),
        "states": states,
        "rows": len(events),
        "receipts": sum(e.state == "committed" for e in events),
    }
