"""What `fit`, `forget`, `verify`, `audit --residue` and `ledger` do with a workspace: parsed arguments in, plain values out.

Prints nothing.
"""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict

import numpy as np

from core.datasets import load_dataset
from core.environment import default_device
from core.eraser import LMEraser
from core.errors import DataError, InputError
from core.executors import LocalExecutor
from core.needles import Needles
from core.projection import load_layout
from core.residue import registries_of, scan
from core.selection import select
from core.types import EraserConfig, ProgressCallback, Samples
from core.verify import verify_workspace
from core.workspace import Workspace


def fit_workspace(args: Namespace, name: str, samples: Samples, config: EraserConfig, progress: ProgressCallback) -> dict:
    """Make a workspace and fit its model."""
    from core import backbone

    frozen = backbone.load_backbone(args.backbone, args.device or str(default_device()))
    executor = LocalExecutor(args.workers)
    with Workspace.create(args.workspace, samples, config, frozen, executor, name, progress=progress) as workspace:
        eraser = workspace.eraser
        return {
            "workspace": str(args.workspace),
            "dataset": name,
            "n": len(samples),
            "clusters": eraser.partition_.clusters,
            "seconds": {**asdict(eraser.outcome_.seconds), "total": eraser.outcome_.seconds.total},
            "root": eraser.root_,
        }


def forget_in_workspace(args: Namespace, progress: ProgressCallback) -> dict:
    """Carry out one request on a workspace's own samples and return its plan and receipt."""
    with Workspace.open(args.workspace, LocalExecutor(args.workers), args.wait, progress) as workspace:
        ids = select(workspace.eraser.samples_, args.ids, args.subject, args.label, args.count, args.seed)
        plan = workspace.eraser.plan(ids)
        receipt = workspace.forget(plan, progress)
        return {"workspace": str(args.workspace), "n": len(ids), "plan": plan.summary(), "receipt": receipt.to_json()}


def check_workspace(args: Namespace, progress: ProgressCallback) -> dict:
    """Verify a workspace, and replay its last request if asked to."""
    return verify_workspace(args.workspace, args.replay, LocalExecutor(args.workers), args.wait, progress)


def scan_workspace(args: Namespace, progress: ProgressCallback) -> dict:
    """Search a workspace for what a request leaves: one that is carried out now, for good, or, if none is given, all earlier ones.

    For earlier requests the samples come from the data set that the workspace was made of: those that it no longer holds.
    """
    with Workspace.open(args.workspace, LocalExecutor(args.workers), args.wait, progress) as workspace:
        request = None
        if any(value is not None for value in (args.count, args.ids, args.subject, args.label)):
            samples = workspace.eraser.samples_
            ids = select(samples, args.ids, args.subject, args.label, args.count, args.seed)
            needles = Needles.of(workspace.eraser, ids, places_of(workspace.about.name, samples))
            request = workspace.forget(ids, progress).request
        else:
            data, name = load_dataset(args.dataset, data_dir=args.data_dir, limit=args.limit), workspace.about.name
            if data.name != name:
                raise InputError(
                    f"The workspace was made of {name}, not of {data.name}, in which nothing of it can be found. Name it with --dataset."
                )
            needles = needles_of_earlier(workspace.eraser, name, data.train)
        report = scan(needles, [args.workspace, *args.folder], registries_of(workspace.eraser))
        return {"workspace": str(args.workspace), "request": request, **report.to_json(), "text": report.text()}


def needles_of_earlier(eraser: LMEraser, name: str, known: Samples) -> Needles:
    """Return needles of what a model has forgotten: those samples of its data set `known`, called `name`, that it no longer holds.

    Raises InputError when it holds them all.
    """
    staying = eraser.samples_
    held = set(staying.ids)
    gone = known.take(np.array([i not in held for i in known.ids], bool))
    if not len(gone):
        raise InputError(f"The model holds all {len(known)} samples of {name}, so nothing can be left over. Forget something first.")
    places = [places_of(name, samples) for samples in (gone, staying)]
    return Needles.of_samples(eraser, gone, staying, None if any(p is None for p in places) else tuple(places))


def places_of(name: str, samples: Samples) -> np.ndarray | None:
    """Return the samples' coordinates (n, 2) on the map that ships with the program, or None where it has none of them."""
    try:
        return load_layout(name, samples) if len(samples) else np.zeros((0, 2), np.float32)
    except DataError:
        return None


def show_ledger(args: Namespace) -> dict:
    """Return all requests with their latest state, or one receipt. Completes nothing."""
    workspace = Workspace.attach(args.workspace, wait=args.wait)
    try:
        receipts = {r.request: r for r in workspace.receipts()}
        if args.receipt is not None:
            if args.receipt not in receipts:
                raise InputError(f"There is no receipt {args.receipt}; there are {len(receipts)}, from 1 to {max(receipts, default=0)}.")
            return receipts[args.receipt].to_json()
        latest = {e.request: e for e in workspace.ledger.events()}
        requests = [{"request": n, "state": e.state, "time": e.time} for n, e in latest.items() if n]
        return {"workspace": str(args.workspace), "requests": requests, "root": workspace.recorded()["root"]}
    finally:
        workspace.close()
