"""The commands audit (membership inference, or a residue scan with --residue) and selftest."""

from __future__ import annotations

import argparse
from pathlib import Path

from core.cli.models import chooses_samples, load_data, request_on_private_copy, selected
from core.cli.options import (
    MODEL_OPTIONS,
    Commands,
    Result,
    add_command,
    add_device_option,
    add_json_option,
    add_model_options,
    add_request_options,
    add_workspace_options,
    refuse_options,
)
from core.cli.output import ProgressBar, write_text
from core.errors import InputError


def add_commands(commands: Commands) -> None:
    """Add audit and selftest."""
    selftest = add_command(commands, "selftest", run_selftest, "does exactness hold on this machine? (about 5 s)")
    add_device_option(selftest)
    add_json_option(selftest)
    text = "membership inference on a request, or a search for what the request left behind (--residue)"
    audit = add_command(commands, "audit", run_audit, text)
    add_model_options(audit)
    add_workspace_options(audit)
    add_request_options(audit)
    audit.add_argument("--shadows", type=int, default=12, help="shadow models, 2 to 64 (default: 12)")
    audit.add_argument("--controls", type=int, default=4, help="retrained controls (default: 4)")
    audit.add_argument("--approximate", action="store_true", help="also attack fine-tuning on retained, gradient ascent, random labels")
    audit.add_argument("--table", type=Path, help="also write the results as a Markdown table into this file")
    text = "search for what a request left behind; with --workspace the request is permanent, and without one earlier requests are searched"
    audit.add_argument("--residue", action="store_true", help=text)
    audit.add_argument("--folder", type=Path, action="append", default=[], metavar="DIR", help="--residue: search this folder, too")


def run_selftest(args: argparse.Namespace, bar: ProgressBar) -> Result:
    """Check whether exactness holds on this machine."""
    from core.audit.selftest import selftest

    result = selftest(args.device)
    return {**result.to_json(), "text": result.text()}


def run_audit(args: argparse.Namespace, bar: ProgressBar) -> Result:
    """Attack a request's models, or scan for what the request left behind."""
    if args.residue and args.workspace:
        refuse_options(args, MODEL_OPTIONS)
        return _scan_workspace(args, bar)
    if args.residue:
        return _scan_copy(args, bar)
    if args.workspace:
        raise InputError("audit attacks models of a data set, not of a workspace. Leave --workspace out, or add --residue.")
    return _attack(args, bar)


def _attack(args: argparse.Namespace, bar: ProgressBar) -> Result:
    from core.audit.membership import AuditSettings, audit
    from core.audit.report import audit_approximate, markdown_table

    settings = AuditSettings(args.shadows, args.controls, args.seed)
    data, eraser, ids = request_on_private_copy(args, bar)
    record = {"dataset": data.name, "samples": len(data.train), **audit(eraser, ids, data.test, settings, bar)}
    if args.approximate:
        record["approximate"] = audit_approximate(eraser, ids, data.test, settings, bar)
    bar.close()
    if args.table:
        write_text(args.table, markdown_table(record))
    if not args.json:
        del record["scores"]  # one number a line for every sample
    return record


def _scan_copy(args: argparse.Namespace, bar: ProgressBar) -> Result:
    """Forget in a private copy of the cached fit, then search this process, temporary folders and --folder.

    The cache is not searched: it belongs to the fit, which has not forgotten.
    """
    from core.audit.earlier_requests import places_of
    from core.audit.memory_walk import registries_of
    from core.audit.residue_scan import scan
    from core.audit.signatures import Signatures

    data, eraser, ids = request_on_private_copy(args, bar)
    signatures = Signatures.of(eraser, ids, places_of(data.name, data.train))
    eraser.forget(ids, progress=bar)
    bar.close()
    report = scan(signatures, args.folder, registries_of(eraser))
    return {"dataset": data.name, **report.to_json(), "text": report.text()}


def _scan_workspace(args: argparse.Namespace, bar: ProgressBar) -> Result:
    """Search a workspace for what a request left: one that is carried out now, for good, or, if none is given, all earlier ones.

    The samples of earlier requests are those of the workspace's data set that the workspace no longer holds.
    """
    from core.audit.earlier_requests import places_of, signatures_of_forgotten
    from core.audit.memory_walk import registries_of
    from core.audit.residue_scan import scan
    from core.audit.signatures import Signatures
    from core.runtime.executors import LocalExecutor
    from core.workspace.workspace import Workspace

    with Workspace.open(args.workspace, LocalExecutor(args.workers), args.wait, bar) as workspace:
        request, eraser, name = None, workspace.eraser, workspace.about.name
        if chooses_samples(args):
            ids = selected(args, eraser.samples_)
            signatures = Signatures.of(eraser, ids, places_of(name, eraser.samples_))
            request = workspace.forget(ids, bar).request
        else:
            data = load_data(args, bar)
            if data.name != name:
                raise InputError(f"The workspace was made of {name}, not of {data.name}. Name its own data set with --dataset.")
            signatures = signatures_of_forgotten(eraser, name, data.train)
        report = scan(signatures, [args.workspace, *args.folder], registries_of(eraser))
        return {"workspace": str(args.workspace), "request": request, **report.to_json(), "text": report.text()}
