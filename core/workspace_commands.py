"""What `fit`, `forget`, `verify` and `ledger` do with `--workspace`: parsed arguments in, plain values out. Prints nothing."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict

from core.environment import default_device
from core.errors import InputError
from core.executors import LocalExecutor
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
        count = args.count if args.count or args.ids or args.subject or args.label else 1
        ids = select(workspace.eraser.samples_, args.ids, args.subject, args.label, count, args.seed)
        plan = workspace.eraser.plan(ids)
        receipt = workspace.forget(plan, progress)
        return {"workspace": str(args.workspace), "n": len(ids), "plan": plan.summary(), "receipt": receipt.to_json()}


def check_workspace(args: Namespace, progress: ProgressCallback) -> dict:
    """Verify a workspace, and replay its last request if asked to."""
    return verify_workspace(args.workspace, args.replay, LocalExecutor(args.workers), args.wait, progress)


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
