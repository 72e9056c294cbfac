"""The command ledger: a workspace's requests, one receipt, or a repair of the workspace."""

from __future__ import annotations

import argparse

from core.cli.options import Commands, Result, add_command, add_json_option, add_workspace_options
from core.cli.output import ProgressBar
from core.errors import InputError


def add_commands(commands: Commands) -> None:
    """Add ledger."""
    ledger = add_command(commands, "ledger", run_ledger, "a workspace's requests, or one receipt")
    add_workspace_options(ledger, required=True)
    ledger.add_argument("--receipt", type=int, metavar="N", help="print this receipt")
    text = "repair a workspace that is of an older version or differs from what its ledger recorded"
    ledger.add_argument("--repair", action="store_true", help=text)
    add_json_option(ledger)


def run_ledger(args: argparse.Namespace, bar: ProgressBar) -> Result:
    """Return a workspace's requests, one receipt, or what a repair did."""
    return _repair_workspace(args, bar) if args.repair else _show_ledger(args)


def _repair_workspace(args: argparse.Namespace, bar: ProgressBar) -> Result:
    """Repair a workspace, complete its unfinished request, and return what was done and which problems remain (an altered ledger)."""
    from core.runtime.executors import LocalExecutor
    from core.workspace.merkle import merkle_root
    from core.workspace.verify import verify_model
    from core.workspace.workspace import Workspace

    with Workspace.open(args.workspace, LocalExecutor(None), args.wait, bar, repair=True) as workspace:
        done: Result = workspace.repaired or {}
        problems = verify_model(workspace.recorder, workspace)["problems"]
        return {
            "workspace": str(args.workspace),
            "repaired": bool(done),
            **{name: done[name] for name in ("reason", "root_before", "dropped", "renumbered") if done},
            "root": workspace.eraser.root_,
            "samples": len(workspace.eraser.samples_),
            "retained": merkle_root(workspace.eraser.samples_.ids),
            "completed": done["pending"]["request"] if "pending" in done else None,
            "problems": problems,
            "equal": not problems,
        }


def _show_ledger(args: argparse.Namespace) -> Result:
    """Return all requests with their latest state, or one receipt; an unfinished request stays unfinished."""
    from core.workspace.workspace import Workspace

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
